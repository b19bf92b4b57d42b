// Building the document. Data only ever becomes text or an attribute, never markup.

export const $ = (id) => document.getElementById(id);

/** An element: h("td", { class: "num" }, "12", child…). `null` children and attributes are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value); // CSSOM: allowed without inline styles
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element shows, keeping the focus on the child with the same `data-key`. */
export function show(parent, ...children) {
  keepingFocus(parent, () => parent.replaceChildren(...children.flat().filter(Boolean)));
}

/**
 * As `show`, of what was made anew from data: a child that came out the same stays, with what is selected in it and how far it is scrolled,
 * and details stay open. So what a child does when it is clicked must follow from what it shows.
 */
export function redraw(parent, ...children) {
  const open = new Set([...parent.querySelectorAll("details[open]")].map((one) => one.dataset.key));
  const made = document.createDocumentFragment();
  made.append(...children.flat().filter(Boolean));
  for (const one of made.querySelectorAll("details")) one.open = open.has(one.dataset.key);
  const next = [...made.childNodes];
  keepingFocus(parent, () => {
    next.forEach((child, place) => {
      const before = parent.childNodes[place];
      if (!before) parent.append(child);
      else if (!before.isEqualNode(child)) before.replaceWith(child);
    });
    while (parent.childNodes.length > next.length) parent.lastChild.remove();
  });
}

function keepingFocus(parent, change) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  change();
  if (key && document.activeElement.dataset.key !== key) [...parent.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key)?.focus();
}

/** Set text only where it changed, so that screen readers and selections are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
