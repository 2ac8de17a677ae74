/** What was set up, how long that took, and how the connection does. */

import { byId, setBreakable, setText, showReached } from "./elements.js";

/** Four steps as a waterfall: each bar begins where the step before it ended. */
export class TimelineView {
  #steps = Array.from(document.querySelectorAll("#timeline [data-step]"));
  #total = byId("setup-total");
  #digest = byId("setup-digest");

  show(call) {
    const times = call.timeline;
    const reached = Object.values(times).filter((time) => time !== null);
    const end = Math.max(1, ...reached);
    for (const step of this.#steps) this.#showStep(step, times[step.dataset.step], reached, end);
    setText(this.#total, times.firstAudio === null ? "" : `heard after ${Math.round(times.firstAudio)} ms`);
    setText(this.#digest, times.firstAudio === null ? "" : `set up in ${Math.round(times.firstAudio)} ms`);
    showReached("relay", times.ice !== null);
    showReached("transceiver", times.dtls !== null);
  }

  #showStep(step, time, reached, end) {
    const from = time === null ? 0 : Math.max(0, ...reached.filter((other) => other < time));
    const bar = step.querySelector(".step-bar");
    setText(step.querySelector(".step-time"), time === null ? "–" : `${Math.round(time)} ms`);
    bar.style.transform = time === null ? "scaleX(0)" : `translateX(${(from / end) * 100}%) scaleX(${Math.max(0.012, (time - from) / end)})`;
  }
}

/** Round trip, jitter, loss, and what was negotiated. */
export class FactsView {
  #places = Array.from(document.querySelectorAll("[data-fact]"));
  #postQuantum = byId("post-quantum");
  #digest = byId("connection-digest");

  show(call) {
    const facts = describeFacts(call.stats, call.location);
    for (const place of this.#places) setBreakable(place, facts[place.dataset.fact] ?? "–");
    setText(this.#digest, call.stats ? `round trip ${facts.roundTripTime ?? "–"}, loss ${facts.lossRatio ?? "–"}` : "");
    this.#postQuantum.hidden = !/MLKEM|KYBER/i.test(call.stats?.dtlsGroup ?? "");
  }
}

function describeFacts(stats, location) {
  const callId = location?.pathname.split("/").pop();
  if (!stats) return { callId, dtlsGroupFrom: "", mediaRoundTripTime: "", outJitter: "", outLossRatio: "" };
  return {
    ...stats,
    callId,
    dtlsGroupFrom: stats.dtlsGroupFrom === "server" ? "says the server" : "",
    roundTripTime: asMilliseconds(stats.roundTripTime),
    jitter: asMilliseconds(stats.jitter),
    lossRatio: asPercent(stats.lossRatio),
    mediaRoundTripTime: named("media", asMilliseconds(stats.mediaRoundTripTime)),
    outJitter: named("out", asMilliseconds(stats.outJitter)),
    outLossRatio: named("out", asPercent(stats.outLossRatio)),
    packets: `${stats.packetsSent} out, ${stats.packetsReceived} back`,
    codec: stats.codec && `${stats.codec.replace("audio/", "")}, ${stats.clockRate / 1000} kHz`,
  };
}

/** The smaller figures: nothing at all rather than a dash. */
const named = (name, text) => (text === null ? "" : `${name} ${text}`);

function asMilliseconds(seconds) {
  if (seconds === null) return null;
  return seconds < 0.001 ? "< 1 ms" : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}

const asPercent = (ratio) => (ratio === null ? null : `${(ratio * 100).toFixed(1)} %`);

