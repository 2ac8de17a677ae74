// A client of the Realtime protocol, run in the origin of the signal server: it talks to the agent by text, and hears
// it. Leaves its state on window.talk. It does nothing when its transceiver is lost.
async ({ model }) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  stream.getAudioTracks()[0].enabled = false; // silence: only texts are said
  const pc = new RTCPeerConnection();
  pc.addTrack(stream.getAudioTracks()[0], stream);
  const channel = pc.createDataChannel("oai-events");
  const talk = window.talk = { pc, channel, events: [], ice: [], negotiations: 0 };
  pc.oniceconnectionstatechange = () => talk.ice.push(pc.iceConnectionState);
  pc.onsignalingstatechange = () => talk.negotiations++;
  channel.onmessage = ({ data }) => talk.events.push(JSON.parse(data));
  await pc.setLocalDescription();
  const response = await fetch(`/v1/realtime/calls?model=${model}`, {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${response.status} ${text}`);
  talk.location = response.headers.get("Location");
  talk.negotiations = 0;
  await pc.setRemoteDescription({ type: "answer", sdp: text });
  talk.negotiations = 0;
  const until = async (condition, what, ms = 15000) => {
    const deadline = performance.now() + ms;
    for (;;) {
      const found = condition();
      if (found) return found;
      if (performance.now() > deadline) throw new Error(`no ${what}: ${talk.events.map((event) => event.type)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  talk.since = (from) => talk.events.slice(from).map((event) => event.type);
  await until(() => talk.since(0).includes("session.created"), "session.created");
  channel.send(JSON.stringify({ type: "session.update", session: { type: "realtime", instructions: "Be brief." } }));
  await until(() => talk.since(0).includes("session.updated"), "session.updated");
  // Says a text, and waits until the answer was heard to its end.
  talk.say = async (words) => {
    const from = talk.events.length;
    const item = { type: "message", role: "user", content: [{ type: "input_text", text: words }] };
    channel.send(JSON.stringify({ type: "conversation.item.create", item }));
    channel.send(JSON.stringify({ type: "response.create" }));
    await until(() => talk.since(from).includes("output_audio_buffer.stopped"), "answer");
    return talk.since(from);
  };
  return await talk.say("hello");
}
