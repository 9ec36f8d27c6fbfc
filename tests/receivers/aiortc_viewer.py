"""A viewer on aiortc, the library under WebGear_RTC. See protocol.py."""

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
    peer.addTransceiver("video", direction="recvonly")
    watching = []
    peer.on("track", lambda track: watching.append(asyncio.ensure_future(watch(track))))
    await peer.setLocalDescription(await peer.createOffer())
    if arguments == ["--print-offer"]:
        sys.stdout.write(peer.localDescription.sdp)
        await peer.close()
        return
    url, door = arguments
    resource, answer = await asyncio.to_thread(
        protocol.offer, url, door, peer.localDescription.sdp
    )
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    order = await asyncio.to_thread(protocol.await_order)
    if order == "delete":
        await asyncio.to_thread(protocol.delete, url, resource)
    await peer.close()
    protocol.say("closed")


asyncio.run(main(sys.argv[1:]))
