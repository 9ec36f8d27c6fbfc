"""What the viewers of this folder share: talking to the camera, and to the test that runs them.

A viewer is run as `viewer.py URL DOOR`, where DOOR is "whep" or "offer". It says on its standard
output, a line each:

    session PATH         the session's resource, once there is an answer
    frame NUMBER MILLIS  a picture was decoded; what its strip says: frame number, wall clock
    frame unreadable     a picture was decoded, and its strip is damaged
    closed               it is over

On its standard input it takes one line: `delete` ends the session by HTTP and then locally, `close`
only locally. With `--print-offer` instead of URL and DOOR it prints its offer and ends; with
`--check` it ends at once, successfully if everything it needs is installed.
"""

import json
import sys
import urllib.parse
import urllib.request

COLUMNS, ROWS, STRIP_ROWS, MARK = 40, 30, 2, 0xA5


def say(*words):
    print(*words, flush=True)


def offer(url, door, sdp):
    """Hands in an offer; returns the answer's SDP."""
    asked = f"{url}/{door}"
    if door == "whep":
        request = urllib.request.Request(
            asked, sdp.encode(), {"Content-Type": "application/sdp"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            resource, answer = response.headers["Location"], response.read().decode()
    else:
        body = json.dumps({"type": "offer", "sdp": sdp}).encode()
        request = urllib.request.Request(
            asked, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            reply = json.load(response)
            resource, answer = reply["resource"], reply["sdp"]
    resource = urllib.parse.urljoin(asked, resource)
    say("session", urllib.parse.urlsplit(resource).path)
    return resource, answer


def delete(resource):
    urllib.request.urlopen(urllib.request.Request(resource, method="DELETE"), timeout=30)


def await_order():
    """Waits for the test to say how to end."""
    return sys.stdin.readline().strip()


def say_frame(luma, width, height, stride):
    """Reads the strip (src/camera/pattern.rs) of a picture and reports it."""
    bits = [
        luma[
            int((1 - (STRIP_ROWS - row - 0.5) / ROWS) * height) * stride
            + int((column + 0.5) / COLUMNS * width)
        ]
        > 127
        for row in range(STRIP_ROWS)
        for column in range(COLUMNS)
    ]
    content = bytes(
        sum(bit << (7 - i) for i, bit in enumerate(bits[at : at + 8]))
        for at in range(0, len(bits), 8)
    )
    if content[0] != MARK or content[9] != crc8(content[:9]):
        say("frame unreadable")
        return
    say("frame", int.from_bytes(content[7:9], "big"), int.from_bytes(content[1:7], "big"))


def crc8(content):
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
