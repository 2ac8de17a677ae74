// One call from a page of the edge: how long it takes until something is heard, in milliseconds since the POST.
async () => {
  const roundTrips = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    await (await fetch("/healthz", { cache: "no-store" })).text();
    roundTrips.push(performance.now() - start);
  }
  roundTrips.sort((a, b) => a - b);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const connection = new RTCPeerConnection();
  connection.addTrack(stream.getAudioTracks()[0], stream);
  const at = {};
  let start = 0;
  const mark = (name) => (at[name] ??= performance.now() - start);
  const heard = new Promise((resolve, reject) => {
    connection.ontrack = ({ track }) => {
      track.onunmute = () => resolve(mark("firstAudio"));
    };
    setTimeout(() => reject(new Error(`no audio: connection ${connection.connectionState}`)), 10000);
  });
  connection.oniceconnectionstatechange = () => {
    if (connection.iceConnectionState === "connected") mark("iceConnected");
  };
  connection.onconnectionstatechange = () => {
    if (connection.connectionState === "connected") mark("dtlsConnected");
  };
  await connection.setLocalDescription();
  const body = connection.localDescription.sdp;
  start = performance.now();
  const response = await fetch("/v1/realtime/calls", {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body,
  });
  const sdp = await response.text();
  if (response.status !== 201) throw new Error(`${response.status} ${sdp}`);
  mark("answer");
  await connection.setRemoteDescription({ type: "answer", sdp });
  await heard;
  await fetch(response.headers.get("Location"), { method: "DELETE" });
  connection.close();
  stream.getTracks().forEach((track) => track.stop());
  return { roundTrip: roundTrips[2], ...at };
};
