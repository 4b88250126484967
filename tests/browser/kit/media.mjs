// What a page really sends and receives, from the statistics of its peer connections.

/** Runs in every page before its own scripts: keeps the peer connections, so that they can be asked. */
export function keepConnections() {
  const kept = [];
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      kept.push(this);
    }
  };
  Object.defineProperty(window, "keptConnections", { value: kept });
}

/** Runs in the page: one row a received track, over all living connections. */
export async function receivedTracks() {
  const rows = [];
  for (const connection of window.keptConnections) {
    if (connection.connectionState === "closed") continue;
    // Those of a connection that is closed meanwhile may never come.
    const none = new Promise((resolve) => setTimeout(resolve, 2_000, new Map()));
    const stats = await Promise.race([connection.getStats(), none]);
    for (const stat of stats.values()) {
      if (stat.type !== "inbound-rtp") continue;
      rows.push({
        kind: stat.kind,
        track: stat.trackIdentifier,
        ssrc: stat.ssrc,
        codec: stats.get(stat.codecId)?.mimeType ?? "",
        bytes: stat.bytesReceived ?? 0,
        frames: stat.framesDecoded ?? 0,
        width: stat.frameWidth ?? 0,
        height: stat.frameHeight ?? 0,
        energy: stat.totalAudioEnergy ?? 0,
        lost: stat.packetsLost ?? 0,
        packets: stat.packetsReceived ?? 0,
      });
    }
  }
  return rows;
}

/** Runs in the page, for a report: what each living connection is at, and what it has sent and received so far. */
export async function connectionsNow() {
  const told = [];
  for (const connection of window.keptConnections) {
    const { connectionState, signalingState } = connection;
    if (connectionState === "closed") continue;
    const none = new Promise((resolve) => setTimeout(resolve, 2_000, new Map()));
    const stats = [...(await Promise.race([connection.getStats(), none])).values()];
    const sent = stats
      .filter((stat) => stat.type === "outbound-rtp")
      .map((stat) => `${stat.kind[0]}${stat.rid ?? ""}:${stat.framesSent ?? stat.packetsSent}@${stat.frameWidth ?? 0}`);
    const received = stats
      .filter((stat) => stat.type === "inbound-rtp")
      .map((stat) => `${stat.kind[0]}:${stat.framesDecoded ?? stat.packetsReceived}@${stat.frameWidth ?? 0}`);
    const made = stats.filter((stat) => stat.type === "media-source" && stat.kind === "video").map((stat) => stat.frames ?? 0);
    const off = connection.getSenders().map((sender) =>
      `${sender.track?.readyState}${sender.track?.muted ? " muted" : ""}${sender.track?.enabled === false ? " off" : ""}` +
      sender.getParameters().encodings.map((one) => (one.active ? "+" : "-")).join(""),
    );
    const sections = connection.getTransceivers().map((one) => `${one.mid}${one.receiver.track.kind[0]}${one.currentDirection}`);
    told.push(`${connectionState}/${signalingState} [${sections}] senders ${off} pictures made ${made} sent ${sent} received ${received}`);
  }
  return `${told.join("; ")}; visible ${document.visibilityState}`;
}

/** Tracks of `kind` that grew between two readings: video by decoded frames, audio by energy. */
export function grown(kind, before, after) {
  const measure = kind === "video" ? (row) => row.frames : (row) => row.energy;
  const key = (row) => `${row.ssrc}/${row.track}`;
  const earlier = new Map(before.filter((row) => row.kind === kind).map((row) => [key(row), row]));
  return after.filter((row) => {
    const was = earlier.get(key(row));
    return row.kind === kind && was && measure(row) > measure(was) && row.bytes > was.bytes;
  });
}
