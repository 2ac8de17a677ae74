/** Statistics: what matters of a getStats report, under plain names. */

const TLS_VERSIONS = { FEFC: "DTLS 1.3", FEFD: "DTLS 1.2", FEFF: "DTLS 1.0" };

/**
 * Times in seconds, losses as ratios from 0 to 1, names as the browser gives them; null where the browser does not say
 * (older Firefoxes leave out most of the transport's facts). `out…` is what the server reports about the sound it gets.
 */
export function readStats(report) {
  const all = [...report.values()];
  const find = (type) => all.find((stat) => stat.type === type && (stat.kind ?? "audio") === "audio");
  const transport = find("transport");
  const inbound = find("inbound-rtp");
  const heard = find("remote-inbound-rtp");
  const pair =
    report.get(transport?.selectedCandidatePairId) ??
    all.find((stat) => stat.type === "candidate-pair" && stat.nominated && stat.state === "succeeded");
  const relay = report.get(pair?.remoteCandidateId);
  const codec = report.get(inbound?.codecId);
  const expected = inbound ? inbound.packetsReceived + inbound.packetsLost : 0;
  return Object.freeze({
    roundTripTime: pair?.currentRoundTripTime ?? heard?.roundTripTime ?? null,
    mediaRoundTripTime: heard?.roundTripTime ?? null,
    jitter: inbound?.jitter ?? null,
    lossRatio: expected > 0 ? Math.max(0, inbound.packetsLost) / expected : null,
    packetsReceived: inbound?.packetsReceived ?? 0,
    packetsSent: find("outbound-rtp")?.packetsSent ?? 0,
    outJitter: heard?.jitter ?? null,
    outLossRatio: heard?.fractionLost ?? null,
    dtlsVersion: TLS_VERSIONS[transport?.tlsVersion] ?? transport?.tlsVersion ?? null,
    dtlsGroup: transport?.tlsGroup ?? null,
    dtlsCipher: transport?.dtlsCipher ?? null,
    srtpProfile: transport?.srtpCipher ?? null,
    codec: codec?.mimeType ?? null,
    clockRate: codec?.clockRate ?? null,
    remoteAddress: relay?.address && relay.port ? joinAddress(relay.address, relay.port) : null,
  });
}

const joinAddress = (address, port) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
