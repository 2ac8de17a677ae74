/**
 * The time line: the caller above, the agent below, the newest at the right. Bars are sound as this browser hears it;
 * behind them lie the turns as the server tells of them, so that it can be seen how well the two agree. Between the end
 * of a turn and its answer stands how long that took; where the agent was cut off stands a mark.
 */

import { byId, stillness } from "./elements.js";

const BUCKET_MS = 50;
const BUCKETS = 1024;
const BAR_SHARE = 0.62;
const MARGIN = 4; // above and below the lanes
const GUTTER = 24; // between them: response times stand there

export class Picture {
  #canvas = byId("scope");
  #pen = this.#canvas.getContext("2d");
  #style = {};
  #step = 4; // pixels a bucket
  #out = new Float32Array(BUCKETS);
  #back = new Float32Array(BUCKETS);
  #bucket = 0;
  #now = 0;
  /** @type {?Conversation} null before the first call */
  #conversation = null;

  constructor() {
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
  }

  begin(now, conversation) {
    this.#out.fill(0);
    this.#back.fill(0);
    this.#bucket = Math.floor(now / BUCKET_MS);
    this.#conversation = conversation;
  }

  add(now, out, back) {
    const bucket = Math.floor(now / BUCKET_MS);
    // A slow frame covers several buckets; a long sleep of the page covers the whole picture.
    const first = Math.max(this.#bucket + 1, bucket - BUCKETS + 1);
    for (let missed = first; missed <= bucket; missed += 1) this.#set(missed, out, back);
    if (bucket === this.#bucket) this.#set(bucket, Math.max(out, this.#out[bucket % BUCKETS]), Math.max(back, this.#back[bucket % BUCKETS]));
    this.#bucket = bucket;
    this.#now = now;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const pen = this.#pen;
    pen.clearRect(0, 0, width, height);
    this.#drawSeconds(width, height);
    if (this.#conversation) {
      this.#drawSpans(width, height);
      this.#drawSound(width, height);
    } else {
      this.#drawPromise(width, height);
    }
    pen.globalAlpha = 1;
    pen.fillStyle = this.#style.line;
    pen.fillRect(0, Math.round(height / 2), width, 1);
    if (this.#conversation) this.#drawMarks(width, height);
  }

  #set(bucket, out, back) {
    this.#out[bucket % BUCKETS] = out;
    this.#back[bucket % BUCKETS] = back;
  }

  #fit() {
    const scale = window.devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.#step = width < 500 ? 3 : 4;
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    this.#style = {
      out: read("--out"),
      back: read("--back"),
      line: read("--ink-line"),
      ink: read("--ink"),
      text: read("--ink-text"),
      alarm: read("--alarm"),
      font: read("--sans"),
    };
    this.draw();
  }

