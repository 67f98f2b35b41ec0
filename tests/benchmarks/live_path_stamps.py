"""When does an order's way from the frame to the wire pass each station? The real bot, as a program that takes stamps.

`python -m tests.benchmarks.live_path_stamps FILE DURABILITY …` runs `tradebot …` and writes to FILE, for every order
that a price led to, the ns at each station. Asked by the benchmark of the live path.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns as now_ns
from typing import Any, Final

import aiohttp.client_proto
import aiohttp.http_writer

from tradebot.cli import main as command
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.events import QuoteSeen
from tradebot.domain.facts import OrderPlanned
from tradebot.exchange import hooks
from tradebot.feeds.ccxt_fast import FastReader
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.live import LiveShell
from tradebot.runtime.outbox import Outbox
from tradebot.storage import journal_file
from tradebot.storage.journal import SqliteJournal
from tradebot.venues.ccxt_requests import Answering
from tradebot.venues.ccxt_spot import CcxtSpot

STATIONS: Final = (
    "read", "taken", "published", "fed", "decided", "durable", "submitted", "begun", "signed", "sent",
)  # fmt: skip
"""In their order: bytes read from the socket, frame handed to the decoder, event published, fed to the engine, order
planned and handed to the journal, plan durable (in the thread that commits it), order handed to the venue, its task
begun, request built and signed, bytes handed to the transport."""

_CHUNKS: Final = 400  # reads of a socket that are looked through for a frame


class Stamps:
    """The stations of every order under way, by client id; those that arrived are `rows`."""

    def __init__(self) -> None:
        self.chunks: deque[tuple[int, bytes]] = deque(maxlen=_CHUNKS)
        self.frame: tuple[int, Any] = (0, "")
        self.born: dict[str, tuple[Any, int, Any, int]] = {}
        self.cause: tuple[int, int, int] | None = None
        self.planned_ns = self.durable_ns = 0
        self.orders: dict[str, dict[str, int]] = {}
        self.waiting: list[tuple[int, dict[str, int]]] = []
        self.rows: list[list[int]] = []
        self.unknown = 0
        self.orders_seen = 0

    def read_ns(self, text: Any) -> int:
        """Return when the bytes of a frame were read; 0 where they came in several pieces."""
        raw = text.encode() if isinstance(text, str) else bytes(text)
        return next((at for at, chunk in reversed(self.chunks) if raw in chunk), 0)

    def planned(self, client_id: str, seq: int, cause: tuple[int, int, int]) -> None:
        """Note an order that a price led to, and whether its plan is durable already."""
        self.orders_seen += 1
        read = self.read_ns(self.frame[1])
        if not read:
            self.unknown += 1
            return
        way = dict(zip(("read", "taken", "published", "fed"), (read, *cause), strict=True))
        self.orders[client_id] = way = way | {"decided": self.planned_ns}
        if self.durable_ns:
            way["durable"] = self.durable_ns
        else:
            self.waiting.append((seq, way))

    def stamp(self, client_id: str, station: str) -> None:
        """Note that an order is at a station now."""
        if client_id in self.orders:
            self.orders[client_id].setdefault(station, now_ns())

    def sent(self, chunk: bytes) -> None:
        """Note the bytes that go to a transport: an order's request ends its way."""
        begin = chunk.find(b"newClientOrderId=")
        if begin < 0 or not chunk.startswith(b"POST /api/v3/order "):
            return
        client_id = chunk[begin + 17 :].partition(b"&")[0].decode()
        stamps = self.orders.pop(client_id, None)
        if stamps is not None:
            stamps["sent"] = now_ns()
            if len(stamps) == len(STATIONS):
                self.rows.append([stamps[station] for station in STATIONS])
            else:
                self.unknown += 1


S: Final = Stamps()


