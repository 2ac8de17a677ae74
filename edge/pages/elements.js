/** Small tools for whatever is shown. Text goes into the page as text, wherever it comes from: nothing here reads HTML. */

export const byId = (id) => document.getElementById(id);
export const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Only what has changed is written, so that a screen reader speaks it once. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Names such as TLS_AES_128_GCM_SHA256 may be broken after an underscore. */
export function setBreakable(element, text) {
  if (element.textContent === text) return;
  const parts = /^[A-Z0-9_]+$/.test(text) ? text.split(/(?<=_)/) : [text];
  element.replaceChildren(...parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part])));
}

/** Make an element: a tag, its class, and what is in it, elements or text. */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Light up a place on the way of the voice, and the wire to it. */
export function showReached(place, reached) {
  for (const element of document.querySelectorAll(`[data-node=${place}], [data-wire=${place}]`)) element.toggleAttribute("data-reached", reached);
}

/** Milliseconds as minutes and seconds. */
export function asClock(ms, digits = 0) {
  const seconds = Math.max(0, ms) / 1000;
  const rest = (Math.floor((seconds % 60) * 10 ** digits) / 10 ** digits).toFixed(digits);
  return `${Math.floor(seconds / 60)}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

/** A length of time to be read at a glance. */
export const asLength = (ms) => (ms < 9995 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);
