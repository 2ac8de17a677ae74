/**
 * What was said, written, called and cut off, as the events of the Realtime protocol tell it. No page, no connection.
 *
 * Events come from a server that may be any: whatever has not the expected shape is passed over.
 */

import { ResponseTimes } from "./response_times.js";

const MOST_ENTRIES = 200;
const MOST_REPLIES = 64;
const CLOCK_JUMP_MS = 3000;

/** The caller speaks. `startMs` and `endMs` count the audio that the server has heard, as the protocol does. */
class Turn {
  kind = "turn";
  startMs = null;
  endMs = null;
  transcript = "";
  stopToldAt = null;
  silentAt = null;
  soundAt = null;
  heardAfter = null;
  agentAfter = null;

  constructor(at) {
    this.at = at;
  }
}

/** A response of the agent's. `startedAt` and `stoppedAt` are the arrivals of output_audio_buffer.started and its end. */
class Reply {
  kind = "reply";
  text = "";
  turn = null;
  startedAt = null;
  stoppedAt = null;
  isDone = false;
  isCut = false;
  /** Milliseconds of speech that the server believes were heard, when it was cut off. */
  heardMs = null;

  constructor(at) {
    this.at = at;
  }
}

/**
 * Sets the server's count of audio milliseconds beside this browser's clock. A moment of sound is told of later than it
 * was, by the network and by what it took to be sure; the least delay of all is nearest the truth.
 */
class AudioClock {
  #offset = Infinity;

  note(audioMs, at) {
    const offset = at - audioMs;
    // The count has begun anew: there is another agent, or a gap in what it heard.
    this.#offset = offset - this.#offset > CLOCK_JUMP_MS ? offset : Math.min(this.#offset, offset);
  }

  at(audioMs) {
    return this.#offset + audioMs;
  }
}

/** Events: `change` with the entry as its `detail`, which may be new; `times` when there is a new response time. */
export class Conversation extends EventTarget {
  /** Turn, Reply, or {kind: "written" | "tool" | "problem", at, …}; the oldest first, the newest MOST_ENTRIES. */
  entries = [];
  interruptions = 0;

  #times = new ResponseTimes();
  #clock = new AudioClock();
  #turns = new Map(); // by item id
  #written = new Set(); // item ids
  #calls = new Map(); // tool entries by call id
  #replies = new Map(); // by response id
  #replyOfItem = new Map();
  #turnToAnswer = null;

  #handlers = new Map(
    Object.entries({
      "input_audio_buffer.speech_started": (event, at) => this.#startTurn(event, at),
      "input_audio_buffer.speech_stopped": (event, at) => this.#stopTurn(event, at),
      "conversation.item.added": (event, at) => this.#addItem(event.item, at),
      "conversation.item.input_audio_transcription.delta": (event) => this.#hearTurn(event.item_id, event.delta, true),
      "conversation.item.input_audio_transcription.completed": (event) => this.#hearTurn(event.item_id, event.transcript, false),
      "response.created": (event, at) => this.#startReply(event.response?.id, at),
      "response.output_item.added": (event) => remember(this.#replyOfItem, event.item?.id, this.#replies.get(event.response_id)),
      "response.output_audio_transcript.delta": (event) => this.#extendReply(event),
      "response.output_text.delta": (event) => this.#extendReply(event),
      "response.output_item.done": (event, at) => this.#addToolCall(event.item, at),
      "response.done": (event, at) => this.#endReply(event.response, at),
      "output_audio_buffer.started": (event, at) => this.#startSpeech(event.response_id, at),
      "output_audio_buffer.stopped": (event, at) => this.#stopSpeech(event.response_id, at, false),
      "output_audio_buffer.cleared": (event, at) => this.#stopSpeech(event.response_id, at, true),
      "conversation.item.truncated": (event) => this.#truncate(event),
      error: (event, at) => this.#addProblem(event.error, at),
    }),
  );

  receive(event, at) {
    this.#handlers.get(event.type)?.(event, at);
  }

