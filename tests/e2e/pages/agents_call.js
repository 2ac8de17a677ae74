// An application as its author would write it with @openai/agents-realtime. Leaves its state on window.call.
async function callWithAgents({ url, key, tools = [], talking = true }) {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC, tool } = window.OpenAIAgentsRealtime;
  const stream = await conversation.microphone();
  stream.getAudioTracks()[0].enabled = talking;
  const element = new Audio();
  element.muted = true;
  const transport = new OpenAIRealtimeWebRTC({ mediaStream: stream, audioElement: element });
  const called = [];
  const agent = new RealtimeAgent({
    name: "parrot",
    instructions: "Say back what you hear.",
    tools: tools.map(({ name, parameters, answer }) =>
      tool({
        name,
        description: name,
        parameters,
        strict: false,
        execute: async (input) => {
          called.push({ name, input });
          return answer;
        },
      }),
    ),
  });
  const session = new RealtimeSession(agent, { transport });
  window.call = { session, transport, element, called };
  session.on("transport_event", (event) => conversation.note(event));
  session.on("error", ({ error }) => conversation.note({ type: "sdk.error", error: String(error?.message ?? error) }));
  transport.on("connection_change", (state) => conversation.note({ type: "connection", state }));
  const began = Date.now();
  await session.connect({ apiKey: key, url });
  const connectMs = Date.now() - began;
  await conversation.listen("loudspeaker", element.srcObject);
  return { callId: transport.callId, connectMs };
}
