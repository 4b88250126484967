// The page's own sockets, so that a test can say on them what the page would not.

/** Runs in the page before its own scripts: keeps the class socket and what it was told. */
export function keepClassSocket() {
  const Native = window.WebSocket;
  window.classSocket = null;
  window.WebSocket = class extends Native {
    constructor(url, ...rest) {
      super(url, ...rest);
      if (!new URL(url, location.href).pathname.startsWith("/class/")) return;
      window.classSocket = this;
      this.addEventListener("message", (message) => {
        const frame = JSON.parse(message.data);
        if (frame.type === "welcome") window.classIdentity = frame.you.identity;
      });
    }
  };
}

/** Runs in the page: sends a command on its class socket; what it was refused with, or "done". */
export function sendCommand(command) {
  const socket = window.classSocket;
  const id = 1_000_000 + Math.floor(Math.random() * 1_000_000);
  return new Promise((resolve) => {
    const listen = (message) => {
      const frame = JSON.parse(message.data);
      if (frame.id !== id) return;
      socket.removeEventListener("message", listen);
      resolve(frame.type === "refused" ? frame.code : frame.type);
    };
    socket.addEventListener("message", listen);
    socket.send(JSON.stringify({ type: "command", id, command }));
  });
}
