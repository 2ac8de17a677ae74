/**
 * trio-voice in a browser: press Talk, hear yourself come back from the transceiver, through the relay.
 *
 * Read from top to bottom: the words people see, one call, its statistics, its sound, the views, and last the wiring.
 * The call knows nothing of the page; views listen to its events and read its properties.
 *
 * Options in the address, for tests and for measuring:
 *   ?connect-timeout=MS     give up when no media path stands after this long (10000)
 *   ?reconnect-timeout=MS   give up when a lost path has not come back after this long (30000)
 *   ?processing=off         no echo cancellation, noise suppression or gain control: a tone comes through unharmed
 *
 * Tests and tools may read `window.trioVoice`: {state, reason, timeline, stats, location}. Nothing there can be written.
 */

const CALLS_ENDPOINT = "/v1/realtime/calls";
const STATS_INTERVAL_MS = 500;
const FAREWELL_MS = 1000;
const SILENCE_DB = -60;
const AUDIBLE = 0.0005; // −66 dB: below the noise of a microphone that is on

// ---------------------------------------------------------------------------------------------------------------------
// Words: everything the page says about a call, in one place

const STATE_WORDS = {
  idle: {
    title: "Ready when you are",
    detail: "Put on headphones, press Talk and say something.",
  },
  asking: {
    title: "Waiting for the microphone",
    detail: "Your browser is asking whether this page may listen. Choose Allow.",
  },
  connecting: { title: "Connecting", detail: "Finding a path to the server and agreeing on keys." },
  key: {
    title: "This server asks for a key",
    detail: "It stays in the memory of this page and is forgotten when you leave.",
  },
  talking: {
    title: "Connected",
    detail: "What you say comes back from the transceiver. Headphones keep it from going round again.",
  },
  reconnecting: {
    title: "Reconnecting",
    detail: "The server has gone quiet. The call goes on as soon as it answers again.",
  },
};

const HINT_WORDS = {
  microphoneSilent: "Your microphone hears nothing. Is it muted, or is another one selected?",
  nothingBack: "You can be heard, but nothing has come back for a while.",
  noOutput: "Your browser finds no sound output. The call goes on, but nothing can be heard or drawn here.",
  soundBlocked: "Your browser holds the sound back. Press any key or tap the page to hear it.",
};

/** Why a call ended: a code for tools, and the words for people. `problem` is false when somebody wanted it to end. */
class Ending {
  constructor(code, title, detail, problem = true) {
    Object.assign(this, { code, title, detail, problem });
    Object.freeze(this);
  }
}

