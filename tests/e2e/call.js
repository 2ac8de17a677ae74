// A minimal caller for the tests, run in the origin of the signal server. Leaves its state on window.call.
// With options.protocol ("udp" or "tcp"), candidates for the other one are withheld from the browser;
// with options.port the others lead to that port. options.channel is the label of a data channel, or true for any;
// options.model is who is asked for.
async (options) => {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const pc = new RTCPeerConnection();
  const call = { pc, track: null, location: null };
  window.call = call;
  pc.addTrack(stream.getAudioTracks()[0], stream);
  if (options.channel) {
    call.channel = pc.createDataChannel(options.channel === true ? "events" : options.channel);
  }
  const unmuted = new Promise((resolve) => {
    pc.ontrack = (event) => {
      call.track = event.track;
      call.stream = event.streams[0];
      event.track.onunmute = resolve;
    };
  });
  await pc.setLocalDescription();
  let sdp = pc.localDescription.sdp;
  if (options.setup) sdp = sdp.replaceAll("a=setup:actpass", `a=setup:${options.setup}`);
  const start = performance.now();
  const response = await fetch(`/v1/realtime/calls${options.model ? `?model=${options.model}` : ""}`, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", ...(options.key && { Authorization: `Bearer ${options.key}` }) },
    body: sdp,
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`${response.status} ${text}`);
  call.answer = text;
  call.location = response.headers.get("Location");
  const usable = options.protocol
    ? text.split("\r\n").filter((line) => !line.startsWith("a=candidate:") ||
        line.split(" ")[2].toLowerCase() === options.protocol).join("\r\n")
        .replaceAll(/ \d+ typ host/g, (found) => options.port ? ` ${options.port} typ host` : found)
    : text;
  await pc.setRemoteDescription({ type: "answer", sdp: usable });
  await Promise.race([
    unmuted,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no audio; ICE ${pc.iceConnectionState}, ` +
      `connection ${pc.connectionState}`)), 10000)),
  ]);
  call.firstAudioMs = performance.now() - start;
  // A remote track feeds an AnalyserNode only while it is also attached to a media element.
  const element = new Audio();
  element.muted = true;
  element.srcObject = call.stream;
  await element.play();
  call.element = element;
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(call.stream).connect(analyser);
  call.peakHz = () => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const peak = bins.indexOf(Math.max(...bins));
    return { hz: (peak * context.sampleRate) / analyser.fftSize, db: bins[peak] };
  };
  call.stats = async () => {
    const found = {};
    const report = await pc.getStats();
    report.forEach((entry) => {
      if (["transport", "inbound-rtp", "remote-inbound-rtp", "outbound-rtp"].includes(entry.type)) {
        found[entry.type] = { ...entry };
      }
    });
    const pair = report.get(found.transport.selectedCandidatePairId);
    found.pair = { ...pair };
    found.remote = { ...report.get(pair.remoteCandidateId) };
    found.local = { ...report.get(pair.localCandidateId) };
    return found;
  };
  return { location: call.location, answer: call.answer, firstAudioMs: call.firstAudioMs };
}
