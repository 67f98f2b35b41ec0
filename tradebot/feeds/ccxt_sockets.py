"""Do the live feed's connections still speak? Asked by the feed, which runs one watch over all sockets of an exchange.

It stands between ccxt's web-socket clients and ccxt's handlers: every frame passes here first. Three weaknesses of
ccxt are closed at this place: an exception in a handler ends the receive loop of a socket without a word; a socket
whose peer is gone is noticed only after two missed pongs; a receive error leaves a dead client where the next
subscription looks for a living one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tradebot.feeds.ccxt_counts import FeedTold

OnText = Callable[[Any, Any], bool]
"""Takes (client, text or bytes) of a message; returns whether it was taken, so that ccxt need not read it."""

OnResult = Callable[[Any], bool]
"""Takes what ccxt read; returns whether it was taken. Then no watcher is woken for it."""

PRICE_SILENCE = 3
"""So many times the frame silence may pass without a price; doubled for a connection that stays without one."""

MOST_PRICE_SILENCES = 96

OLD_SOCKET_S = 10.0
"""Longest time in which a connection that will be closed is kept beside the new one."""

RENEWAL_SPREAD = 0.1
"""Connections made together are replaced apart: one at the age that is set, others earlier by up to this share."""

_GOLDEN = 0.618033988749895
"""Multiples of it, without their whole parts, are spread evenly however many there are."""


def renewal_age_s(renew_after_s: float, number: int) -> float:
    """Return at which age the connection of that number, counted from 0, is replaced."""
    return renew_after_s * (1 - RENEWAL_SPREAD * (number * _GOLDEN % 1))


class _Socket:
    """One web-socket client of ccxt and when it spoke last; times are of the loop's clock."""

    __slots__ = ("age_s", "begun_s", "client", "connected", "frame_s", "lost", "patience", "price_s", "retired_s")

    def __init__(self, client: Any, now_s: float, patience: int, age_s: float) -> None:
        self.client = client
        self.age_s = age_s  # at which it is replaced
        self.begun_s = self.frame_s = self.price_s = now_s
        self.connected = False
        self.lost = False
        self.retired_s = 0.0  # when a new one was asked for in its place
        self.patience = patience


