/**
 * This page's part in the Realtime protocol: what it sends, and when. One for a call.
 *
 * The agent's answers are asked for one at a time: `response.create` waits for the `response.done` of the one before, or
 * the server would refuse it.
 */

import { Conversation } from "./conversation.js";
import { TOOL_DEFINITIONS, answerTool } from "./tools.js";

/** Events: `partner` and `open`, when that property has changed. */
export class RealtimeSession extends EventTarget {
  /**
   * Who is at the other end: "agent" once one has introduced itself (`session.created`), "none" when nobody has in time,
   * or the server has refused the channel; an agent that comes late is welcome.
   */
  partner = "unknown";
  conversation = new Conversation();

  #channel;
  #agentTimer = 0;
  #isOver = false;
  /** The response that is being made: its id; our event's id while it is only asked for; null without one. */
  #openResponse = null;
  #wantsResponse = false;

  /** @param {EventChannel} channel */
  constructor(channel) {
    super();
    this.#channel = channel;
    channel.addEventListener("open", () => this.#introduce());
    channel.addEventListener("close", () => this.#leave());
    channel.addEventListener("message", ({ detail }) => detail.direction === "in" && detail.event && this.#receive(detail.event, detail.at));
  }

  /** Whether something can be sent. */
  get isOpen() {
    return this.#channel.isOpen && !this.#isOver;
  }

  /** The media path stands: an agent should be there within so many milliseconds. */
  expectAgent(timeout) {
    clearTimeout(this.#agentTimer);
    if (this.partner === "unknown") this.#agentTimer = setTimeout(() => this.#setPartner("none"), timeout);
  }

  end() {
    this.#isOver = true;
    clearTimeout(this.#agentTimer);
    this.conversation.end(performance.now());
  }

  /** Write to the agent. */
  write(text) {
    this.conversation.interruptTimes();
    this.#channel.send({
      type: "conversation.item.create",
      item: { type: "message", role: "user", content: [{ type: "input_text", text }] },
    });
    this.#askForResponse();
  }

  /** Make the agent fall silent: no more words, and none of those that are on their way. */
  interrupt() {
    if (this.#openResponse !== null) this.#channel.send({ type: "response.cancel" });
    if (this.conversation.isSpeaking) this.#channel.send({ type: "output_audio_buffer.clear" });
  }

  #introduce() {
    this.#channel.send({ type: "session.update", session: { type: "realtime", tools: TOOL_DEFINITIONS, tool_choice: "auto" } });
    this.dispatchEvent(new Event("open"));
  }

  #leave() {
    if (this.partner === "unknown") this.#setPartner("none");
    this.dispatchEvent(new Event("open"));
  }

  #receive(event, at) {
    this.conversation.receive(event, at);
    switch (event.type) {
      case "session.created":
        this.#setPartner("agent");
        break;
      case "response.created":
        this.#openResponse = event.response?.id ?? this.#openResponse;
        break;
      case "response.output_item.done":
        if (event.item?.type === "function_call" && event.item.status !== "incomplete") this.#answerCall(event.item);
        break;
      case "response.done":
        this.#closeResponse();
        break;
      case "error":
        if (event.error?.event_id && event.error.event_id === this.#openResponse) this.#closeResponse();
        break;
    }
  }

  #answerCall({ call_id: callId, name, arguments: given }) {
    const output = answerTool(name, given);
    this.conversation.resolveToolCall(callId, output);
    if (output === null) return;
    this.#channel.send({ type: "conversation.item.create", item: { type: "function_call_output", call_id: callId, output } });
    this.#askForResponse();
  }

  #askForResponse() {
    if (this.#openResponse === null) this.#openResponse = this.#channel.send({ type: "response.create" });
    else this.#wantsResponse = true;
  }

  #closeResponse() {
    this.#openResponse = null;
    if (!this.#wantsResponse) return;
    this.#wantsResponse = false;
    this.#askForResponse();
  }

  #setPartner(partner) {
    clearTimeout(this.#agentTimer);
    if (this.partner === partner) return;
    this.partner = partner;
    this.dispatchEvent(new Event("partner"));
  }
}
