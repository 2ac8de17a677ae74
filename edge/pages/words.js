/** Everything the page says about a call, in one place. */

export const STATE_WORDS = {
  idle: {
    title: "Ready when you are",
    detail: "Press Talk, say something, and pause. Headphones keep the agent from hearing itself.",
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
  talking: { title: "Connected", detail: "Waiting for the agent." },
  reconnecting: {
    title: "Reconnecting",
    detail: "The server has gone quiet. The call goes on as soon as it answers again.",
  },
};

/** For the state `talking`, by who is at the other end: see RealtimeSession.partner. */
export const PARTNER_WORDS = {
  unknown: STATE_WORDS.talking,
  agent: { title: "Connected", detail: "Say something and pause: the agent answers. Speak while it talks, and it stops." },
  none: {
    title: "Connected, without an agent",
    detail:
      "No agent has introduced itself, so this is taken for the plain echo: what you say comes back. " +
      "Headphones keep it from going round again.",
  },
};

export const HINT_WORDS = {
  microphoneSilent: "Your microphone hears nothing. Is it muted, or is another one selected?",
  nothingBack: "You can be heard, but nothing has come back for a while.",
  noOutput: "Your browser finds no sound output. The call goes on, but nothing can be heard or drawn here.",
  soundBlocked: "Your browser holds the sound back. Press any key or tap the page to hear it.",
};

/** Why a call ended: a code for tools, and the words for people. `problem` is false when somebody wanted it to end. */
export class Ending {
  constructor(code, title, detail, problem = true) {
    Object.assign(this, { code, title, detail, problem });
    Object.freeze(this);
  }
}

export const ENDINGS = {
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

export const MICROPHONE_ENDINGS = {
  NotAllowedError: ENDINGS.microphoneRefused,
  SecurityError: ENDINGS.microphoneRefused,
  NotFoundError: ENDINGS.microphoneMissing,
  OverconstrainedError: ENDINGS.microphoneMissing,
  NotReadableError: ENDINGS.microphoneBusy,
  AbortError: ENDINGS.microphoneBusy,
};

const isLoopback = (address) => /^(127\.|::1 )/.test(address);