const ENDINGS = {
  hungUp: () => new Ending("hung-up", "Call ended", "Press Talk to call again.", false),
  serverHungUp: () => new Ending("server-hung-up", "The server ended the call", "Press Talk to call again.", false),
  unsupportedBrowser: () =>
    new Ending("unsupported-browser", "This browser cannot make calls", "It lacks WebRTC. A current Chrome, Edge, Firefox or Safari has it."),
  insecurePage: () =>
    new Ending(
      "insecure-page",
      "The browser keeps the microphone from this page",
      "Browsers lend it to secure pages only. Open this one with https://, or as http://localhost on the machine that serves it.",
    ),
  microphoneRefused: () =>
    new Ending(
      "microphone-refused",
      "The microphone was refused",
      "Allow it for this page (the icon beside the address opens the setting), then press Talk again. The system's privacy settings can refuse it too.",
    ),
  microphoneMissing: () =>
    new Ending("microphone-missing", "No microphone was found", "Plug one in or switch it on, then press Talk again."),
  microphoneBusy: () =>
    new Ending(
      "microphone-busy",
      "The microphone could not be opened",
      "Another program may be holding it. Close that program, then press Talk again.",
    ),
  microphoneLost: () =>
    new Ending("microphone-lost", "The microphone went away", "It was unplugged or switched off. Press Talk to go on with another one."),
  serverGone: () =>
    new Ending(
      "server-gone",
      "The server cannot be reached",
      "It may have stopped, or this machine is offline. Check that trio-voice is running, then press Talk again.",
    ),
  serverSilent: (seconds) =>
    new Ending("server-silent", "The server does not answer", `It took the call but said nothing for ${seconds}. Press Talk to try again.`),
  refused: (message, retryAfter) =>
    new Ending("refused", "The server refused the call", retryAfter ? `${message} Try again in ${retryAfter} s.` : message),
  badAnswer: (message) =>
    new Ending("bad-answer", "The server's answer makes no sense to this browser", message),
  udpBlocked: (seconds, addresses) =>
    new Ending(
      "udp-blocked",
      "This network seems to block UDP",
      `The server answered, but no media got through in ${seconds}. Try another network, such as a phone's hotspot, or switch a VPN off. ` +
        `Whoever runs this network can help by allowing UDP${addresses.length ? ` to ${addresses.join(" and ")}` : ""}.` +
        (addresses.length && addresses.every(isLoopback) ? " (Firefox never uses a loopback address. Offline, take another browser.)" : ""),
    ),
  handshakeFailed: () =>
    new Ending(
      "handshake-failed",
      "No secure connection came about",
      "Packets got through, but the two sides could not agree on keys. Something on the way may be altering them. Press Talk to try again.",
    ),
  pathLost: () =>
    new Ending(
      "path-lost",
      "The connection was lost",
      "The server still answers web requests, but sound no longer gets through. Your network may have changed. Press Talk to call again.",
    ),
  serverLost: () =>
    new Ending("server-lost", "The server is gone", "It stopped answering during the call. Press Talk to try again."),
  unexpected: (message) => new Ending("unexpected", "Something went wrong", `${message}. Press Talk to try again.`),
};

const MICROPHONE_ENDINGS = {
  NotAllowedError: ENDINGS.microphoneRefused,
  SecurityError: ENDINGS.microphoneRefused,
  NotFoundError: ENDINGS.microphoneMissing,
  OverconstrainedError: ENDINGS.microphoneMissing,
  NotReadableError: ENDINGS.microphoneBusy,
  AbortError: ENDINGS.microphoneBusy,
};

// ---------------------------------------------------------------------------------------------------------------------
// Call: the microphone, the offer and answer, and what becomes of them

/** From each state, the states that may follow. A call begins `idle` and is used once. */
const NEXT_STATES = {
  idle: ["asking"],
  asking: ["connecting", "ended"],
  connecting: ["key", "talking", "ended"],
  key: ["connecting", "ended"],
  talking: ["reconnecting", "ended"],
  reconnecting: ["talking", "ended"],
  ended: [],
};

/**
 * One call from the click to the end.
 *
 * Events, each without data (read the properties): `state`, `timeline` and `stats` when that property has changed,
 * `sound` when `microphone` or `voice` has a stream.
 */
export class Call extends EventTarget {
  state = "idle";
  /** @type {?Ending} why it ended */
  ending = null;
  /** Milliseconds from the POST of the offer: {post, ice, dtls, firstAudio}, each null until it has happened. */
  timeline = Object.freeze({ post: null, ice: null, dtls: null, firstAudio: null });
  /** @type {?object} see readStats */
  stats = null;
  /** @type {?URL} the call's own address at the server */
  location = null;
  /** @type {?MediaStream} */
  microphone = null;
  /** @type {?MediaStream} what comes back */
  voice = null;
  /** @type {?number} performance.now() at the moment both sides had keys */
  talkingSince = null;
  keyRefused = false;

  #options;
  #apiKey;
  #peer = null;
  #offerSentAt = 0;
  #serverAddresses = [];
  #giveKey = null;
  #serverGroup = null;
  #groupHeard = null;
  #setUpTimer = 0;
  #lostTimer = 0;
  #statsTimer = 0;

