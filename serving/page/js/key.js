// The key to read with, where serving asks for one. It stays in this browser.

const STORED = "millrace-read-key";

let known = "";
try { known = localStorage.getItem(STORED) ?? ""; } catch { /* storage may be off: then it lasts as long as the page */ }

/** What the key may, as the server has last told; null where it has not, or asks for no keys. */
let scopes = null;

/** Take note of what the server says of the key. */
export const learn = (told) => { scopes = told === null ? null : told.split(" "); };
export const isLearnt = () => scopes !== null;
/** Whether the key has a scope; yes where the server has not said. */
export const may = (scope) => scopes === null || scopes.includes(scope);

/** What to say in the place of what a key may not see. */
export const lacks = (scope) => `This key lacks the scope ${scope}. “millrace keys create NAME ${["analytics", scope].map((one) => `--scope ${one}`).join(" ")}” makes one that has it; “Forget the read key” is among the shortcuts.`;

export const isSet = () => known !== "";

/** Members of a request that present the key; empty without one. */
export const authorization = () => (known ? { authorization: `Bearer ${known}` } : {});

/** Use this key from now on; an empty one forgets it. */
export function keep(key) {
  known = key;
  scopes = null;
  try {
    if (key) localStorage.setItem(STORED, key);
    else localStorage.removeItem(STORED);
  } catch { /* as above */ }
}
