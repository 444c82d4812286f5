"""A TCP proxy that does to connections what networks do: cut, swallow, refuse, hold, delay, throttle."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

_BLOCK_BYTES = 64 * 1024
# A simple query: its kind, its length with itself, its text (PostgreSQL documentation, "Message Formats").
_COMMIT = b"COMMIT\0"
"""How a query ends that commits."""


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    number: int
    """Which connection it was, from 1."""
    client: StreamWriter
    server: StreamWriter
    carried: int = 0
    """Bytes so far, both ways."""
    open: bool = True
    swallowing: bool = False
    loses_answer: bool = False
    tail: bytes = b""
    """The end of what the client sent."""

    def cut(self, reset: bool) -> None:
        """Ends both sides: with RST, as a firewall does, or with FIN, as a server that ends in order."""
        self.open = False
        for side in (self.client, self.server):
            if reset:
                raw: socket.socket = side.get_extra_info("socket")
                with suppress(OSError):  # that side has ended already
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.transport.abort()
            else:
                side.close()


@dataclass(eq=False)
class Proxy:
    """Listens on a port of its own before another one on this machine; any thread may call it.

    `rules` maps the number of a connection to bytes, and to what is done when it has carried so many.
    """

    behind: int
    """The server's port."""
    delay: float = 0.0
    """Seconds that each block waits."""
    rate: float = 0.0
    """Bytes a second of all connections together; 0 is as fast as they are."""
    answers_to_lose: int = 0
    """So many of the next COMMITs of PostgreSQL get through, and their answers get lost."""
    rules: dict[int, tuple[int, Callable[[Link], None]]] = field(default_factory=dict)
    rewrite: Callable[[bytes, bool], bytes] | None = None
    """What becomes of a block; whether it is on its way to the server."""
    links: list[Link] = field(default_factory=list)
    """All connections there have been."""
    port: int = 0
    _free_at: float = 0.0

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.accept()

    def close(self) -> None:
        """Cuts all that is left."""
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    @property
    def living(self) -> list[Link]:
        """The connections that are open now."""
        return [link for link in self.links if link.open]

    def cut(self, *links: Link, reset: bool = True) -> None:
        """Cuts these connections, or all."""
        for link in links or self.living:
            self._loop.call_soon_threadsafe(link.cut, reset)

    def swallow(self, *links: Link) -> None:
        """Half-open: all bytes of these or all connections vanish, and no side hears that the other left."""
        for link in links or self.links:
            link.swallowing = True

    # Nothing flows and nothing is lost between `hold` and `flow`; between `refuse` and `accept` the
    # connections that there are live on.

    def hold(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.set)

    def refuse(self) -> None:
        self._loop.call_soon_threadsafe(self._listener.close)

    def accept(self) -> None:
        listening = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._listener = asyncio.run_coroutine_threadsafe(listening, self._loop).result(10)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _serve(self, reader: StreamReader, client: StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.behind)
        except OSError:  # the server is down: so are we
            client.transport.abort()
            return
        link = Link(len(self.links) + 1, client, server)
        self.links.append(link)
        # The first side that ends takes the other along, unless they no longer hear of each other.
        pumps = [
            asyncio.ensure_future(self._pump(link, *way)) for way in ((reader, server), (answers, client))
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if link.open and not link.swallowing:
            link.cut(reset=link.loses_answer)

    async def _pump(self, link: Link, source: StreamReader, to: StreamWriter) -> None:
        with suppress(OSError):
            while block := await source.read(_BLOCK_BYTES):
                await self._wait(len(block))
                if link.loses_answer and to is link.client:
                    return
                if link.swallowing:
                    continue
                if to is link.server:
                    link.tail = (link.tail + block)[-len(_COMMIT) :]
                    link.loses_answer = link.tail == _COMMIT and self.answers_to_lose > 0
                    self.answers_to_lose -= link.loses_answer
                to.write(self.rewrite(block, to is link.server) if self.rewrite else block)
                await to.drain()
                link.carried += len(block)
                limit, act = self.rules.get(link.number, (0, None))
                if act and link.carried >= limit:
                    del self.rules[link.number]
                    act(link)

    async def _wait(self, count: int) -> None:
        """Holds a block of this size up for as long as it has to."""
        await self._flowing.wait()
        await asyncio.sleep(self.delay)
        if self.rate:
            now = self._loop.time()
            self._free_at = max(self._free_at, now) + count / self.rate
            await asyncio.sleep(self._free_at - now)