class Sockets:
    """The connections of one ccxt exchange instance, watched over; `told` counts what happens to them.

    `on_text` sees every message before ccxt does, `on_result` what ccxt made of those it read; both are set before
    the first subscription. One that is `silence_s` without a message is closed, one that is `renew_after_s` old
    replaced: whoever subscribed there gets a `moved`, and the old one is heard until the new one tells prices.
    """

    def __init__(self, exchange: Any, told: FeedTold, silence_s: float, renew_after_s: float) -> None:
        self._exchange: Any = exchange
        self._told = told
        self._silence_s = silence_s
        self._renew_after_s = renew_after_s
        self._made = 0
        self.on_text: OnText = lambda _client, _data: False
        self.on_result: OnResult = lambda _result: False
        self._loop = asyncio.get_running_loop()
        self._sockets: list[_Socket] = []
        self._wake = asyncio.Event()
        self._ending = False
        self._patience: dict[str, int] = {}
        self._urls: dict[Any, str] = {}
        self._make = exchange.client
        self._on_connected, self._on_error, self._on_close = exchange.on_connected, exchange.on_error, exchange.on_close
        self._watch, self._watch_multiple = exchange.watch, exchange.watch_multiple
        exchange.client = self._client
        exchange.on_connected = self._connected
        exchange.on_error = self._failed
        exchange.on_close = self._closed
        exchange.watch = self._watching(self._watch)
        exchange.watch_multiple = self._watching(self._watch_multiple)
        self._network_error: type[Exception] = import_module("ccxt").NetworkError
        self.moved: type[Exception] = type("Moved", (self._network_error,), {})
        """What a subscription ends with that is to be made again at once, on a new connection."""

    def priced(self, client: Any) -> None:
        """Take note that a price came from `client`."""
        socket = client.tradebot_socket
        socket.price_s = max(socket.price_s, socket.frame_s)
        if socket.patience != PRICE_SILENCE:
            socket.patience = PRICE_SILENCE
            self._patience.pop(client.url, None)

    def forget(self, task: Any) -> None:
        """Close the connection that `task` last subscribed on: what it subscribed to there cannot be relied on."""
        url = self._urls.pop(task, None)
        client = self._exchange.clients.get(url) if url is not None and self._exchange.clients else None
        if client is not None:
            self._drop(client, "a subscription failed")

    def going(self, client: Any) -> None:
        """Move to a new connection: the server will close `client`."""
        if self._move(client.tradebot_socket, "the server will close it"):
            self._told.server_going(client.url)

    def _renew(self, socket: _Socket, now: float) -> None:
        if self._move(socket, "it is old"):
            self._told.renewed(socket.client.url, now - socket.begun_s)

    def _move(self, socket: _Socket, cause: str) -> bool:
        """Let its subscriptions go to a new connection; return whether that is so from now on."""
        client = socket.client
        if socket.retired_s or socket.lost:
            return False
        socket.retired_s = self._loop.time()
        if self._exchange.clients.get(client.url) is client:
            del self._exchange.clients[client.url]
        client.reject(self.moved(cause))
        self._wake.set()
        return True

    def replaced(self, client: Any) -> bool:
        """Whether a newer connection tells the prices of `client` by now."""
        if not client.tradebot_socket.retired_s:
            return False
        newer = self._exchange.clients.get(client.url)
        return newer is not None and newer.tradebot_socket.price_s > newer.tradebot_socket.begun_s

    def end(self) -> None:
        """Take note that the connections are closed by us from here on: none of them is lost."""
        self._ending = True

    async def watch(self) -> None:
        """Close what has fallen silent, until cancelled: whoever subscribed there gets an error and subscribes anew."""
        while True:
            now = self._loop.time()
            due_s = now + self._silence_s
            for socket in tuple(self._sockets):
                due_s = min(due_s, self._look_at(socket, now))
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(due_s - now, 0.01))

    def _look_at(self, socket: _Socket, now: float) -> float:
        """Close a silent socket; return when to look at it again."""
        if not socket.connected:
            return now + self._silence_s
        if socket.retired_s:
            if self.replaced(socket.client) or now >= socket.retired_s + OLD_SOCKET_S:
                self._drop(socket.client, "replaced before the server closed it")
            return now + 0.1
        if now >= socket.begun_s + socket.age_s:
            self._renew(socket, now)
            return now + 0.1
        price_silence_s = socket.patience * self._silence_s
        if now >= socket.frame_s + self._silence_s:
            self._told.silent(socket.client.url, now - socket.frame_s, "frame")
            self._drop(socket.client, "it was silent")
        elif now >= socket.price_s + price_silence_s:
            self._told.silent(socket.client.url, now - socket.price_s, "price")
            self._patience[socket.client.url] = min(socket.patience * 2, MOST_PRICE_SILENCES)
            self._drop(socket.client, "it told no price")
        return min(socket.frame_s + self._silence_s, socket.price_s + price_silence_s, socket.begun_s + socket.age_s)

    # -- what ccxt calls ----------------------------------------------------------------------------

    def _watching(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watch(url: str, *arguments: Any, **named: Any) -> Any:
            self._urls[asyncio.current_task()] = url
            return call(url, *arguments, **named)

        return watch

    def _client(self, url: str) -> Any:
        client = self._make(url)
        if not hasattr(client, "tradebot_socket"):
            age_s = renewal_age_s(self._renew_after_s, self._made)
            self._made += 1
            socket = _Socket(client, self._loop.time(), self._patience.get(url, PRICE_SILENCE), age_s)
            self._sockets.append(socket)
            client.tradebot_socket = socket
            self._stand_between(client, socket)
        return client

    def _stand_between(self, client: Any, socket: _Socket) -> None:
        handle, read, resolve = client.handle_message, client.handle_text_or_binary_message, client.resolve
        on_text, on_result, time = self.on_text, self.on_result, self._loop.time

        def frame(message: Any) -> None:
            socket.frame_s = time()
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001 - an error here would end ccxt's receive loop without a word
                self._drop(client, f"a message could not be handled ({type(error).__name__})")

        def text(data: Any) -> None:
            if on_text(client, data):
                return
            try:
                read(data)
            except Exception as error:
                self._told.unreadable(f"{type(error).__name__}: {error}")
                raise

        def result(value: Any, message_hash: Any) -> Any:
            if self.replaced(client):
                return value  # what it tells now may be older than what the new connection told
            if on_result(value):
                self.priced(client)
                return value
            return resolve(value, message_hash)

        client.handle_message = frame
        client.handle_text_or_binary_message = text
        client.resolve = result

    def _connected(self, client: Any, *rest: Any) -> None:
        socket = client.tradebot_socket
        socket.begun_s = socket.frame_s = socket.price_s = self._loop.time()
        socket.connected = True
        self._wake.set()
        self._told.connected(client.url)
        self._on_connected(client, *rest)

    def _failed(self, client: Any, error: Any) -> None:
        self._lost(client, f"{type(error).__name__}: {error}")
        self._settle(self._on_error, client, error)

    def _closed(self, client: Any, code: Any) -> None:
        self._lost(client, f"closed by the server, code {code}")
        self._settle(self._on_close, client, code)

    def _settle(self, call: Callable[[Any, Any], None], client: Any, what: Any) -> None:
        """Let ccxt note that `client` is gone; it must not take the newer client of the same address for it."""
        clients, url = self._exchange.clients, client.url
        newer = clients.get(url)
        call(client, what)
        if newer is client:
            clients.pop(url, None)
        elif newer is not None:
            clients[url] = newer

    def _lost(self, client: Any, cause: str) -> None:
        socket = client.tradebot_socket
        if socket in self._sockets:
            self._sockets.remove(socket)
        if socket.connected and not socket.lost and not self._ending:
            self._told.disconnected(client.url, cause, replaced=bool(socket.retired_s))
        socket.lost = True

    def _drop(self, client: Any, cause: str) -> None:
        client.on_error(self._network_error(cause))
