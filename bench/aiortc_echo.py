"""The peer: an echo as one writes it with aiortc, the well-known WebRTC library for Python.

The remote track is given back as the local one, so aiortc decodes each packet and encodes it again: its normal path.
HTTP is the least that answers our caller.

    python -m bench.aiortc_echo PORT
"""

import asyncio
import sys
import uuid

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

_CALLS = "/v1/realtime/calls"
_calls: dict[str, RTCPeerConnection] = {}


async def _answer(offer: str) -> tuple[str, str]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    @connection.on("track")
    def give_back(track: MediaStreamTrack) -> None:
        connection.addTrack(track)

    await connection.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    name = uuid.uuid4().hex
    _calls[name] = connection
    return name, connection.localDescription.sdp


async def _respond(method: str, path: str, body: bytes) -> tuple[str, str, str]:
    """Return status, further headers and body."""
    if method == "GET":
        return "200 OK", "", "ok"
    if method == "POST" and path == _CALLS:
        name, answer = await _answer(body.decode())
        return "201 Created", f"Location: {_CALLS}/{name}\r\nContent-Type: application/sdp\r\n", answer
    connection = _calls.pop(path.rpartition("/")[2], None)
    if method == "DELETE" and connection is not None:
        await connection.close()
        return "200 OK", "", ""
    return "404 Not Found", "", ""


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            status, more, text = await _respond(method, path, body)
            content = text.encode()
            writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    print("ready")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
