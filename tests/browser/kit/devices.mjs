// Devices that can be pulled out. No fake device of a browser can: the page is told what it would be told.

/** Runs in the page before its own scripts. `window.devices.unplug(kind)` ends the open track of a kind and hides its device. */
export function pullableDevices() {
  const media = navigator.mediaDevices;
  if (!media) return;
  const enumerate = media.enumerateDevices.bind(media);
  const open = media.getUserMedia.bind(media);
  const tracks = new Set();
  const gone = new Set();
  // The second of the fake cameras gives depths, not pictures: no school has one.
  const present = async () => (await enumerate()).filter((one) => !gone.has(one.deviceId) && one.label !== "fake_device_1");
  const there = async (kind) => (await present()).filter((one) => one.kind === `${kind}input` && one.deviceId !== "default");

  media.enumerateDevices = present;

  /** A device that is gone cannot be asked for; who asks for any gets one that is there. */
  const without = async (kind, wanted) => {
    if (!wanted || gone.size === 0) return wanted;
    const asked = wanted.deviceId;
    const exact = asked?.exact ?? null;
    if (exact && gone.has(exact)) throw new OverconstrainedError("deviceId", "");
    if (exact) return wanted;
    const [other] = await there(kind);
    if (!other) throw new DOMException("Requested device not found", "NotFoundError");
    return { ...(wanted === true ? {} : wanted), deviceId: { exact: other.deviceId } };
  };

  media.getUserMedia = async (wanted) => {
    const [audio, video] = [await without("audio", wanted.audio), await without("video", wanted.video)];
    const stream = await open({ ...wanted, audio, video });
    for (const track of stream.getTracks()) tracks.add(track);
    return stream;
  };

  window.devices = {
    unplug(kind) {
      for (const track of tracks) {
        if (track.kind !== kind || track.readyState !== "live") continue;
        gone.add(track.getSettings().deviceId);
        track.stop();
        track.dispatchEvent(new Event("ended"));
      }
      media.dispatchEvent(new Event("devicechange"));
    },
    plug() {
      gone.clear();
      media.dispatchEvent(new Event("devicechange"));
    },
  };
}
