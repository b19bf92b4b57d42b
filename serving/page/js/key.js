// The key to read with, where serving asks for one. It stays in this browser.

const STORED = "millrace-read-key";

let known = "";
try { known = localStorage.getItem(STORED) ?? ""; } catch { /* storage may be off: then it lasts as long as the page */ }

export const isSet = () => known !== "";

/** Members of a request that present the key; empty without one. */
export const authorization = () => (known ? { authorization: `Bearer ${known}` } : {});

/** Use this key from now on; an empty one forgets it. */
export function keep(key) {
  known = key;
  try {
    if (key) localStorage.setItem(STORED, key);
    else localStorage.removeItem(STORED);
  } catch { /* as above */ }
}