  /** @param {{connectTimeout: number, reconnectTimeout: number, processing: boolean, apiKey: string}} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#apiKey = options.apiKey;
  }

  get apiKey() {
    return this.#apiKey;
  }

  /** Make the call. Resolves when the answer is in place or the call has ended; never rejects. */
  async start() {
    try {
      this.#enter("asking");
      const microphone = await openMicrophone(this.#options.processing);
      if (this.state === "ended") return stopTracks(microphone);
      this.#adoptMicrophone(microphone);
      this.#enter("connecting");
      this.#openPeer();
      const offer = await this.#peer.createOffer();
      // The server learns our addresses from our first packets, so there are no candidates to wait for: the offer goes
      // out as it was created, once setLocalDescription has accepted it.
      await this.#peer.setLocalDescription(offer);
      const answer = await this.#postOffer(offer.sdp);
      if (this.state !== "ended") await this.#applyAnswer(answer);
    } catch (problem) {
      this.#end(problem instanceof Ending ? problem : ENDINGS.unexpected(problem?.message ?? String(problem)));
    }
  }

  /** Answer the state `key`. */
  useKey(key) {
    this.#apiKey = key;
    this.#giveKey?.();
  }

  hangUp() {
    if (this.state !== "idle") this.#end(ENDINGS.hungUp());
  }

  // -- set-up, in the order in which it happens

  #adoptMicrophone(stream) {
    this.microphone = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.#end(ENDINGS.microphoneLost()));
    this.#emit("sound");
  }

