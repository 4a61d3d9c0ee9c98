"""A TCP proxy between workers and their database, to cut and to stall connections.

As a program: `python proxy.py TARGET_PORT DOORS` opens that many ports on loopback and prints
them; then it takes commands on stdin, one a line, and answers each by a line:

    pass DOOR     what comes is passed on
    cut DOOR      connections are broken off, new ones too
    stall DOOR    connections stay, and nothing comes through (a cable that was pulled)
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path


class Door:
    """One port of the proxy."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.open = asyncio.Event()
        self.open.set()
        self.refuse = False
        self.writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to the target until one of them leaves."""
        self.writers.add(writer)
        try:
            await self.open.wait()
            if self.refuse:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            self.writers.add(back)
            try:
                pumps = {
                    asyncio.ensure_future(self.pump(reader, back)),
                    asyncio.ensure_future(self.pump(there, writer)),
                }
                _, rest = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in rest:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                self.writers.discard(back)
                back.transport.abort()
        except OSError:
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, while the door is open."""
        while data := await reader.read(65536):
            await self.open.wait()
            writer.write(data)
            await writer.drain()

    def command(self, word: str) -> None:
        """Take one command."""
        self.refuse = word == "cut"
        if word == "stall":
            self.open.clear()
        else:
            self.open.set()
        if word == "cut":
            for writer in list(self.writers):
                writer.transport.abort()


async def run(target: int, count: int) -> None:
    """Serve until stdin ends."""
    doors = [Door(target) for _ in range(count)]
    servers = [await asyncio.start_server(door.serve, "127.0.0.1", 0) for door in doors]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := await lines.readline():
        word, door = line.decode().split()
        doors[int(door)].command(word)
        print("done", flush=True)


class Proxy:
    """The proxy as a process of its own.

    Args:
        target: port that it leads to.
        doors: how many ports it opens; each is cut by itself.

    Attributes:
        ports: those that it opened.
    """

    def __init__(self, target: int, doors: int = 1) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__)), str(target), str(doors)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.ports = [int(port) for port in self._process.stdout.readline().split()]
        assert len(self.ports) == doors, "the proxy did not start"

    def set(self, word: str, door: int = 0) -> None:
        """Pass, cut or stall the connections through a door, from now on."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{word} {door}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n", "the proxy died"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))
