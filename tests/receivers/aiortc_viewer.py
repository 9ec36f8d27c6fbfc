"""A viewer on aiortc, the library under WebGear_RTC. See protocol.py.

After URL and DOOR may come what to offer, in order: of `video`, `audio` and `data`.
"""

import asyncio
import sys

import protocol
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError


async def watch(track):
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        plane = frame.planes[0]
        protocol.say_frame(memoryview(plane), frame.width, frame.height, plane.line_size)


async def main(arguments):
    if arguments == ["--check"]:
        return
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for section in arguments[2:] or ["video"]:
        if section == "data":
            peer.createDataChannel("data")
        else:
            peer.addTransceiver(section, direction="recvonly")
    watching = []

    def on_track(track):
        if track.kind == "video":
            watching.append(asyncio.ensure_future(watch(track)))

    peer.on("track", on_track)
    await peer.setLocalDescription(await peer.createOffer())
    if arguments == ["--print-offer"]:
        sys.stdout.write(peer.localDescription.sdp)
        await peer.close()
        return
    url, door = arguments[:2]
    resource, answer = await asyncio.to_thread(
        protocol.offer, url, door, peer.localDescription.sdp
    )
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    order = await asyncio.to_thread(protocol.await_order)
    if order == "delete":
        await asyncio.to_thread(protocol.delete, resource)
    await peer.close()
    protocol.say("closed")


asyncio.run(main(sys.argv[1:]))