  #openPeer() {
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    for (const track of this.microphone.getTracks()) peer.addTrack(track, this.microphone);
    peer.addEventListener("track", (event) => this.#hear(event));
    peer.addEventListener("iceconnectionstatechange", () => this.#onIceState(peer.iceConnectionState));
    // The DTLS transport exists once the descriptions are set (#watchDtls), and may have connected before a busy page
    // comes to that. The connection as a whole can be listened to from the start, and is connected when DTLS is.
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState === "connected") this.#onDtlsState("connected");
    });
  }

  /** POST until the server takes the key, or needs none. */
  async #postOffer(sdp) {
    for (;;) {
      const response = await this.#postOnce(sdp);
      if (response.status !== 401) return this.#readAnswer(response);
      this.keyRefused = Boolean(this.#apiKey);
      this.#apiKey = "";
      this.#enter("key");
      await new Promise((resolve) => (this.#giveKey = resolve));
      this.#enter("connecting");
    }
  }

  async #postOnce(sdp) {
    const timeout = this.#options.connectTimeout;
    this.#offerSentAt = performance.now();
    try {
      return await fetch(CALLS_ENDPOINT, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Accept: "application/sdp, application/json", ...this.#authorization() },
        body: sdp,
        cache: "no-store",
        signal: AbortSignal.timeout(timeout),
      });
    } catch (problem) {
      throw problem.name === "TimeoutError" ? ENDINGS.serverSilent(inSeconds(timeout)) : ENDINGS.serverGone();
    }
  }

  async #readAnswer(response) {
    if (!response.ok) throw await refusalOf(response);
    this.location = callAddress(response.headers.get("Location"));
    const answer = await response.text().catch(() => {
      throw ENDINGS.serverGone();
    });
    this.#mark("post");
    // Hung up while the server was making the call: it has a call that nobody wants.
    if (this.state === "ended") this.#tellServer();
    return answer;
  }

  async #applyAnswer(sdp) {
    this.#serverAddresses = candidateAddresses(sdp);
    await this.#peer.setRemoteDescription({ type: "answer", sdp }).catch((problem) => {
      throw ENDINGS.badAnswer(problem.message);
    });
    if (this.state === "ended") return;
    this.#statsTimer = setInterval(() => this.#readStats(), STATS_INTERVAL_MS);
    this.#watchDtls();
    if (this.state === "connecting") this.#setUpTimer = setTimeout(() => this.#giveUpSetUp(), this.#options.connectTimeout);
  }

  #watchDtls() {
    const transport = this.#peer.getSenders()[0].transport;
    if (!transport) return;
    transport.addEventListener("statechange", () => this.#onDtlsState(transport.state));
    this.#onDtlsState(transport.state);
  }

  #giveUpSetUp() {
    const waited = inSeconds(performance.now() - this.#offerSentAt);
    const blocked = this.timeline.ice === null;
    this.#end(blocked ? ENDINGS.udpBlocked(waited, this.#serverAddresses) : ENDINGS.handshakeFailed());
  }

  #hear({ track, streams }) {
    this.voice = streams[0] ?? new MediaStream([track]);
    // A track is unmuted by the first packet that decrypts.
    track.addEventListener("unmute", () => this.#mark("firstAudio"), { once: true });
    this.#emit("sound");
  }

  // -- what the browser reports while the call lasts

  #onIceState(state) {
    if (state === "connected" || state === "completed") {
      this.#mark("ice");
      clearTimeout(this.#lostTimer);
      if (this.state === "reconnecting") this.#enter("talking");
    } else if (state === "disconnected" && this.state === "talking") {
      this.#enter("reconnecting");
      this.#lostTimer = setTimeout(() => this.#endLost(), this.#options.reconnectTimeout);
    } else if (state === "failed") {
      this.#onFailure();
    }
  }

  #onDtlsState(state) {
    if (state === "connected" && this.state === "connecting") {
      this.#mark("dtls");
      clearTimeout(this.#setUpTimer);
      this.talkingSince = performance.now();
      this.#enter("talking");
    } else if (state === "closed") {
      this.#end(ENDINGS.serverHungUp());
    } else if (state === "failed") {
      this.#onFailure();
    }
  }

  /** ICE has failed, or DTLS. Firefox says of DTLS that it failed when ICE has: only what stood before tells them apart. */
  #onFailure() {
    if (this.talkingSince === null) return this.#giveUpSetUp();
    if (this.state === "talking") this.#enter("reconnecting");
    this.#endLost();
  }

  async #readStats() {
    const report = await this.#peer.getStats();
    if (this.state === "ended") return;
    this.stats = this.#withGroup(readStats(report));
    // For a browser that shows no `unmute`: late by up to one interval, and never before it where there is one.
    if (this.stats.packetsReceived > 0) this.#mark("firstAudio");
    this.#emit("stats");
  }

  /** Chromium 156 and Firefox 153 keep the handshake's group to themselves. The server took part: ask there, once, and say so. */
  #withGroup(stats) {
    if (stats.dtlsGroup !== null) return Object.freeze({ ...stats, dtlsGroupFrom: "browser" });
    if (stats.dtlsVersion !== null) this.#serverGroup ??= this.#askGroup();
    return Object.freeze({ ...stats, dtlsGroup: this.#groupHeard, dtlsGroupFrom: this.#groupHeard && "server" });
  }

  async #askGroup() {
    if (!this.location) return;
    const response = await fetch(this.location, { headers: this.#authorization(), cache: "no-store" }).catch(() => null);
    const call = response?.ok ? await response.json().catch(() => null) : null;
    this.#groupHeard = call?.dtls?.group ?? null;
  }

  // -- the end

  async #endLost() {
    const reachable = await fetch(".", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(3000) }).then(() => true, () => false);
    if (this.state === "reconnecting") this.#end(reachable ? ENDINGS.pathLost() : ENDINGS.serverLost());
  }

  #end(ending) {
    if (this.state === "ended") return;
    this.ending = ending;
    clearTimeout(this.#setUpTimer);
    clearTimeout(this.#lostTimer);
    clearInterval(this.#statsTimer);
    if (this.microphone) stopTracks(this.microphone);
    this.#enter("ended");
    this.#release();
  }

  /** First the DELETE, then the connection: closing it tells the server too, which then no longer knows the call. */
  async #release() {
    const farewell = new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
    if (this.ending.code !== "server-hung-up") await Promise.race([this.#tellServer(), farewell]);
    this.#peer?.close();
  }

  /** DELETE the call; `keepalive` lets the request outlive the page. Never rejects. */
  async #tellServer() {
    if (!this.location) return;
    await fetch(this.location, { method: "DELETE", headers: this.#authorization(), keepalive: true }).catch(() => {});
  }

  // -- small change

  #authorization() {
    return this.#apiKey ? { Authorization: `Bearer ${this.#apiKey}` } : {};
  }

  #enter(state) {
    if (this.state === "ended") return;
    if (!NEXT_STATES[this.state].includes(state)) throw new Error(`no way from ${this.state} to ${state}`);
    this.state = state;
    this.#emit("state");
  }

  #mark(step) {
    if (this.state === "ended" || this.timeline[step] !== null) return;
    this.timeline = Object.freeze({ ...this.timeline, [step]: performance.now() - this.#offerSentAt });
    this.#emit("timeline");
  }

  #emit(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** Ask for the microphone; throws the Ending that says why there is none. */
async function openMicrophone(processing) {
  if (typeof RTCPeerConnection === "undefined") throw ENDINGS.unsupportedBrowser();
  if (!navigator.mediaDevices?.getUserMedia) throw ENDINGS.insecurePage();
  const audio = { echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (problem) {
    throw (MICROPHONE_ENDINGS[problem.name] ?? ENDINGS.microphoneBusy)();
  }
}

function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** The server's own words where it has some: {"error": {"message": …}}. */
async function refusalOf(response) {
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `It answered with status ${response.status} and no reason.`;
  const retryAfter = Number(response.headers.get("Retry-After"));
  return ENDINGS.refused(asSentence(message), retryAfter > 0 ? retryAfter : null);
}

/** Where to DELETE the call. A key goes to the server that this page came from, and to no other. */
function callAddress(location) {
  if (!location) return null;
  const address = new URL(location, new URL(CALLS_ENDPOINT, document.baseURI));
  return address.origin === window.location.origin ? address : null;
}

/** "ADDRESS port PORT" of each UDP candidate in an answer, for the words about blocked UDP. */
function candidateAddresses(sdp) {
  const lines = sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ/gim);
  return [...new Set(Array.from(lines, ([, address, port]) => `${address} port ${port}`))].slice(0, 3);
}

const isLoopback = (address) => /^(127\.|::1 )/.test(address);
const asSentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const inSeconds = (ms) => `${Math.round(ms / 100) / 10} s`;

// ---------------------------------------------------------------------------------------------------------------------
// Statistics: what matters of a getStats report, under plain names

const TLS_VERSIONS = { FEFC: "DTLS 1.3", FEFD: "DTLS 1.2", FEFF: "DTLS 1.0" };

/**
 * Times in seconds, losses as ratios from 0 to 1, names as the browser gives them; null where the browser does not say
 * (older Firefoxes leave out most of the transport's facts). `out…` is what the server reports about the sound it gets.
 */
export function readStats(report) {
  const all = [...report.values()];
  const find = (type) => all.find((stat) => stat.type === type && (stat.kind ?? "audio") === "audio");
  const transport = find("transport");
  const inbound = find("inbound-rtp");
  const heard = find("remote-inbound-rtp");
  const pair =
    report.get(transport?.selectedCandidatePairId) ??
    all.find((stat) => stat.type === "candidate-pair" && stat.nominated && stat.state === "succeeded");
  const relay = report.get(pair?.remoteCandidateId);
  const codec = report.get(inbound?.codecId);
  const expected = inbound ? inbound.packetsReceived + inbound.packetsLost : 0;
  return Object.freeze({
    roundTripTime: pair?.currentRoundTripTime ?? heard?.roundTripTime ?? null,
    mediaRoundTripTime: heard?.roundTripTime ?? null,
    jitter: inbound?.jitter ?? null,
    lossRatio: expected > 0 ? Math.max(0, inbound.packetsLost) / expected : null,
    packetsReceived: inbound?.packetsReceived ?? 0,
    packetsSent: find("outbound-rtp")?.packetsSent ?? 0,
    outJitter: heard?.jitter ?? null,
    outLossRatio: heard?.fractionLost ?? null,
    dtlsVersion: TLS_VERSIONS[transport?.tlsVersion] ?? transport?.tlsVersion ?? null,
    dtlsGroup: transport?.tlsGroup ?? null,
    dtlsCipher: transport?.dtlsCipher ?? null,
    srtpProfile: transport?.srtpCipher ?? null,
    codec: codec?.mimeType ?? null,
    clockRate: codec?.clockRate ?? null,
    remoteAddress: relay?.address && relay.port ? joinAddress(relay.address, relay.port) : null,
  });
}

const joinAddress = (address, port) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

// ---------------------------------------------------------------------------------------------------------------------
// Sound: how loud a stream is, now

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

const QUIET = Object.freeze({ peak: 0, level: 0 });
const decibels = (level) => (level > 0 ? Math.max(SILENCE_DB, 20 * Math.log10(level)) : SILENCE_DB);

// ---------------------------------------------------------------------------------------------------------------------
// Views: each shows one thing, and is told when to

const byId = (id) => document.getElementById(id);
const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

/** What goes out above a line, what comes back below it, the newest at the right: an echo's delay can be seen. */
class ScopeView {
  static BUCKET_MS = 25;
  static STEP = 5;
  static BAR = 3;

  #canvas = byId("scope");
  #pen = this.#canvas.getContext("2d");
  #colours = {};
  #out = new Float32Array(1024);
  #back = new Float32Array(1024);
  #bucket = 0;
  #now = 0;
  #used = false;

  constructor() {
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
  }

  clear(now) {
    this.#out.fill(0);
    this.#back.fill(0);
    this.#bucket = Math.floor(now / ScopeView.BUCKET_MS);
    this.#used = true;
  }

  add(now, out, back) {
    const bucket = Math.floor(now / ScopeView.BUCKET_MS);
    // A slow frame covers several buckets; a long sleep of the page covers the whole picture.
    const first = Math.max(this.#bucket + 1, bucket - this.#out.length + 1);
    for (let missed = first; missed <= bucket; missed += 1) this.#set(missed, out, back);
    if (bucket === this.#bucket) this.#set(bucket, Math.max(out, this.#at(this.#out, bucket)), Math.max(back, this.#at(this.#back, bucket)));
    this.#bucket = bucket;
    this.#now = now;
  }

  draw() {
    const { width, height } = this.#size();
    const pen = this.#pen;
    pen.clearRect(0, 0, width, height);
    this.#drawSeconds(width, height);
    if (this.#used) this.#drawSound(width, height);
    else this.#drawPromise(width, height);
    pen.globalAlpha = 1;
    pen.fillStyle = this.#colours.line;
    pen.fillRect(0, Math.round(height / 2), width, 1);
  }

  #set(bucket, out, back) {
    this.#out[bucket % this.#out.length] = out;
    this.#back[bucket % this.#back.length] = back;
  }

  #at(peaks, bucket) {
    return peaks[bucket % peaks.length];
  }

  #size() {
    return { width: this.#canvas.clientWidth, height: this.#canvas.clientHeight };
  }

  #fit() {
    const scale = window.devicePixelRatio;
    const { width, height } = this.#size();
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#pen.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.#colours = { out: colour("--out"), back: colour("--back"), line: colour("--ink-line") };
    this.draw();
  }

  /** How far a bucket has moved left; in whole buckets where motion is unwelcome. */
  #age(bucket) {
    const now = stillness.matches ? this.#bucket * ScopeView.BUCKET_MS : this.#now;
    return ((now - bucket * ScopeView.BUCKET_MS) / ScopeView.BUCKET_MS) * ScopeView.STEP;
  }

  #drawSeconds(width, height) {
    const perSecond = 1000 / ScopeView.BUCKET_MS;
    this.#pen.globalAlpha = 0.45;
    this.#pen.fillStyle = this.#colours.line;
    for (let bucket = this.#bucket - (this.#bucket % perSecond); width - this.#age(bucket) > 0; bucket -= perSecond) {
      this.#pen.fillRect(width - this.#age(bucket), 0, 1, height);
    }
  }

  #drawSound(width, height) {
    const oldest = this.#bucket - Math.min(this.#out.length - 1, Math.ceil(width / ScopeView.STEP));
    for (let bucket = this.#bucket; bucket > oldest; bucket -= 1) {
      const x = width - this.#age(bucket) - ScopeView.BAR;
      this.#pen.globalAlpha = Math.min(1, 0.25 + x / (width * 0.3));
      this.#drawBar(x, height, this.#at(this.#out, bucket), this.#at(this.#back, bucket));
    }
  }

  /** Before the first call: a faint phrase and its echo, so that the picture explains itself. */
  #drawPromise(width, height) {
    const phrase = (i) => (i < 0 ? 0 : Math.abs(Math.sin(i * 0.47) * Math.sin(i * 0.13)) * Math.max(0, Math.sin(i * 0.043)) ** 2 * 0.35);
    this.#pen.globalAlpha = 0.26;
    for (let i = 0; i * ScopeView.STEP < width; i += 1) this.#drawBar(i * ScopeView.STEP, height, phrase(i), phrase(i - 6));
  }

  #drawBar(x, height, out, back) {
    const middle = height / 2;
    // The ear hears ratios: a power below one lets quiet speech be seen.
    const tall = (peak) => peak ** 0.6 * (middle - 6);
    this.#column(x, middle - 3 - tall(out), tall(out), this.#colours.out);
    this.#column(x, middle + 4, tall(back), this.#colours.back);
  }

  #column(x, y, height, colour) {
    if (height < 0.5) return;
    this.#pen.fillStyle = colour;
    this.#pen.beginPath();
    this.#pen.roundRect(x, y, ScopeView.BAR, height, ScopeView.BAR / 2);
    this.#pen.fill();
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

