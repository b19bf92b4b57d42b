// Sends with @segment/analytics-node. Arguments: gateway's address, write key.
const { Analytics } = require('@segment/analytics-node')

const [host, writeKey] = process.argv.slice(2)
const failures = []
const analytics = new Analytics({ writeKey, host, flushAt: 3, maxRetries: 1 })
analytics.on('error', (error) => failures.push(String(error.reason ?? error)))

const context = { userAgent: 'Shop/1.0', page: { url: 'https://shop.example/cart' } }
analytics.identify({ userId: 'node_user', anonymousId: 'node_anon', traits: { plan: 'pro' } })
analytics.page({ anonymousId: 'node_anon', name: 'Cart', properties: { url: 'https://shop.example/cart' } })
analytics.track({
  userId: 'node_user', anonymousId: 'node_anon', event: 'Product Added', context,
  properties: { product_id: 'p-1', category: 'shoes', price: 59.9, quantity: 1 },
})
analytics.track({
  userId: 'node_user', event: 'Order Completed', messageId: 'node-order',
  properties: {
    order_id: 'o-1', discount: 5, currency: 'USD',
    products: [{ product_id: 'p-1', price: 59.9, quantity: 2 }, { product_id: 'p-2', price: 0.1 + 0.2 }],
  },
})
analytics.closeAndFlush().then(() => {
  console.log(JSON.stringify(failures))
})
