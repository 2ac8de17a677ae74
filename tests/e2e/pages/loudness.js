// Tells how loud a stream is, every 10 ms, with the time of day: the tests' processes share that clock.
class Loudness extends AudioWorkletProcessor {
  constructor() {
    super();
    this.energy = 0;
    this.count = 0;
  }

  process([input]) {
    const samples = input[0]; // undefined while nothing is connected
    for (let index = 0; index < 128; index++) {
      if (samples) this.energy += samples[index] ** 2;
      if (++this.count * 100 < sampleRate) continue;
      this.port.postMessage([Date.now(), Math.sqrt(this.energy / this.count)]);
      this.energy = this.count = 0;
    }
    return true;
  }
}
registerProcessor("loudness", Loudness);