/** Plays what comes back, and shows both directions for as long as a call has sound. */
class SoundView {
  static HINT_AFTER_MS = 4000;
  static STILL_MS = 500; // between pictures, where motion is unwelcome

  #player = byId("voice");
  #scope = new ScopeView();
  #meters = { out: new MeterView("out"), back: new MeterView("back") };
  #context = null;
  #ears = { out: null, back: null };
  #heardAt = { out: 0, back: 0 };
  #blocked = false;
  #frameRequest = 0;
  #drawnAt = 0;
  #onHint;

  /** @param {(hint: ?string) => void} onHint told which of HINT_WORDS fits, or null */
  constructor(onHint) {
    this.#onHint = onHint;
    for (const gesture of ["pointerdown", "keydown"]) window.addEventListener(gesture, () => this.#blocked && this.#play());
  }

  /** Follow a call's streams. Called from a click, which is what lets a page make sound. */
  begin() {
    this.#context ??= new AudioContext();
    this.#context.resume();
    const now = performance.now();
    this.#heardAt = { out: now, back: now };
    this.#scope.clear(now);
    this.#frame(now);
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
    if (out.level > AUDIBLE) this.#heardAt.out = now;
    if (back.level > AUDIBLE) this.#heardAt.back = now;
    this.#scope.add(now, out.peak, back.peak);
    if (stillness.matches && now - this.#drawnAt < SoundView.STILL_MS) return;
    this.#drawnAt = now;
    this.#scope.draw();
    this.#meters.out.show(now, out.level);
    this.#meters.back.show(now, back.level);
    this.#onHint(this.#hint(now));
  }

  #hint(now) {
    const quiet = (direction) => now - this.#heardAt[direction] > SoundView.HINT_AFTER_MS;
    if (this.#blocked) return "soundBlocked";
    // Firefox runs no AudioContext, and so draws no sound, on a machine that has no output to play it on.
    if (quiet("out")) return this.#context.state === "running" ? "microphoneSilent" : "noOutput";
    return quiet("back") ? "nothingBack" : null;
  }
}

/** The button, the words beside it, the field for a key, and the clock. */
class StatusView {
  #button = byId("talk");
  #status = byId("status");
  #title = byId("status-title");
  #detail = byId("status-detail");
  #form = byId("key-form");
  #input = byId("key");
  #duration = byId("duration");

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
    if (call.state === "talking") this.#say({ title: STATE_WORDS.talking.title, detail: hint ? HINT_WORDS[hint] : STATE_WORDS.talking.detail });
  }

  tick(call) {
    const seconds = call.talkingSince === null ? 0 : Math.floor((performance.now() - call.talkingSince) / 1000);
    const minutes = Math.floor(seconds / 60);
    setText(this.#duration, `${minutes}:${String(seconds % 60).padStart(2, "0")}`);
  }

  #words(call) {
    if (call.state === "key" && call.keyRefused) return { ...STATE_WORDS.key, title: "The server does not know that key" };
    return STATE_WORDS[call.state];
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

/** Four steps as a waterfall: each bar begins where the step before it ended. */
class TimelineView {
  #steps = Array.from(document.querySelectorAll("#timeline [data-step]"));
  #total = byId("setup-total");

  show(call) {
    const times = call.timeline;
    const reached = Object.values(times).filter((time) => time !== null);
    const end = Math.max(1, ...reached);
    for (const step of this.#steps) this.#showStep(step, times[step.dataset.step], reached, end);
    setText(this.#total, times.firstAudio === null ? "" : `heard after ${Math.round(times.firstAudio)} ms`);
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

function showReached(place, reached) {
  for (const element of document.querySelectorAll(`[data-node=${place}], [data-wire=${place}]`)) element.toggleAttribute("data-reached", reached);
}

/** Round trip, jitter, loss, and what was negotiated. */
class FactsView {
  #places = Array.from(document.querySelectorAll("[data-fact]"));
  #postQuantum = byId("post-quantum");

  show(call) {
    const facts = describeFacts(call.stats, call.location);
    for (const place of this.#places) setBreakable(place, facts[place.dataset.fact] ?? "–");
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

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Names such as TLS_AES_128_GCM_SHA256 may be broken after an underscore. */
function setBreakable(element, text) {
  if (element.textContent === text) return;
  const parts = /^[A-Z0-9_]+$/.test(text) ? text.split(/(?<=_)/) : [text];
  element.replaceChildren(...parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part])));
}

// ---------------------------------------------------------------------------------------------------------------------
// Wiring: one call at a time, and who hears of it

function readOptions(search) {
  const parameters = new URLSearchParams(search);
  const positive = (name, otherwise) => (Number(parameters.get(name)) > 0 ? Number(parameters.get(name)) : otherwise);
  return {
    connectTimeout: positive("connect-timeout", 10_000),
    reconnectTimeout: positive("reconnect-timeout", 30_000),
    processing: parameters.get("processing") !== "off",
  };
}

class App {
  call;

  #options = readOptions(window.location.search);
  #apiKey = ""; // here and nowhere else: gone with the page
  #status = new StatusView({ press: () => this.#press(), key: (key) => this.call.useKey(key) });
  #timeline = new TimelineView();
  #facts = new FactsView();
  #sound = new SoundView((hint) => this.#status.hint(this.call, hint));

  constructor() {
    this.#adopt(this.#newCall());
    setInterval(() => this.#status.tick(this.call), 250);
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
    call.addEventListener("state", () => this.#onState(call));
    call.addEventListener("sound", () => this.#sound.follow(call));
    call.addEventListener("timeline", () => this.#timeline.show(call));
    call.addEventListener("stats", () => this.#facts.show(call));
    this.#status.show(call);
    this.#timeline.show(call);
    this.#facts.show(call);
  }

  #onState(call) {
    if (call.state === "talking") {
      this.#apiKey = call.apiKey;
      this.#sound.expectSound();
    }
    if (call.state === "ended") this.#sound.end();
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
  }),
});
