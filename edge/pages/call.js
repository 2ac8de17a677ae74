/**
 * One call: the microphone, the offer and answer, and what becomes of them.
 *
 * The call knows nothing of the page; views listen to its events and read its properties.
 */

import { EventChannel } from "./event_channel.js";
import { readStats } from "./statistics.js";
import { ENDINGS, Ending, MICROPHONE_ENDINGS } from "./words.js";

const CALLS_ENDPOINT = "/v1/realtime/calls";
const STATS_INTERVAL_MS = 500;
const FAREWELL_MS = 1000;

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
 * `sound` when `microphone` or `voice` has a stream, `channel` when there is one to listen to.
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
  /** @type {?EventChannel} there from the offer on */
  channel = null;
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
    // Before the offer, which is the only one that this call makes.
    this.channel = new EventChannel(peer);
    this.#emit("channel");
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

const asSentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const inSeconds = (ms) => `${Math.round(ms / 100) / 10} s`;
