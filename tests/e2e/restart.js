// ICE restart of window.call by a PATCH, as a WHIP client does it. With options.alone, our side's answer is ignored;
// with options.tag, it is If-Match.
async ({ url, key, tag = "*", alone = false, trickle = false }) => {
  const { pc } = window.call;
  const lineOf = (sdp, name) => sdp.match(new RegExp(`^a=${name}:(.*)\\r$`, "m"))[1];
  const fragmentOf = (sdp, candidates) => [
    `a=ice-ufrag:${lineOf(sdp, "ice-ufrag")}`, `a=ice-pwd:${lineOf(sdp, "ice-pwd")}`,
    sdp.match(/^m=.*$/m)[0].trim(), `a=mid:${lineOf(sdp, "mid")}`, ...candidates, ""].join("\r\n");
  const patch = (body, ifMatch) => fetch(url, {
    method: "PATCH",
    headers: {
      "Content-Type": "application/trickle-ice-sdpfrag",
      Authorization: `Bearer ${key}`,
      ...(ifMatch && { "If-Match": ifMatch }),
    },
    body,
  });
  const gathered = [];
  pc.onicecandidate = ({ candidate }) => candidate?.candidate && gathered.push(`a=${candidate.candidate}`);
  const before = pc.remoteDescription.sdp;
  const ufragBefore = lineOf(pc.localDescription.sdp, "ice-ufrag");
  if (trickle) {
    const response = await patch(
      fragmentOf(pc.localDescription.sdp, ["a=candidate:1 1 udp 1 192.0.2.1 9 typ host", "a=end-of-candidates"]), tag);
    return { status: response.status, etag: response.headers.get("ETag") };
  }
  pc.restartIce();
  await pc.setLocalDescription(await pc.createOffer());
  const offer = pc.localDescription.sdp;
  const began = performance.now();
  const response = await patch(fragmentOf(offer, ["a=end-of-candidates"]), tag);
  const text = await response.text();
  const result = {
    status: response.status, etag: response.headers.get("ETag"), type: response.headers.get("Content-Type"), text,
    ufrags: [ufragBefore, lineOf(offer, "ice-ufrag")], patchMs: performance.now() - began,
  };
  if (response.status !== 200 || alone) return result;
  const candidates = text.split("\r\n").filter((line) => line.startsWith("a=candidate:"));
  const answer = before
    .replaceAll(/^a=candidate:.*\r\n/gm, "")
    .replaceAll(/^a=ice-ufrag:.*\r$/gm, `a=ice-ufrag:${lineOf(text, "ice-ufrag")}\r`)
    .replaceAll(/^a=ice-pwd:.*\r$/gm, `a=ice-pwd:${lineOf(text, "ice-pwd")}\r\n${candidates.join("\r\n")}\r`);
  const states = [];
  pc.oniceconnectionstatechange = () => states.push(pc.iceConnectionState);
  await pc.setRemoteDescription({ type: "answer", sdp: answer });
  const ours = lineOf(offer, "ice-ufrag");
  const isMoved = async () => {
    const report = await pc.getStats();
    for (const entry of report.values()) {
      if (entry.type !== "transport" || !entry.selectedCandidatePairId) continue;
      const pair = report.get(entry.selectedCandidatePairId);
      const local = report.get(pair.localCandidateId);
      if (local?.usernameFragment === ours && pair.state === "succeeded") return local.port;
    }
    return null;
  };
  let port = null;
  while (performance.now() - began < 10000 && !(port = await isMoved())) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { ...result, port, states, movedMs: performance.now() - began, state: pc.iceConnectionState };
}
