/**
 * trio-voice in a browser: press Talk, and talk with the agent behind the transceiver.
 *
 * Read in this order: `words.js` what the page says about a call; `call.js` one call; `statistics.js` what the browser
 * tells of it; `event_channel.js`, `realtime_session.js` and `tools.js` our part in the Realtime protocol;
 * `conversation.js` and `response_times.js` what its events mean; `sound.js` and `picture.js` what is heard and drawn;
 * `status_view.js`, `conversation_view.js`, `event_log.js` and `connection_view.js` what is shown in words; and this
 * file, which tells each of the others.
 *
 * Options in the address, for tests and for measuring:
 *   ?connect-timeout=MS     give up when no media path stands after this long (10000)
 *   ?reconnect-timeout=MS   give up when a lost path has not come back after this long (30000)
 *   ?agent-timeout=MS       take the other end for a plain echo when no agent has introduced itself after this long (3000)
 *   ?processing=off         no echo cancellation, noise suppression or gain control: a tone comes through unharmed
 *
 * Tests and tools may read `window.trioVoice`: {state, reason, timeline, stats, location, partner, times, entries}.
 * Nothing there can be written.
 */

import { Call } from "./call.js";
import { FactsView, TimelineView } from "./connection_view.js";
import { ConversationView, TimesView } from "./conversation_view.js";
import { EventLog } from "./event_log.js";
import { RealtimeSession } from "./realtime_session.js";
import { SoundView } from "./sound.js";
import { StatusView } from "./status_view.js";

const TICK_MS = 250;
const NO_TIMES = { heard: { count: 0, last: null, median: null }, agent: { count: 0, last: null, median: null }, interruptions: 0 };

function readOptions(search) {
  const parameters = new URLSearchParams(search);
  const positive = (name, otherwise) => (Number(parameters.get(name)) > 0 ? Number(parameters.get(name)) : otherwise);
  return {
    connectTimeout: positive("connect-timeout", 10_000),
    reconnectTimeout: positive("reconnect-timeout", 30_000),
    agentTimeout: positive("agent-timeout", 3_000),
    processing: parameters.get("processing") !== "off",
  };
}

/** One call at a time, and who hears of it. */
class App {
  call;
  session = null;

  #options = readOptions(window.location.search);
  #apiKey = ""; // here and nowhere else: gone with the page
  #status = new StatusView({ press: () => this.#press(), key: (key) => this.call.useKey(key) });
  #conversation = new ConversationView();
  #times = new TimesView();
  #events = new EventLog();
  #timeline = new TimelineView();
  #facts = new FactsView();
  #sound = new SoundView((hint) => this.#status.hint(this.call, hint));

  constructor() {
    this.#adopt(this.#newCall());
    setInterval(() => this.#status.tick(this.call), TICK_MS);
    window.addEventListener("pagehide", () => this.call.hangUp());
  }

  #newCall() {
    return new Call({ ...this.#options, apiKey: this.#apiKey });
  }

  #press() {
    if (!["idle", "ended"].includes(this.call.state)) return this.call.hangUp();
    this.#adopt(this.#newCall());
    this.#sound.begin();
    this.call.start();
  }

  #adopt(call) {
    this.call = call;
    this.session = null;
    call.addEventListener("state", () => this.#onState(call));
    call.addEventListener("sound", () => this.#sound.follow(call));
    call.addEventListener("channel", () => this.#onChannel(call));
    call.addEventListener("timeline", () => this.#timeline.show(call));
    call.addEventListener("stats", () => this.#facts.show(call));
    this.#status.showPartner(call, "unknown");
    this.#times.show(NO_TIMES);
    this.#timeline.show(call);
    this.#facts.show(call);
  }

  #onChannel(call) {
    const now = performance.now();
    const session = (this.session = new RealtimeSession(call.channel));
    this.#events.begin(call.channel, now);
    this.#conversation.begin(session, now);
    this.#sound.accompany(session);
    session.addEventListener("partner", () => this.#status.showPartner(call, session.partner));
    session.addEventListener("open", () => this.#conversation.enable());
    session.conversation.addEventListener("times", () => this.#times.show(session.conversation.times));
  }

  #onState(call) {
    if (call.state === "talking") {
      this.#apiKey = call.apiKey;
      this.#sound.expectSound();
      this.session.expectAgent(this.#options.agentTimeout);
    }
    if (call.state === "ended") {
      this.session?.end();
      this.#sound.end();
      this.#conversation.enable();
    }
    this.#status.show(call);
  }
}

const app = new App();

Object.defineProperty(window, "trioVoice", {
  value: Object.freeze({
    get state() {
      return app.call.state;
    },
    get reason() {
      return app.call.ending?.code ?? null;
    },
    get timeline() {
      return app.call.timeline;
    },
    get stats() {
      return app.call.stats;
    },
    get location() {
      return app.call.location?.pathname ?? null;
    },
    get partner() {
      return app.session?.partner ?? "unknown";
    },
    get times() {
      return Object.freeze(app.session?.conversation.times ?? NO_TIMES);
    },
    get entries() {
      return Object.freeze((app.session?.conversation.entries ?? []).map(({ turn, ...entry }) => Object.freeze(entry)));
    },
  }),
});
