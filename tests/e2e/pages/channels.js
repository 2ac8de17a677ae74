// Data channels without a library, beside an audio transceiver. Leaves its state on window.call.
const SECONDS = 30;
const HIGH_WATER = 4_000_000; // bytes that may wait in the browser; it takes no more than 16 MB

async function makeOffer({ setup }) {
  const pc = new RTCPeerConnection();
  pc.addTransceiver("audio");
  window.call = { pc, arrived: [], control: pc.createDataChannel("control") };
  pc.ondatachannel = ({ channel }) => call.arrived.push(watch(channel));
  await pc.setLocalDescription();
  return pc.localDescription.sdp.replaceAll("a=setup:actpass", `a=setup:${setup}`);
}

async function takeAnswer(sdp) {
  await call.pc.setRemoteDescription({ type: "answer", sdp });
  await until("the channels are there", () => call.control.readyState === "open");
}

// A channel with what happened to it.
function watch(channel) {
  const watched = { channel, opened: channel.readyState === "open", closed: false, errors: [], messages: [] };
  channel.binaryType = "arraybuffer";
  channel.addEventListener("open", () => (watched.opened = true));
  channel.addEventListener("close", () => (watched.closed = true));
  channel.addEventListener("error", ({ error }) => watched.errors.push(error.message));
  channel.addEventListener("message", ({ data }) => watched.messages.push({ data, at: performance.now() }));
  return watched;
}

const open = (label, options = {}) => watch(call.pc.createDataChannel(label, options));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what, condition, seconds = SECONDS) {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not in ${seconds} s: ${what}`);
    await sleep(5);
  }
}

// Content by a seed, so that two messages are never alike.

function randomBytes(size, seed) {
  const words = new Uint32Array((size >> 2) + 1);
  let x = (seed * 2654435761 + 1) >>> 0 || 1;
  for (let n = 0; n < words.length; n++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[n] = x;
  }
  return words.buffer.slice(0, size);
}

// Text of that many bytes in UTF-8, of characters that take one to four of them.
function randomText(size, seed) {
  const characters = ["a", "é", "語", "🦜"];
  const text = [];
  for (const byte of new Uint8Array(randomBytes(size, seed))) {
    const length = Math.min((byte & 3) + 1, size);
    text.push(length === 1 ? String.fromCharCode(32 + (byte % 95)) : characters[length - 1]);
    size -= length;
    if (size === 0) break;
  }
  return text.join("");
}

const makeMessage = ({ kind, size }, seed) => (kind === "text" ? randomText : randomBytes)(size, seed);

async function digest(data) {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { kind: typeof data === "string" ? "text" : "bytes", size: bytes.byteLength, sum: sum.toHex() };
}

async function sendAll(channel, messages) {
  for (const message of messages) {
    await until("there is room to send", () => channel.bufferedAmount < HIGH_WATER);
    channel.send(message);
  }
}

const digestAll = (messages) => Promise.all(messages.map(digest));

// The scenes of the tests.

// Sends messages of these kinds and sizes, all at once, and waits for as many to come back.
async function exchange({ label, options = {}, wanted, seed }) {
  const one = open(label, options);
  await until("the channel is open", () => one.opened);
  const sent = wanted.map((each, number) => makeMessage(each, seed * 1000 + number));
  await sendAll(one.channel, sent);
  await until("all has come back", () => one.messages.length === sent.length);
  await until("nothing waits", () => one.channel.bufferedAmount === 0);
  return { sent: await digestAll(sent), heard: await digestAll(one.messages.map(({ data }) => data)) };
}

// Sends numbered messages, one each `everyMs`, and waits until all are back or nothing comes any more.
async function sendNumbered({ label, options = {}, count, size, everyMs = 0, quietMs = 2000 }) {
  const one = open(label, options);
  await until("the channel is open", () => one.opened);
  const sent = Array.from({ length: count }, (_, number) => `${number} ${randomText(size, number)}`);
  for (const message of sent) {
    one.channel.send(message);
    if (everyMs) await sleep(everyMs);
  }
  const sentAt = performance.now();
  const isQuiet = () => performance.now() - Math.max(one.messages.at(-1)?.at ?? 0, sentAt) > quietMs;
  await until("it is over", () => one.messages.length === count || isQuiet());
  await until("nothing waits", () => one.channel.bufferedAmount === 0);
  const numbers = one.messages.map(({ data }) => parseInt(data, 10));
  return { numbers, strangers: one.messages.filter(({ data }, at) => data !== sent[numbers[at]]).length };
}

// Opens so many channels at once, talks on each, and closes them all.
async function openAndClose({ label, count }) {
  const wave = Array.from({ length: count }, (_, number) => open(`${label} ${number}`));
  await until("all are open", () => wave.every(({ opened }) => opened));
  for (const { channel } of wave) channel.send(channel.label);
  const isEchoed = ({ channel, messages }) => messages.length === 1 && messages[0].data === channel.label;
  await until("all have answered", () => wave.every(isEchoed));
  const ids = wave.map(({ channel }) => channel.id);
  for (const { channel } of wave) channel.close();
  await until("all are closed", () => wave.every(({ closed }) => closed));
  return {
    ids,
    states: [...new Set(wave.map(({ channel }) => channel.readyState))],
    errors: wave.flatMap(({ errors }) => errors),
  };
}

// What is known here of a channel that the other side has opened.
async function describeArrived({ label }) {
  await until(`${label} has come`, () => call.arrived.some(({ channel }) => channel.label === label));
  const one = call.arrived.findLast(({ channel }) => channel.label === label);
  await until("the channel is open", () => one.opened);
  const { id, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated } = one.channel;
  return { id, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated };
}

async function messagesOn({ label, count }) {
  const one = call.arrived.findLast(({ channel }) => channel.label === label);
  await until(`${count} messages have come`, () => one.messages.length === count);
  return digestAll(one.messages.map(({ data }) => data));
}

async function waitForClose({ label }) {
  const one = call.arrived.findLast(({ channel }) => channel.label === label);
  await until(`${label} is closed`, () => one.closed);
  return { state: one.channel.readyState, errors: one.errors };
}

// Fills the browser's buffer, and watches it become empty.
async function fillBuffer({ label, size, count }) {
  const one = open(label);
  await until("the channel is open", () => one.opened);
  let lowAt = -1;
  one.channel.bufferedAmountLowThreshold = size;
  one.channel.onbufferedamountlow = () => (lowAt = one.channel.bufferedAmount);
  for (let number = 0; number < count; number++) one.channel.send(randomBytes(size, number));
  const highest = one.channel.bufferedAmount;
  await until("nothing waits", () => one.channel.bufferedAmount === 0);
  await until("all has come back", () => one.messages.length === count);
  return { highest, lowAt };
}
