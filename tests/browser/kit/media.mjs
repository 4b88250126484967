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
