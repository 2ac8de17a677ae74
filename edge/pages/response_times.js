/**
 * How long a caller waits for an answer, measured in this browser in two ways that mean different things:
 *
 * heard: from the caller's own level falling silent to the agent's level rising, both as this browser hears them. It
 *        holds everything: the network twice, the pause by which the server knows that a turn is over, the agent, and
 *        the browser's jitter buffer. What it leaves out are the sound card and its driver.
 * agent: from the arrival of `input_audio_buffer.speech_stopped` to that of `output_audio_buffer.started`. It leaves out
 *        the pause and, but for its variation, the network: what the agent and the server take.
 */

/** Levels are root mean squares, 0 to 1. */
const LEAST_LOUD = 0.004; // −48 dB
const ABOVE_FLOOR = 4; // 12 dB
const FLOOR_RISE = 1.002; // a look, of which there are some 60 a second: up by 1 dB a second
const LEAST_PAUSE_MS = 150; // less is a stop within a word
const MOST_TURNS = 500;

/** Tells from one direction's level since when there is sound, and until when there was. */
class Gate {
  /** Since when; a short pause does not count. */
  roseAt = -Infinity;
  lastLoudAt = -Infinity;
  #floor = LEAST_LOUD / ABOVE_FLOOR;

  listen(now, level) {
    this.#floor = Math.min(LEAST_LOUD, level < this.#floor ? level : Math.max(this.#floor, 1e-5) * FLOOR_RISE);
    if (level < Math.max(LEAST_LOUD, this.#floor * ABOVE_FLOOR)) return;
    if (now - this.lastLoudAt > LEAST_PAUSE_MS) this.roseAt = now;
    this.lastLoudAt = now;
  }
}

/**
 * Fills in, for each turn of the caller's, `silentAt` and `soundAt` (performance.now()), `heardAfter` and `agentAfter`
 * (milliseconds). What cannot be measured stays null: the page was hidden, or the agent was speaking already.
 */
export class ResponseTimes {
  #out = new Gate();
  #back = new Gate();
  #turns = [];
  /** Turns whose answer has not been heard, or told of. */
  #unheard = null;
  #untold = null;

  /** To be called for every frame. @returns {boolean} whether something new is known */
  listen(now, out, back) {
    this.#out.listen(now, out);
    this.#back.listen(now, back);
    return this.#lookForSound();
  }

  /** The server has noticed that the caller fell silent. */
  callerStopped(turn, at) {
    Object.assign(turn, { stopToldAt: at, silentAt: this.#out.lastLoudAt });
    this.#turns.push(turn);
    if (this.#turns.length > MOST_TURNS) this.#turns.shift();
    this.#untold = turn;
    const spokenOver = this.#back.roseAt <= turn.silentAt && this.#back.lastLoudAt > turn.silentAt;
    this.#unheard = turn.silentAt > -Infinity && !spokenOver ? turn : null;
    this.#lookForSound();
  }

  /** The server begins to send an answer's audio. */
  audioStarted(at) {
    if (this.#untold) this.#untold.agentAfter = at - this.#untold.stopToldAt;
    this.#untold = null;
  }

  /** What is heard next answers something else: the caller speaks again, or has written. */
  forget() {
    this.#unheard = this.#untold = null;
  }

  /** @returns {{heard: Summary, agent: Summary}} where a Summary is {count, last, median}, in milliseconds */
  summarize() {
    return { heard: summarize(this.#turns.map((turn) => turn.heardAfter)), agent: summarize(this.#turns.map((turn) => turn.agentAfter)) };
  }

  #lookForSound() {
    const turn = this.#unheard;
    if (!turn || this.#back.roseAt <= turn.silentAt) return false;
    Object.assign(turn, { soundAt: this.#back.roseAt, heardAfter: this.#back.roseAt - turn.silentAt });
    this.#unheard = null;
    return true;
  }
}

function summarize(times) {
  const known = times.filter((time) => time !== null);
  if (known.length === 0) return { count: 0, last: null, median: null };
  const sorted = known.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { count: known.length, last: known.at(-1), median };
}
