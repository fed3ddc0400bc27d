// Small helpers for the pages. Text is only ever set as text.

export const byId = (id) => document.getElementById(id);

export function show(id, visible = true) {
  byId(id).hidden = !visible;
}

/** An HTML element with a class, text and children. */
export function element(tag, className = '', ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** The token behind #t=, and whether the page shall start by itself. */
export function fromFragment() {
  const words = new URLSearchParams(location.hash.slice(1));
  return { token: words.get('t') ?? '', start: words.has('start') };
}

/** Keep the screen on where the browser can; says whether it does. */
export async function keepAwake() {
  try {
    await navigator.wakeLock.request('screen');
    return true;
  } catch {
    return false;
  }
}

export function short(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(2);
}
