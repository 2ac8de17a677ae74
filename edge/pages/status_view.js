import { asClock, byId, setText, showReached } from "./elements.js";
import { HINT_WORDS, PARTNER_WORDS, STATE_WORDS } from "./words.js";

/** The button, the words beside it, the field for a key, and the clock. */
export class StatusView {
  #button = byId("talk");
  #status = byId("status");
  #title = byId("status-title");
  #detail = byId("status-detail");
  #form = byId("key-form");
  #input = byId("key");
  #duration = byId("duration");
  #meterName = byId("meter-back-name");
  #partner = "unknown";

  /** @param {{press: () => void, key: (key: string) => void}} actions */
  constructor(actions) {
    this.#button.addEventListener("click", actions.press);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const key = this.#input.value.trim();
      this.#input.value = "";
      if (key) actions.key(key);
    });
  }

  /** Who is at the other end: see RealtimeSession.partner. */
  showPartner(call, partner) {
    this.#partner = partner;
    document.body.dataset.partner = partner;
    showReached("agent", partner === "agent");
    setText(this.#meterName, partner === "none" ? "echo" : "agent");
    this.show(call);
  }

  show(call) {
    const inCall = !["idle", "ended"].includes(call.state);
    document.body.dataset.state = call.state;
    this.#button.textContent = inCall ? (call.talkingSince === null ? "Cancel" : "Hang up") : "Talk";
    this.#button.dataset.action = inCall ? "hang-up" : "talk";
    this.#status.toggleAttribute("data-problem", Boolean(call.ending?.problem));
    this.#say(call.ending ?? this.#words(call));
    this.#showForm(call.state === "key");
  }

  hint(call, hint) {
    const words = this.#words(call);
    if (call.state === "talking") this.#say({ title: words.title, detail: hint ? HINT_WORDS[hint] : words.detail });
  }

  tick(call) {
    if (call.state !== "ended") setText(this.#duration, asClock(call.talkingSince === null ? 0 : performance.now() - call.talkingSince));
  }

  #words(call) {
    if (call.state === "key" && call.keyRefused) return { ...STATE_WORDS.key, title: "The server does not know that key" };
    return call.state === "talking" ? PARTNER_WORDS[this.#partner] : STATE_WORDS[call.state];
  }

  /** Only what has changed is written, so that a screen reader speaks it once. */
  #say({ title, detail }) {
    setText(this.#title, title);
    setText(this.#detail, detail);
  }

  #showForm(wanted) {
    const appears = wanted && this.#form.hidden;
    this.#form.hidden = !wanted;
    if (appears) this.#input.focus();
  }
}
