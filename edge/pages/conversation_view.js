/** The conversation in words: who said, wrote and called what, how long answers took, and the field to write in. */

import { asClock, asLength, byId, make, setText } from "./elements.js";

const NAMES = { turn: "You", written: "You", reply: "Agent", tool: "Tool", problem: "Error" };
const MOST_SHOWN = 4000; // characters of one thing said

export class ConversationView {
  #list = byId("conversation");
  #empty = byId("conversation-empty");
  #interrupt = byId("interrupt");
  #form = byId("write-form");
  #field = byId("write");
  #rows = new Map(); // by entry
  #session = null;
  #since = 0;

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write(this.#field.value.trim());
      this.#field.value = "";
    });
    byId("example").addEventListener("click", (event) => this.#write(event.currentTarget.dataset.text));
    this.#interrupt.addEventListener("click", () => this.#silence());
    window.addEventListener("keydown", (event) => event.key === "Escape" && this.#silence());
  }

  /** A call's conversation begins: the one before is wiped. */
  begin(session, since) {
    this.#session = session;
    this.#since = since;
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#empty.hidden = false;
    session.conversation.addEventListener("change", ({ detail }) => this.#show(detail));
    session.conversation.addEventListener("times", () => this.#refresh());
    this.enable();
  }

  /** What can be done depends on who is there, and on what is going on. */
  enable() {
    const there = this.#session?.isOpen ?? false;
    for (const control of this.#form.elements) control.disabled = !there;
    this.#interrupt.setAttribute("aria-disabled", String(!there || !this.#session.conversation.isSpeaking));
  }

  #silence() {
    if (this.#session?.isOpen) this.#session.interrupt();
  }

  #write(text) {
    if (text && this.#session?.isOpen) this.#session.write(text);
  }

  #show(entry) {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    let row = this.#rows.get(entry);
    if (!row) {
      row = this.#addRow(entry);
      this.#empty.hidden = true;
    }
    fill(row.body, entry, this.#session.conversation);
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
    this.enable();
  }

  #addRow(entry) {
    const body = make("div", "said");
    const time = make("time", "when", asClock(entry.at - this.#since));
    const item = make("li", "", time, make("span", "who", NAMES[entry.kind]), body);
    item.dataset.kind = entry.kind;
    this.#rows.set(entry, { item, body });
    this.#list.append(item);
    for (const [old, { item: oldItem }] of this.#rows) {
      if (this.#session.conversation.entries.includes(old)) break;
      this.#rows.delete(old);
      oldItem.remove();
    }
    return this.#rows.get(entry);
  }

  /** Response times stand with the answers, and come after them. */
  #refresh() {
    for (const entry of this.#session.conversation.entries.slice(-6)) if (this.#rows.has(entry)) this.#show(entry);
  }
}

function fill(body, entry, conversation) {
  const { words, notes } = DESCRIBE[entry.kind](entry, conversation);
  const [text = make("p", "words"), aside = make("p", "notes")] = body.children;
  if (!body.children.length) body.append(text, aside);
  text.hidden = !words;
  setText(text, words.length > MOST_SHOWN ? `${words.slice(0, MOST_SHOWN)} …` : words);
  aside.hidden = !notes.length;
  if (aside.textContent !== notes.join(" · ")) aside.replaceChildren(...notes.flatMap((note, i) => [i ? " · " : "", make("span", "", note)]));
  body.parentElement.toggleAttribute("data-cut", Boolean(entry.isCut));
}

const DESCRIBE = {
  turn: (turn, conversation) => ({ words: turn.transcript, notes: [describeLength(turn, conversation)] }),
  written: (entry) => ({ words: entry.text, notes: ["written"] }),
  reply: (reply) => ({ words: reply.text, notes: [describeSpeech(reply), ...describeTimes(reply.turn)].filter(Boolean) }),
  tool: (entry) => ({ words: `${entry.name} ${entry.given}`, notes: [describeOutput(entry)] }),
  problem: ({ message, code }) => ({ words: message, notes: code ? [code] : [] }),
};

function describeLength(turn, conversation) {
  if (turn.stopToldAt === null) return "speaking";
  const [start, end] = conversation.spanOf(turn);
  return `turn of ${asLength(end - start)}`;
}

function describeSpeech({ startedAt, stoppedAt, isCut, heardMs }) {
  if (startedAt === null) return isCut ? "cut off before it was heard" : "";
  if (stoppedAt === null) return "speaking";
  if (!isCut) return `${asLength(stoppedAt - startedAt)} of speech`;
  return `cut off after ${asLength(heardMs ?? stoppedAt - startedAt)}`;
}

function describeTimes(turn) {
  const times = [];
  if (turn?.heardAfter != null) times.push(`heard after ${Math.round(turn.heardAfter)} ms`);
  if (turn?.agentAfter != null) times.push(`agent took ${Math.round(turn.agentAfter)} ms`);
  return times;
}

function describeOutput({ output, isOurs }) {
  if (output !== null) return `${isOurs ? "this page answered" : "answered"} ${output}`;
  return isOurs === null ? "being answered" : "this page has no such tool; a server on the call may answer";
}

/** Medians over the call, and the newest figure of each. */
export class TimesView {
  #places = Array.from(document.querySelectorAll("[data-time]"));

  show({ heard, agent, interruptions }) {
    const texts = {
      heard: asMilliseconds(heard.median),
      heardNote: describeSummary(heard),
      agent: asMilliseconds(agent.median),
      agentNote: describeSummary(agent),
      interruptions: String(interruptions),
    };
    for (const place of this.#places) setText(place, texts[place.dataset.time]);
  }
}

const asMilliseconds = (ms) => (ms === null ? "–" : `${Math.round(ms)} ms`);

function describeSummary({ count, last }) {
  if (count === 0) return "no answer yet";
  return count === 1 ? "one answer" : `median of ${count}, last ${Math.round(last)} ms`;
}
