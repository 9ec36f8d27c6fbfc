"""A viewer on GStreamer's webrtcbin, as it is: with the RSA certificate it makes. See protocol.py.

Run it with the system's Python, which finds the system's GStreamer. With `--passive`, it leaves it
to the camera to begin the DTLS handshake.
"""

import sys
import threading

import gi
import protocol

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstVideo", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstVideo, GstWebRTC  # noqa: E402

H264 = (
    "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f,level-asymmetry-allowed=(string)1"
)

# What decodes: the first that is installed.
DECODERS = "avdec_h264 max-threads=1", "openh264dec"

# webrtcbin loads these by itself, and fails late where one is missing.
PARTS = "webrtcbin", "nicesrc", "dtlssrtpdec", "srtpdec", "rtpbin", "rtph264depay", "h264parse"


class Viewer:
    def __init__(self):
        self.pipeline = Gst.Pipeline.new()
        self.webrtc = Gst.ElementFactory.make("webrtcbin")
        self.webrtc.props.bundle_policy = GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE
        # Milliseconds. Long, so that a busy machine loses no picture by it.
        self.webrtc.props.latency = 1000
        self.pipeline.add(self.webrtc)
        self.gathered = threading.Event()
        self.webrtc.connect("notify::ice-gathering-state", self.on_gathering)
        self.webrtc.connect("pad-added", self.on_pad)
        transceiver = self.webrtc.emit(
            "add-transceiver",
            GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY,
            Gst.Caps.from_string(H264),
        )
        # Has lost packets sent again, and offers RTX for them.
        transceiver.props.do_nack = True
        self.pipeline.set_state(Gst.State.PLAYING)

    def ask(self, signal, *arguments, answer=None):
        """Emits a signal that is answered by a promise, and waits for it."""
        promise = Gst.Promise.new()
        self.webrtc.emit(signal, *arguments, promise)
        promise.wait()
        # What is in the reply is freed with it, whatever Python still points to: hence the copy.
        reply = promise.get_reply()
        return reply.get_value(answer).copy() if answer else None

    def offer(self):
        offer = self.ask("create-offer", None, answer="offer")
        self.ask("set-local-description", offer)
        self.gathered.wait()
        return self.webrtc.props.local_description.sdp.as_text()

    def accept(self, answer):
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.ask("set-remote-description", answer)

    def close(self):
        self.pipeline.set_state(Gst.State.NULL)

    def on_gathering(self, webrtc, _):
        if webrtc.props.ice_gathering_state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self.gathered.set()

    def on_pad(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        chain = Gst.parse_bin_from_description(
            f"rtph264depay request-keyframe=true wait-for-keyframe=true ! h264parse ! {decoder()}"
            " ! appsink name=sink sync=false emit-signals=true",
            True,
        )
        chain.get_by_name("sink").connect("new-sample", self.on_picture)
        self.pipeline.add(chain)
        chain.sync_state_with_parent()
        pad.link(chain.get_static_pad("sink"))

    def on_picture(self, sink):
        sample = sink.emit("pull-sample")
        info = GstVideo.VideoInfo.new_from_caps(sample.get_caps())
        found, data = sample.get_buffer().map(Gst.MapFlags.READ)
        if found:
            protocol.say_frame(data.data, info.width, info.height, info.stride[0])
            sample.get_buffer().unmap(data)
        return Gst.FlowReturn.OK


def installed(element):
    return Gst.ElementFactory.find(element.split()[0]) is not None


def decoder():
    return next(filter(installed, DECODERS))


def check():
    missing = [part for part in PARTS if not installed(part)]
    if not any(map(installed, DECODERS)):
        missing.append(" or ".join(DECODERS))
    if missing:
        sys.exit(f"GStreamer lacks {', '.join(missing)}")


def main(arguments):
    Gst.init(None)
    check()
    if arguments == ["--check"]:
        return
    passive = "--passive" in arguments
    arguments = [argument for argument in arguments if argument != "--passive"]
    viewer = Viewer()
    offer = viewer.offer()
    if passive:
        offer = offer.replace("a=setup:actpass", "a=setup:passive")
    if arguments == ["--print-offer"]:
        sys.stdout.write(offer)
        viewer.close()
        return
    url, door = arguments
    resource, answer = protocol.offer(url, door, offer)
    viewer.accept(answer)
    order = protocol.await_order()
    if order == "delete":
        protocol.delete(resource)
    viewer.close()
    protocol.say("closed")


main(sys.argv[1:])