  /** Levels of a frame: see ResponseTimes. */
  listen(now, out, back) {
    if (this.#times.listen(now, out, back)) this.dispatchEvent(new Event("times"));
  }

  /** The caller writes: what is heard next does not answer what was said last. */
  interruptTimes() {
    this.#times.forget();
    this.#turnToAnswer = null;
  }

  /** This page has answered a tool call, or passes it over (null). */
  resolveToolCall(callId, output) {
    const entry = this.#calls.get(callId);
    if (!entry) return;
    Object.assign(entry, { output, isOurs: output !== null });
    this.#tell(entry);
  }

  get times() {
    return { ...this.#times.summarize(), interruptions: this.interruptions };
  }

  get isSpeaking() {
    return this.entries.some((entry) => entry.kind === "reply" && entry.startedAt !== null && entry.stoppedAt === null);
  }

  /** From when until when a turn lasts, by performance.now(), as well as is known. The end is null while it goes on. */
  spanOf(turn) {
    const start = turn.startMs === null ? turn.at : this.#clock.at(turn.startMs);
    const end = turn.endMs === null ? turn.stopToldAt : this.#clock.at(turn.endMs);
    return [start, end];
  }

  /** Nothing more comes: what was going on has ended. */
  end(at) {
    for (const entry of this.entries) {
      if (entry.kind === "turn" && entry.stopToldAt === null) entry.stopToldAt = at;
      if (entry.kind === "reply" && entry.startedAt !== null) entry.stoppedAt ??= at;
      this.#tell(entry);
    }
  }

  // -- the caller

  #startTurn({ item_id: itemId, audio_start_ms: startMs }, at) {
    const turn = new Turn(at);
    if (Number.isFinite(startMs)) {
      turn.startMs = startMs;
      this.#clock.note(startMs, at);
    }
    this.interruptTimes();
    remember(this.#turns, itemId, turn);
    this.#add(turn);
  }

  #stopTurn({ item_id: itemId, audio_end_ms: endMs }, at) {
    const turn = this.#turns.get(itemId);
    if (!turn || turn.stopToldAt !== null) return;
    if (Number.isFinite(endMs)) {
      turn.endMs = endMs;
      this.#clock.note(endMs, at);
    }
    this.#times.callerStopped(turn, at);
    this.#turnToAnswer = turn;
    this.#tell(turn);
  }

  #hearTurn(itemId, text, isMore) {
    const turn = this.#turns.get(itemId);
    if (!turn || typeof text !== "string") return;
    turn.transcript = isMore ? turn.transcript + text : text;
    this.#tell(turn);
  }

  #addItem(item, at) {
    if (item?.type === "function_call_output") return this.#noteOutput(item);
    if (item?.type !== "message" || item.role !== "user" || !Array.isArray(item.content) || this.#written.has(item.id)) return;
    const text = item.content.map((part) => part?.text).filter((words) => typeof words === "string").join(" ");
    if (!text) return;
    this.#written.add(item.id);
    this.#add({ kind: "written", at, text });
  }

  // -- the agent

  #startReply(id, at) {
    if (this.#replies.has(id)) return;
    const reply = new Reply(at);
    reply.turn = this.#turnToAnswer;
    remember(this.#replies, id, reply);
  }

  #extendReply({ response_id: id, delta }) {
    const reply = this.#replies.get(id);
    if (!reply || typeof delta !== "string") return;
    reply.text += delta;
    this.#show(reply);
  }

  #startSpeech(id, at) {
    this.#startReply(id, at); // a server that tells of audio only
    const reply = this.#replies.get(id);
    if (!reply || reply.startedAt !== null) return;
    reply.startedAt = at;
    this.#times.audioStarted(at);
    this.#turnToAnswer = null;
    this.#show(reply);
    this.dispatchEvent(new Event("times"));
  }

  #stopSpeech(id, at, isCut) {
    const reply = this.#replies.get(id);
    if (!reply || reply.startedAt === null || reply.stoppedAt !== null) return;
    Object.assign(reply, { stoppedAt: at, isCut });
    if (isCut) this.interruptions += 1;
    this.#show(reply);
    if (isCut) this.dispatchEvent(new Event("times"));
  }

  #truncate({ item_id: itemId, audio_end_ms: heardMs }) {
    const reply = this.#replyOfItem.get(itemId);
    if (!reply || !Number.isFinite(heardMs)) return;
    reply.heardMs = heardMs;
    reply.isCut ||= reply.startedAt === null;
    this.#show(reply);
  }

  #endReply(response, at) {
    const reply = this.#replies.get(response?.id);
    if (reply && !reply.isDone) {
      reply.isDone = true;
      if (this.entries.includes(reply)) this.#tell(reply);
    }
    if (response?.status === "failed") this.#addProblem(response.status_details?.error ?? { message: "The agent failed to answer." }, at);
  }

  // -- tools and problems

  #addToolCall(item, at) {
    if (item?.type !== "function_call" || typeof item.name !== "string" || this.#calls.has(item.call_id)) return;
    const entry = { kind: "tool", at, name: item.name, given: String(item.arguments ?? ""), output: null, isOurs: null };
    remember(this.#calls, item.call_id, entry);
    this.#add(entry);
  }

  /** Whoever answered: this page, or a server that is on the call too. */
  #noteOutput({ call_id: callId, output }) {
    const entry = this.#calls.get(callId);
    if (!entry || entry.output !== null || typeof output !== "string") return;
    entry.output = output;
    this.#tell(entry);
  }

  #addProblem(error, at) {
    const message = typeof error?.message === "string" && error.message ? error.message : "The server tells of an error, without words.";
    this.#add({ kind: "problem", at, message, code: typeof error?.code === "string" ? error.code : "" });
  }

  // -- small change

  /** A response that speaks or writes is seen; one that only calls a tool is seen in the call. */
  #show(reply) {
    if (this.entries.includes(reply)) this.#tell(reply);
    else this.#add(reply);
  }

  #add(entry) {
    this.entries.push(entry);
    if (this.entries.length > MOST_ENTRIES) this.entries.shift();
    this.#tell(entry);
  }

  #tell(entry) {
    this.dispatchEvent(new CustomEvent("change", { detail: entry }));
  }
}

/** Keep a value by an id that a peer chose, and only the newest. */
function remember(map, id, value) {
  if (typeof id !== "string" || value === undefined) return;
  map.delete(id);
  map.set(id, value);
  if (map.size > MOST_REPLIES) map.delete(map.keys().next().value);
}
