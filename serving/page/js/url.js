// What is worth sharing lives in the address: the path is the view, the parameters are what was chosen in it.

/** Choices that go along from view to view; all others belong to the view they were made in. */
const SHARED = ["range", "from", "to", "zone", "bots", "compare"];

export const parameter = (name) => new URLSearchParams(location.search).get(name);

/** Change parameters in place; an empty value takes one out. */
export function setParameters(changes) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  history.replaceState(null, "", address(location.pathname, parameters));
}

/** The address of a view as it would open from here, with parameters of its own. */
export function addressOf(path, own = {}) {
  const parameters = new URLSearchParams();
  for (const name of SHARED) if (parameter(name)) parameters.set(name, parameter(name));
  for (const [name, value] of Object.entries(own)) if (value) parameters.set(name, value);
  return address(path, parameters);
}

const address = (path, parameters) => (parameters.size ? `${path}?${parameters}` : path);
