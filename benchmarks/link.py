"""A network link of a given speed in front of a local port, for what no loopback can show.

    python -m benchmarks.link PORT MEGABYTES_PER_SECOND

Prints the port it listens on and forwards every connection until it is killed. All connections
share the speed, each direction by itself; a message waits as long as the link is busy with others.
Latency is not added.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

_CHUNK = 256 * 1024


class Direction:
    """One direction of the link: what is sent takes its time, in the order it came."""

    def __init__(self, bytes_per_second: float) -> None:
        self._speed = bytes_per_second
        self._free_at = 0.0

    def delay(self, now: float, size: int) -> float:
        """Seconds until so many bytes, sent now, are through."""
        self._free_at = max(now, self._free_at) + size / self._speed
        return self._free_at - now


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, through: Direction
) -> None:
    clock = asyncio.get_running_loop().time
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            await asyncio.sleep(through.delay(clock(), len(chunk)))
            writer.write(chunk)
            await writer.drain()
    with suppress(ConnectionError):
        writer.close()


async def serve(port: int, bytes_per_second: float) -> None:
    """Forward connections to that port of this machine."""
    there, back = Direction(bytes_per_second), Direction(bytes_per_second)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, far_writer, there), _pump(far_reader, writer, back))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2 * _CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) * 1e6))