def _around(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    setattr(owner, name, make(getattr(owner, name)))


def _network() -> None:
    def reading(real: Any) -> Any:
        def data_received(self: Any, data: bytes) -> None:
            S.chunks.append((now_ns(), data))
            real(self, data)

        return data_received

    def writing(real: Any) -> Any:
        def write(self: Any, chunk: Any) -> None:
            S.sent(bytes(chunk))
            real(self, chunk)

        return write

    def writing_lines(real: Any) -> Any:
        def writelines(self: Any, chunks: Any) -> None:
            chunks = tuple(chunks)
            S.sent(b"".join(chunks))
            real(self, chunks)

        return writelines

    _around(aiohttp.client_proto.ResponseHandler, "data_received", reading)
    _around(aiohttp.http_writer.StreamWriter, "_write", writing)
    _around(aiohttp.http_writer.StreamWriter, "_writelines", writing_lines)


def _feed() -> None:
    def taking(real: Any) -> Any:
        def take(self: Any, sockets: Any, client: Any, data: Any) -> bool:
            S.frame = (now_ns(), data)
            return bool(real(self, sockets, client, data))

        return take

    def publishing(real: Any) -> Any:
        def publish(self: Any, event: Any) -> None:
            if type(event) is QuoteSeen:
                S.born[event.symbol] = (event, *S.frame, now_ns())
            real(self, event)

        return publish

    _around(FastReader, "take", taking)
    _around(LiveShell, "publish", publishing)


def _engine() -> None:
    def feeding(real: Any) -> Any:
        def feed(self: Any, event: Any, now_ms: int, **kwargs: Any) -> Any:
            S.cause = None
            if type(event) is QuoteSeen:
                born, taken_ns, text, published_ns = S.born[event.symbol]
                if born is event:
                    S.cause, S.frame = (taken_ns, published_ns, now_ns()), (taken_ns, text)
            try:
                return real(self, event, now_ms, **kwargs)
            finally:
                S.cause = None

        return feed

    def putting(real: Any) -> Any:
        def put(self: Any, commands: Any, seq: int, now_ms: int) -> None:
            for one in commands:
                if isinstance(one, PlaceOrder) and S.cause is not None:
                    S.planned(one.client_id, seq, S.cause)
            real(self, commands, seq, now_ms)

        return put

    _around(Dispatch, "feed", feeding)
    _around(Outbox, "put", putting)


def _journal() -> None:
    def appending(real: Any) -> Any:
        def append(self: Any, facts: Any, now_ms: int) -> int:
            if not any(type(fact) is OrderPlanned for fact in facts):
                return int(real(self, facts, now_ms))
            S.planned_ns = now_ns()
            seq = int(real(self, facts, now_ms))
            S.durable_ns = now_ns() if self.durable_seq >= seq else 0
            return seq

        return append

    def waking(real: Any) -> Any:
        def wake_for_journal(self: Any, durable: int) -> None:
            here = now_ns()
            for seq, way in tuple(S.waiting):
                if seq <= durable:
                    way.setdefault("durable", here)
            S.waiting[:] = [one for one in S.waiting if one[0] > durable]
            real(self, durable)

        return wake_for_journal

    _around(SqliteJournal, "append", appending)
    _around(LiveShell, "wake_for_journal", waking)


def _venue() -> None:
    def submitting(real: Any) -> Any:
        def submit(self: Any, command: Any, now_ms: int) -> Any:
            if isinstance(command, PlaceOrder):
                S.stamp(command.client_id, "submitted")
            return real(self, command, now_ms)

        return submit

    def placing(real: Any) -> Any:
        async def place(self: Any, command: PlaceOrder) -> None:
            S.stamp(command.client_id, "begun")
            await real(self, command)

        return place

    def fetching(real: Any) -> Any:
        async def fetch(self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if method == "POST" and body:
                S.stamp(body.partition("newClientOrderId=")[2].partition("&")[0], "signed")
            return await real(self, url, method, headers, body)

        return fetch

    _around(CcxtSpot, "submit", submitting)
    _around(Answering, "_place", placing)
    _around(hooks._RestHooks, "fetch", fetching)


def _pausing(pauses_ms: list[float]) -> Callable[[str, dict[str, int]], None]:
    """Return what notes each full collection of the garbage collector while the loop runs: all stands still then."""
    begun = [0]

    def told(phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2 or not gc.get_freeze_count():  # the loop freezes what was there before
            return
        if phase == "start":
            begun[0] = now_ns()
        else:
            pauses_ms.append((now_ns() - begun[0]) / 1e6)

    return told


def main(words: Sequence[str]) -> int:
    """Run the bot; write what was stamped."""
    file, durability, *rest = words
    if durability == "off":
        journal_file.SYNCHRONOUS["process"] = "OFF"
    for install in (_network, _feed, _engine, _journal, _venue):
        install()
    pauses_ms: list[float] = []
    gc.callbacks.append(_pausing(pauses_ms))
    code = command.main(rest)
    found = {"rows": S.rows, "orders": S.orders_seen, "cut": S.unknown, "gc_ms": pauses_ms}
    Path(file).write_text(json.dumps(found))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
