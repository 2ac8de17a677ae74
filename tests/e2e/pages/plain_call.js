// A caller without a library: RTCPeerConnection, one channel, events as they are. Leaves its state on window.call.
async function makeOffer({ talking = true } = {}) {
  const stream = await conversation.microphone();
  const pc = new RTCPeerConnection();
  const channel = pc.createDataChannel("oai-events");
  const track = stream.getAudioTracks()[0];
  track.enabled = talking;
  pc.addTrack(track, stream);
  window.call = { pc, channel, track, location: null };
  channel.onopen = () => conversation.note({ type: "channel.open" });
  channel.onclose = () => conversation.note({ type: "channel.close" });
  channel.onmessage = ({ data }) => conversation.note(JSON.parse(data));
  pc.onconnectionstatechange = () => conversation.note({ type: "connection", state: pc.connectionState });
  pc.ontrack = (event) => (window.call.remote = event.streams[0]);
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}

async function takeAnswer(answer) {
  await window.call.pc.setRemoteDescription({ type: "answer", sdp: answer });
  // A remote track feeds WebAudio only while it is also attached to a media element.
  const element = new Audio();
  element.muted = true;
  element.srcObject = window.call.remote;
  await element.play();
  window.call.element = element;
  await conversation.listen("loudspeaker", window.call.remote);
}

async function callPlainly({ url, key, talking, ports = {} }) {
  const offer = await makeOffer({ talking });
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` },
    body: offer,
  });
  let answer = await response.text();
  if (response.status !== 201) throw new Error(`${response.status} ${answer}`);
  window.call.location = response.headers.get("Location");
  // Another port than the answer names leads through a network that the test has made.
  for (const [from, to] of Object.entries(ports)) answer = answer.replaceAll(` ${from} typ `, ` ${to} typ `);
  await takeAnswer(answer);
  return window.call.location.split("/").pop();
}

function say(event) {
  window.call.channel.send(JSON.stringify(event));
}

async function statistics(type) {
  const found = [];
  (await window.call.pc.getStats()).forEach((entry) => entry.type === type && found.push({ ...entry }));
  return found[0] ?? null;
}
