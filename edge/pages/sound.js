/** Sound: how loud each direction is, now, and how that is shown. */

import { byId, stillness } from "./elements.js";
import { Picture } from "./picture.js";

const SILENCE_DB = -60;
const AUDIBLE = 0.0005; // −66 dB: below the noise of a microphone that is on
const QUIET = Object.freeze({ peak: 0, level: 0 });
const decibels = (level) => (level > 0 ? Math.max(SILENCE_DB, 20 * Math.log10(level)) : SILENCE_DB);

/** Listens to a stream. A remote stream is heard only while an <audio> element plays it too. */
class Ear {
  #source;
  #analyser;
  #samples;
  #lastReadAt = 0;

  constructor(context, stream) {
    this.#source = context.createMediaStreamSource(stream);
    this.#analyser = new AnalyserNode(context, { fftSize: 4096 });
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source.connect(this.#analyser);
  }

  /** Peak and level (root mean square), 0 to 1, of what was heard since the last look. */
  listen(now) {
    const rate = this.#analyser.context.sampleRate;
    const count = Math.min(this.#samples.length, Math.max(128, Math.round(((now - this.#lastReadAt) * rate) / 1000)));
    this.#lastReadAt = now;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let peak = 0;
    let energy = 0;
    for (let i = this.#samples.length - count; i < this.#samples.length; i += 1) {
      const sample = this.#samples[i];
      peak = Math.max(peak, Math.abs(sample));
      energy += sample * sample;
    }
    return { peak: Math.min(1, peak), level: Math.sqrt(energy / count) };
  }

  close() {
    this.#source.disconnect();
  }
}

/** A level in decibels below full scale: up at once, down gently. */
class MeterView {
  static FALL_DB_PER_SECOND = 45;

  #bar;
  #fill;
  #value;
  #shown = SILENCE_DB;
  #shownAt = 0;
  #spokenAt = 0;

  constructor(direction) {
    const meter = document.querySelector(`.meter[data-direction=${direction}]`);
    this.#bar = meter.querySelector(".meter-bar");
    this.#fill = meter.querySelector(".meter-fill");
    this.#value = meter.querySelector(".meter-value");
  }

  show(now, level) {
    const fallen = this.#shown - ((now - this.#shownAt) / 1000) * MeterView.FALL_DB_PER_SECOND;
    this.#shown = Math.max(decibels(level), fallen, SILENCE_DB);
    this.#shownAt = now;
    this.#fill.style.transform = `scaleX(${1 - this.#shown / SILENCE_DB})`;
    if (now - this.#spokenAt > 250) this.#write(now, Math.round(this.#shown));
  }

  rest() {
    this.#shown = SILENCE_DB;
    this.#fill.style.transform = "scaleX(0)";
    this.#write(0, SILENCE_DB);
  }

  #write(now, value) {
    const silent = value <= SILENCE_DB;
    this.#spokenAt = now;
    this.#value.textContent = silent ? "–" : `${value} dB`.replace("-", "−");
    this.#bar.setAttribute("aria-valuenow", String(value));
    this.#bar.setAttribute("aria-valuetext", silent ? "silent" : `${value} decibels`);
  }
}

/** Plays what comes back, and shows both directions for as long as a call has sound: levels, and the time line. */
export class SoundView {
  static HINT_AFTER_MS = 4000;
  static NEVER_HEARD_MS = 8000;
  static STILL_MS = 500; // between pictures, where motion is unwelcome

  #player = byId("voice");
  #picture = new Picture();
  #meters = { out: new MeterView("out"), back: new MeterView("back") };
  #context = null;
  #ears = { out: null, back: null };
  #heardAt = { out: 0, back: 0 };
  #callerWasHeard = false;
  #session = null;
  #blocked = false;
  #frameRequest = 0;
  #drawnAt = 0;
  #onHint;

  /** @param {(hint: ?string) => void} onHint told which of HINT_WORDS fits, or null */
  constructor(onHint) {
    this.#onHint = onHint;
    for (const gesture of ["pointerdown", "keydown"]) window.addEventListener(gesture, () => this.#blocked && this.#play());
  }

  /** A call begins. Called from a click, which is what lets a page make sound. */
  begin() {
    this.#context ??= new AudioContext();
    this.#context.resume();
    const now = performance.now();
    this.#heardAt = { out: now, back: now };
    this.#callerWasHeard = false;
    this.#session = null;
    this.#picture.begin(now, null);
    this.#frame(now);
  }

  /** Who is spoken to, and the conversation to draw. */
  accompany(session) {
    this.#session = session;
    this.#picture.begin(performance.now(), session.conversation);
  }

  follow(call) {
    if (call.microphone) this.#ears.out ??= new Ear(this.#context, call.microphone);
    if (call.voice && !this.#ears.back) {
      this.#player.srcObject = call.voice;
      this.#play();
      this.#ears.back = new Ear(this.#context, call.voice);
    }
  }

  /** Time counts for the hints from here on. */
  expectSound() {
    this.#heardAt = { out: performance.now(), back: performance.now() };
  }

  end() {
    cancelAnimationFrame(this.#frameRequest);
    this.#blocked = false;
    this.#ears.out?.close();
    this.#ears.back?.close();
    this.#ears = { out: null, back: null };
    this.#player.srcObject = null;
    this.#meters.out.rest();
    this.#meters.back.rest();
    this.#context?.suspend();
  }

  #play() {
    this.#player.play().then(
      () => (this.#blocked = false),
      (problem) => (this.#blocked = problem.name === "NotAllowedError"),
    );
  }

  #frame(now) {
    this.#frameRequest = requestAnimationFrame((time) => this.#frame(time));
    const out = this.#ears.out?.listen(now) ?? QUIET;
    const back = this.#ears.back?.listen(now) ?? QUIET;
    if (out.level > AUDIBLE) {
      this.#heardAt.out = now;
      this.#callerWasHeard = true;
    }
    if (back.level > AUDIBLE) this.#heardAt.back = now;
    this.#picture.add(now, out.peak, back.peak);
    this.#session?.conversation.listen(now, out.level, back.level);
    if (stillness.matches && now - this.#drawnAt < SoundView.STILL_MS) return;
    this.#drawnAt = now;
    this.#picture.draw();
    this.#meters.out.show(now, out.level);
    this.#meters.back.show(now, back.level);
    this.#onHint(this.#hint(now));
  }

  #hint(now) {
    const quiet = (direction, ms) => now - this.#heardAt[direction] > ms;
    const isEcho = this.#session?.partner === "none";
    if (this.#blocked) return "soundBlocked";
    // Who talks with an agent is silent while it answers. Who has never been heard may have a muted microphone.
    if (isEcho ? quiet("out", SoundView.HINT_AFTER_MS) : !this.#callerWasHeard && quiet("out", SoundView.NEVER_HEARD_MS)) {
      // Firefox runs no AudioContext, and so draws no sound, on a machine that has no output to play it on.
      return this.#context.state === "running" ? "microphoneSilent" : "noOutput";
    }
    return isEcho && quiet("back", SoundView.HINT_AFTER_MS) ? "nothingBack" : null;
  }
}
