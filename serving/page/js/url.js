// The page's state that is worth sharing lives in its address.

export const parameter = (name) => new URLSearchParams(location.search).get(name);

export function setParameter(name, value) {
  const parameters = new URLSearchParams(location.search);
  if (value) parameters.set(name, value);
  else parameters.delete(name);
  const search = parameters.toString();
  history.replaceState(null, "", search ? `?${search}` : location.pathname);
}
