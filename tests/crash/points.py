"""At which instructions is a bot killed? Taps put around the product from outside, in the bot's own forked process.

A point is (tap, label): what happened (`tap`), and to what (`label`); the n-th of it is where the bot dies, by a real
SIGKILL to itself. Without a kill the taps only count, and write down what they saw.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from tests.crash.stage import Slot, Stage
from tradebot.storage import checkpoint, files
from tradebot.storage.journal import SqliteJournal
from tradebot.venues.ccxt_spot import CcxtSpot

TAPS: Final = (
    *("write", "written", "leaving", "sent", "answered", "heard"),
    *("saving", "renaming", "saved"),
)
"""Before and after a commit of the journal; before a request leaves, after its last byte, at its answer before it is
handled; at an event of the user stream before it is handled; before a checkpoint, before its rename, and after."""

_PATHS: Final = {
    ("GET", "order"): "query",
    ("DELETE", "order"): "cancel",
    ("GET", "account"): "balances",
    ("GET", "openOrders"): "open orders",
    ("GET", "allOrders"): "all orders",
    ("GET", "myTrades"): "trades",
    ("GET", "exchangeInfo"): "markets",
    ("GET", "time"): "time",
}


class Kill(Struct, frozen=True):
    """Where a run dies: at the `nth` time of `tap` and `label`."""

    tap: str
    label: str
    nth: int = 1


class Points:
    """Counts points, and kills this process at the one that is meant."""

    def __init__(self, stage: Stage, run: int, kill: Kill | None) -> None:
        self._stage = stage
        self._run = run
        self._kill = kill
        self.seen: Counter[tuple[str, str]] = Counter()
        self.order: list[tuple[str, str]] = []
        """Every point, in order."""

    def reach(self, tap: str, label: str) -> None:
        """Pass a point, or end there."""
        key = tap, label
        self.seen[key] += 1
        self.order.append(key)
        kill = self._kill
        if kill is not None and (kill.tap, kill.label) == key and self.seen[key] == kill.nth:
            self._stage[Slot.KILLED] = self._run
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Put every tap around the product, in this process for good."""
        self._around_journal()
        self._around_checkpoints()
        self._around_requests()
        self._around_reports()

    def _around_journal(self) -> None:
        commit = SqliteJournal._commit

        def tapped(journal: SqliteJournal, rows: list[Any]) -> None:
            names = [row[2] for row in rows]
            for name in names:
                self.reach("write", name)
            commit(journal, rows)
            for name in names:
                self.reach("written", name)

        _replace(SqliteJournal, "_commit", tapped)

    def _around_checkpoints(self) -> None:
        save, write = files.write_atomic, files._write_new

        def saving(path: Any, data: bytes, *, durable: bool = True) -> None:
            if durable:
                self.reach("saving", "checkpoint")
            save(path, data, durable=durable)
            if durable:
                self.reach("saved", "checkpoint")

        def writing(path: Any, data: bytes, *, durable: bool) -> None:
            write(path, data, durable=durable)
            if durable and "checkpoint" in path.name:
                self.reach("renaming", "checkpoint")

        _replace(checkpoint, "write_atomic", saving)
        _replace(files, "_write_new", writing)

    def _around_requests(self) -> None:
        make, request = aiohttp.ClientSession.__init__, aiohttp.ClientSession._request

        async def gone(_session: Any, context: Any, params: Any) -> None:
            label = context.trace_request_ctx
            if label is not None and (hasattr(params, "chunk") or not label.startswith("place")):
                self.reach("sent", label)

        def made(session: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
            watch = aiohttp.TraceConfig()
            watch.on_request_headers_sent.append(gone)
            watch.on_request_chunk_sent.append(gone)
            make(session, *args, **{**kwargs, "trace_configs": [*kwargs.get("trace_configs", ()), watch]})

        async def tapped(session: aiohttp.ClientSession, method: str, url: Any, **kwargs: Any) -> Any:
            label = label_of(method, str(url), kwargs.get("data"))
            self.reach("leaving", label)
            response = await request(session, method, url, **{**kwargs, "trace_request_ctx": label})
            self.reach("answered", label)
            return response

        _replace(aiohttp.ClientSession, "__init__", made)
        _replace(aiohttp.ClientSession, "_request", tapped)

    def _around_reports(self) -> None:
        report = CcxtSpot._on_report

        def tapped(venue: CcxtSpot, message: Mapping[str, Any]) -> None:
            self.reach("heard", f"{message.get('s')} {message.get('x')}")
            report(venue, message)

        _replace(CcxtSpot, "_on_report", tapped)


def label_of(method: str, url: str, data: object) -> str:
    """Return what a request is for and of which symbol: "place GTC BUY ETHUSDT", "query BTCUSDT", "balances"."""
    parts = urlsplit(url)
    words = {key: values[0] for key, values in parse_qs(str(data) if data else parts.query).items()}
    name = parts.path.rpartition("/")[2]
    symbol = words.get("symbol", "")
    if method == "POST" and name == "order":
        kind = words.get("timeInForce", words["type"])
        return f"place {kind} {words['side']} {symbol}"
    return f"{_PATHS.get((method, name), name)} {symbol}".strip()


def written(points: Points) -> bytes:
    """Return the points a run passed, as one line for whoever reads them."""
    return msgspec.json.encode(points.order) + b"\n"


def _replace(owner: Any, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)
