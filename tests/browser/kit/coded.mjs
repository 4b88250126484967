// In what a voice came. Statistics name the codec inside redundancy (RFC 2198) and not the redundancy; frames as they come in
// from the network, before anything is decoded, have their payload type.

/** Runs in the page before its own scripts: counts received frames of sound, by source and payload type. */
export function countSound() {
  const counts = {};
  const Before = window.RTCPeerConnection;
  const counted = new WeakSet();
  function count({ receiver, track }) {
    if (track.kind !== "audio" || counted.has(receiver)) return;
    counted.add(receiver);
    const counting = new TransformStream({
      transform(frame, onward) {
        const { synchronizationSource, payloadType } = frame.getMetadata();
        const key = `${synchronizationSource}/${payloadType}`;
        counts[key] = (counts[key] ?? 0) + 1;
        onward.enqueue(frame);
      },
    });
    const { readable, writable } = receiver.createEncodedStreams();
    readable.pipeThrough(counting).pipeTo(writable);
  }
  window.RTCPeerConnection = class extends Before {
    constructor(configuration, ...rest) {
      super({ ...configuration, encodedInsertableStreams: true }, ...rest);
      this.addEventListener("track", count);
    }
  };
  Object.defineProperty(window, "countedSound", { value: counts });
}

/** Runs in the page: how many frames of each source came with redundancy, and how many without. */
export function soundCounted() {
  const types = {};
  for (const connection of window.keptConnections) {
    const agreed = connection.currentRemoteDescription?.sdp ?? "";
    for (const [, type, name] of agreed.matchAll(/^a=rtpmap:(\d+) (red|opus)\/48000/gim)) types[type] = name.toLowerCase();
  }
  const sources = {};
  for (const [key, count] of Object.entries(window.countedSound)) {
    const [source, type] = key.split("/");
    sources[source] ??= { red: 0, opus: 0 };
    sources[source][types[type]] += count;
  }
  return sources;
}
