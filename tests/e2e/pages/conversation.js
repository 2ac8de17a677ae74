// What both kinds of callers share: a log of events that can be waited for, and ears.
const conversation = {
  events: [], // {at, event}; `at` in milliseconds of the time of day
  waiting: new Set(),
  ears: {},

  note(event) {
    this.events.push({ at: Date.now(), event });
    for (const look of this.waiting) look();
  },

  // Wait for the first event from index `from` on that has these fields, those of inner objects included.
  wait(wanted, from, seconds) {
    const matches = (found, want) =>
      want && typeof want === "object"
        ? found && typeof found === "object" && Object.keys(want).every((key) => matches(found[key], want[key]))
        : found === want;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        const names = this.events.slice(from).map(({ event }) => event.type);
        reject(new Error(`no ${JSON.stringify(wanted)} within ${seconds} s, but ${names.slice(-60).join(", ")}`));
      }, seconds * 1000);
      const look = () => {
        const index = this.events.findIndex(({ event }, number) => number >= from && matches(event, wanted));
        if (index < 0) return;
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve({ index, ...this.events[index] });
      };
      this.waiting.add(look);
      look();
    });
  },

  async microphone() {
    const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: raw });
    await this.listen("microphone", stream);
    return stream;
  },

  async listen(name, stream) {
    if (!this.context) {
      this.context = new AudioContext({ sampleRate: 48000 });
      await this.context.audioWorklet.addModule("/loudness.js");
      await this.context.resume();
    }
    const ear = new AudioWorkletNode(this.context, "loudness");
    this.ears[name] = { node: ear, times: [], levels: [] };
    ear.port.onmessage = ({ data: [at, level] }) => {
      this.ears[name].times.push(at);
      this.ears[name].levels.push(level);
    };
    this.context.createMediaStreamSource(stream).connect(ear);
    ear.connect(this.context.destination); // what leads nowhere is not run; the node itself is silent
  },

  heard(name) {
    return { times: this.ears[name].times, levels: this.ears[name].levels };
  },

  // Wait until `name` was louder (or, `quiet`, no louder) than a level for so long, at any time since `since`; gives
  // the time when that began. With `broken`, other frames may be in between.
  waitForLoudness({ name, level, milliseconds, quiet, broken, seconds, since }) {
    const frames = milliseconds / 10;
    const { times, levels } = this.ears[name];
    const later = times.findIndex((at) => since !== null && at >= since);
    const first = later < 0 ? levels.length : later;
    return new Promise((resolve, reject) => {
      const began = Date.now();
      const timer = setInterval(() => {
        let run = 0;
        let start = first;
        for (let index = first; index < levels.length; index++) {
          if (levels[index] > level !== quiet) {
            if (run++ === 0) start = index;
          } else if (!broken) {
            run = 0;
          }
          if (run < frames) continue;
          clearInterval(timer);
          resolve(times[start]);
          return;
        }
        if (Date.now() - began < seconds * 1000) return;
        clearInterval(timer);
        reject(new Error(`${name} was not ${quiet ? "quiet" : "loud"} for ${milliseconds} ms within ${seconds} s`));
      }, 10);
    });
  },
};
