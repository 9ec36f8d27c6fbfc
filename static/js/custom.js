"use strict";

// Plays the camera: one offer, one answer, and again after a pause when the connection is lost.
(() => {
  const video = document.getElementById("video");
  const status = document.getElementById("status");
  const retryAfterMs = 2000;

  const gathered = (peer) =>
    new Promise((resolve) => {
      const check = () => peer.iceGatheringState === "complete" && resolve();
      peer.addEventListener("icegatheringstatechange", check);
      check();
    });

  async function play() {
    const peer = new RTCPeerConnection();
    let over = false;
    const again = (reason) => {
      if (over) return;
      over = true;
      peer.close();
      status.textContent = `${reason} Trying again…`;
      setTimeout(play, retryAfterMs);
    };

    peer.addEventListener("track", (event) => {
      video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
    });
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState === "connected") status.textContent = "Live";
      if (peer.connectionState === "failed") again("The connection was lost.");
    });

    try {
      peer.addTransceiver("video", { direction: "recvonly" });
      await peer.setLocalDescription();
      await gathered(peer);
      const { sdp, type } = peer.localDescription;
      const response = await fetch("/offer", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ sdp, type }),
      });
      if (!response.ok) throw new Error(`The camera answered ${response.status}.`);
      await peer.setRemoteDescription(await response.json());
    } catch (error) {
      again(error.message);
    }
  }

  play();
})();
