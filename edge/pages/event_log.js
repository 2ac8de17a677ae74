/** The events of a call as they came and went: the newest few hundred, each to be opened, and a filter. */

import { asClock, byId, make, setText } from "./elements.js";

const MOST_EVENTS = 400;
const MOST_TEXT = 20_000; // characters of one event that are kept
const MOST_NEW = 100; // rows made in one go: a flood must not hold the page up

export class EventLog {
  #list = byId("events");
  #count = byId("events-count");
  #filter = byId("filter");
  #empty = byId("events-empty");
  #rows = []; // {item, haystack}
  #waiting = [];
  #total = 0;
  #since = 0;

  constructor() {
    this.#filter.addEventListener("input", () => this.#applyFilter());
  }

  /** A call's channel begins: the log of the one before is wiped. */
  begin(channel, since) {
    this.#since = since;
    this.#rows = [];
    this.#waiting = [];
    this.#total = 0;
    this.#list.replaceChildren();
    this.#tellCount();
    channel.addEventListener("message", ({ detail }) => this.#take(detail));
  }

  #take(message) {
    this.#total += 1;
    // Not requestAnimationFrame, which stands still in a hidden page.
    if (this.#waiting.push(message) === 1) setTimeout(() => this.#flush(), 50);
    if (this.#waiting.length > MOST_NEW) this.#waiting.shift();
  }

  #flush() {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    for (const message of this.#waiting.splice(0)) {
      const row = this.#makeRow(message);
      row.item.hidden = !this.#matches(row);
      this.#rows.push(row);
      this.#list.append(row.item);
    }
    while (this.#rows.length > MOST_EVENTS) this.#rows.shift().item.remove();
    this.#tellCount();
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #makeRow({ direction, text, event, at }) {
    const kept = text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)} … (${text.length} characters)` : text;
    const arrow = make("span", "arrow", direction === "out" ? "→" : "←");
    arrow.setAttribute("role", "img");
    arrow.setAttribute("aria-label", direction === "out" ? "sent" : "received");
    const type = make("span", "type", event?.type.slice(0, 120) ?? "unreadable");
    const summary = make("summary", "", arrow, type, make("time", "when", asClock(at - this.#since, 3)));
    const details = make("details", "", summary);
    // Laid out when somebody looks.
    const lay = () => details.append(make("pre", "", event && kept === text ? JSON.stringify(event, null, 2) : kept));
    details.addEventListener("toggle", lay, { once: true });
    const item = make("li", "", details);
    item.dataset.direction = direction;
    item.toggleAttribute("data-problem", event === null || event.type === "error");
    return { item, haystack: kept.toLowerCase() };
  }

  #matches({ haystack }) {
    return haystack.includes(this.#filter.value.trim().toLowerCase());
  }

  #applyFilter() {
    for (const row of this.#rows) row.item.hidden = !this.#matches(row);
    this.#tellCount();
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  #tellCount() {
    const shown = this.#rows.filter(({ item }) => !item.hidden).length;
    const forgotten = this.#total - this.#rows.length - this.#waiting.length;
    const parts = [this.#filter.value.trim() ? `${shown} of ${this.#rows.length}` : String(this.#rows.length)];
    if (forgotten > 0) parts.push(`the newest of ${this.#total}`);
    setText(this.#count, parts.join(", "));
    this.#empty.hidden = this.#rows.length > 0;
  }
}