  /** Where a moment lies; in whole buckets where motion is unwelcome. */
  #x(at, width) {
    const now = stillness.matches ? this.#bucket * BUCKET_MS : this.#now;
    return width - ((now - at) / BUCKET_MS) * this.#step;
  }

  #drawSeconds(width, height) {
    this.#pen.globalAlpha = 0.45;
    this.#pen.fillStyle = this.#style.line;
    const now = this.#bucket * BUCKET_MS;
    for (let second = now - (now % 1000); this.#x(second, width) > 0; second -= 1000) this.#pen.fillRect(this.#x(second, width), 0, 1, height);
  }

  #drawSpans(width, height) {
    this.#eachInView(width, (entry, from, to) => {
      const isTurn = entry.kind === "turn";
      const lane = laneHeight(height);
      this.#pen.globalAlpha = 0.17;
      this.#pen.fillStyle = isTurn ? this.#style.out : this.#style.back;
      this.#pen.beginPath();
      this.#pen.roundRect(from, isTurn ? MARGIN : height - MARGIN - lane, Math.max(2, to - from), lane, 6);
      this.#pen.fill();
    });
  }

  /** Each turn and reply that can be seen, with its ends in pixels; from the newest back. */
  #eachInView(width, show) {
    const entries = this.#conversation.entries;
    for (let i = entries.length - 1; i >= 0; i -= 1) {
      const entry = entries[i];
      if (entry.kind === "turn" || (entry.kind === "reply" && entry.startedAt !== null)) {
        const [start, end] = entry.kind === "turn" ? this.#conversation.spanOf(entry) : [entry.startedAt, entry.stoppedAt];
        const to = this.#x(end ?? this.#now, width);
        // What a turn says stands behind it, up to its answer.
        if (to > -width) show(entry, this.#x(start, width), to);
      }
    }
  }

  #drawSound(width, height) {
    const pen = this.#pen;
    const lane = laneHeight(height);
    // The ear hears ratios: a power below one lets quiet speech be seen.
    const tall = (peak) => peak ** 0.6 * (lane - 4);
    const oldest = this.#bucket - Math.min(BUCKETS - 1, Math.ceil(width / this.#step));
    pen.globalAlpha = 1;
    const lanes = [
      [this.#out, this.#style.out, -1],
      [this.#back, this.#style.back, 1],
    ];
    for (const [peaks, colour, sign] of lanes) {
      pen.fillStyle = colour;
      pen.beginPath();
      for (let bucket = this.#bucket; bucket > oldest; bucket -= 1) {
        const size = tall(peaks[bucket % BUCKETS]);
        if (size >= 1) this.#bar(this.#x(bucket * BUCKET_MS, width), size, sign, height);
      }
      pen.fill();
    }
  }

  /** A bar that grows from the gutter, up (−1) or down (1). */
  #bar(x, size, sign, height) {
    const thick = this.#step * BAR_SHARE;
    const foot = (height + sign * GUTTER) / 2;
    this.#pen.roundRect(x - thick, sign < 0 ? foot - size : foot, thick, size, thick / 2);
  }

  #drawMarks(width, height) {
    const pen = this.#pen;
    pen.font = `500 12px ${this.#style.font}`;
    pen.textBaseline = "middle";
    this.#eachInView(width, (entry, from, to) => {
      if (entry.kind === "reply" && entry.isCut) this.#drawCut(to, height);
      if (entry.kind === "turn" && entry.heardAfter !== null) this.#drawWait(entry, width, height);
    });
  }

  #drawCut(x, height) {
    const pen = this.#pen;
    pen.fillStyle = this.#style.alarm;
    const lane = laneHeight(height);
    pen.fillRect(x - 1, height - MARGIN - lane, 2, lane);
    pen.textAlign = "left";
    pen.fillText("cut off", x + 6, height - MARGIN - 9);
  }

  /** A bar from the caller's silence to the sound of the answer, and wider where its text needs more. */
  #drawWait(turn, width, height) {
    const pen = this.#pen;
    const [from, to] = [this.#x(turn.silentAt, width), this.#x(turn.soundAt, width)];
    const text = `${Math.round(turn.heardAfter)} ms`;
    const long = Math.max(to - from, pen.measureText(text).width + 12);
    const middle = (from + to) / 2;
    pen.fillStyle = this.#style.text;
    pen.beginPath();
    pen.roundRect(middle - long / 2, height / 2 - 9, long, 18, 9);
    pen.fill();
    pen.fillStyle = this.#style.ink;
    pen.textAlign = "center";
    pen.fillText(text, middle, height / 2 + 1);
  }

  /** Before the first call: faint phrases and their answers, so that the picture explains itself. */
  #drawPromise(width, height) {
    const pen = this.#pen;
    const phrase = (i) => Math.abs(Math.sin(i * 0.47) * Math.sin(i * 0.13)) * Math.max(0, Math.sin(i * 0.047)) ** 2 * laneHeight(height) * 0.85;
    pen.globalAlpha = 0.26;
    const lanes = [
      [this.#style.out, 0, -1],
      [this.#style.back, 67, 1],
    ];
    for (const [colour, delay, sign] of lanes) {
      pen.fillStyle = colour;
      pen.beginPath();
      for (let i = 0; i * this.#step < width; i += 1) {
        const size = i < delay ? 0 : phrase(i - delay);
        if (size >= 1) this.#bar((i + 1) * this.#step, size, sign, height);
      }
      pen.fill();
    }
  }
}

const laneHeight = (height) => (height - GUTTER) / 2 - MARGIN;
