"""Is the exchange telling of own orders by itself? Keeps the user stream up; asked by the ccxt venue.

Whatever ends it (a lost or half-open socket, an ended stream, a shutdown of the server) is told and followed by
another connection, with growing pauses; every connection is followed by a reconciliation. One that grows old is
replaced before the exchange ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from tradebot.exchange.hooks import end
from tradebot.exchange.parsing import SeenOrder, Unreadable, orders_of

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_STEADY_S: Final = 30.0


class StreamUser(Protocol):
    """Who is told of the stream."""

    def up(self) -> None:
        """It is connected: from here on it tells, of what was before it does not."""

    def down(self, cause: str) -> None:
        """It is lost, and will be connected again."""

    def changed(self, order: SeenOrder) -> None:
        """An order changed; what is said of it is a hint, not evidence."""


class Lost(Exception):
    """The stream is over; the text says how."""


class Replaced(Exception):
    """A socket ends as it should: another one has its place."""


class UserStream:
    """Keeps one user stream of an instance of ccxt up until it is cancelled.

    A subscription unanswered for `timeout_s` is begun again. Where the exchange ends sockets by their age (Binance,
    after 24 h), one is replaced at `renew_after_s`: the new one tells before the old one is closed.
    """

    def __init__(self, exchange: Any, user: StreamUser, dialect: Any, timeout_s: float, renew_after_s: float) -> None:
        self._exchange = exchange
        self._user = user
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._renew_after_s = renew_after_s
        self.connections = 0
        """How often it was connected."""

    async def run(self) -> None:
        """Connect, listen, and again; ends only by being cancelled."""
        once: Callable[[], Awaitable[None]] = self._signed if self._dialect.raw_reports else self._watched
        loop, pause_s = asyncio.get_running_loop(), _FIRST_PAUSE_S
        while True:
            begun = loop.time()
            try:
                await once()
                cause = "it ended"
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                cause = "its socket was closed"
            except Exception as error:  # noqa: BLE001 - the border to ccxt: whatever ends the stream, it is begun again
                cause = str(error) if isinstance(error, Lost) else _words(error)
            self._user.down(cause)
            pause_s = _FIRST_PAUSE_S if loop.time() - begun > _STEADY_S else min(2 * pause_s, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _signed(self) -> None:
        """Subscribe as Binance wants it (userDataStream.subscribe.signature), renew, and wait until a socket ends."""
        client = await self._subscribed()
        while True:
            self.connections += 1
            self._user.up()
            over = client.future("tradebot:over")
            await asyncio.wait((over,), timeout=self._renew_after_s)
            if over.done():
                over.result()
                return
            client = await self._renewed(client)

    async def _subscribed(self) -> Any:
        exchange = self._exchange
        client = exchange.client(exchange.urls["api"]["ws"]["ws-api"]["spot"])
        over = client.future("tradebot:over")  # ccxt rejects it with the socket
        try:
            async with asyncio.timeout(self._timeout_s):
                # first the connection: ccxt signs before it dials, and the signature grows old meanwhile
                await asyncio.wait((client.connect(exchange.session), over), return_when=asyncio.FIRST_COMPLETED)
                if over.done():
                    over.result()
                await exchange.ensure_user_data_stream_ws_subscribe_signature("spot")
        except TimeoutError:
            end(client, "no answer to the subscription")
            raise Lost("no answer to the subscription") from None
        except Exception as error:
            end(client, "its subscription failed")  # on it ccxt would wait for the answer to a request it never sends
            if isinstance(error, KeyError):  # ccxt forgets a refused subscription twice, and with it why
                raise error.__context__ or error from None
            raise
        return client

    async def _renewed(self, old: Any) -> Any:
        """Return the client of a new socket that tells of own orders; `old` is closed then, and not before.

        Both tell for a moment: what comes twice is known by its order and trade ids.
        """
        clients = self._exchange.clients
        old.futures.pop("tradebot:over").cancel()
        old.error = Replaced("it is old")  # or ccxt takes its end for that of the new socket
        del clients[old.url]
        try:
            new = await self._subscribed()
        finally:
            end(old, "replaced by a new socket")
        return new

    async def _watched(self) -> None:
        """Watch by ccxt's unified method: what it returns is a hint, since its own cache keeps no order of events."""
        while True:
            answer = await self._exchange.watch_orders()
            try:
                seen = orders_of(answer, "", self._dialect)
            except Unreadable as error:
                raise Lost(str(error)) from None
            for order in seen:
                self._user.changed(order)


def symbols_by_id(markets: Mapping[str, Any]) -> dict[str, str]:
    """Return the unified spot symbols by the exchange's own."""
    return {market["id"]: symbol for symbol, market in markets.items() if market.get("spot")}


def _words(error: BaseException) -> str:
    """Say what ended a socket, without an address: ccxt's texts may hold one that is signed."""
    text = str(error).split(", url=", maxsplit=1)[0].splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text and "://" not in text[0] else type(error).__name__
