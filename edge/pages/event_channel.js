/**
 * The data channel "oai-events" of the Realtime protocol: one JSON object a message, in either direction.
 *
 * What a peer sends is only read here, never trusted: a message that is no JSON object with a type is passed on as text.
 */

const LABEL = "oai-events";

/** One message, either way. `event` is null when it could not be read. */
class Message {
  constructor(direction, text, event) {
    Object.assign(this, { direction, text, event, at: performance.now() });
    Object.freeze(this);
  }
}

/**
 * Events: `open`, `close`, which also comes when the answer refuses data channels, and `message` with a Message as its
 * `detail`.
 */
export class EventChannel extends EventTarget {
  #channel;
  #sent = 0;

  constructor(peer) {
    super();
    this.#channel = peer.createDataChannel(LABEL);
    this.#channel.addEventListener("open", () => this.dispatchEvent(new Event("open")));
    this.#channel.addEventListener("close", () => this.dispatchEvent(new Event("close")));
    this.#channel.addEventListener("message", ({ data }) => this.#receive(data));
  }

  get isOpen() {
    return this.#channel.readyState === "open";
  }

  /**
   * Send an event, under an id of its own, by which an error names it.
   * @returns {?string} the id; null when there is nobody to send to
   */
  send(event) {
    if (!this.isOpen) return null;
    const named = { event_id: `page_${(this.#sent += 1)}`, ...event };
    const text = JSON.stringify(named);
    this.#channel.send(text);
    this.#tell(new Message("out", text, named));
    return named.event_id;
  }

  #receive(data) {
    const text = typeof data === "string" ? data : "(binary)";
    this.#tell(new Message("in", text, readEvent(text)));
  }

  #tell(message) {
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }
}

function readEvent(text) {
  try {
    const event = JSON.parse(text);
    return typeof event?.type === "string" ? event : null;
  } catch {
    return null;
  }
}
