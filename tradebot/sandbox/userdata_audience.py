"""Who hears what becomes of an account? Asked by the ws-api for its subscriptions, and by the faults for the order of
answer and event.

One audience for each account: the exchange's events in their order, to every subscription through its own outlet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.fault_events import Outlet
from tradebot.sandbox.faults import Occasion
from tradebot.sandbox.orders import AccountEvent
from tradebot.sandbox.sockets import Socket
from tradebot.sandbox.userdata_events import Message, message_of, occasion_of, terminated

MOST_HELD: Final = 100_000
"""How many events wait at most for an answer that is to be the first; then they leave."""


class Subscription:
    """One event stream on one socket; a socket may have several."""

    def __init__(self, number: int, socket: Socket, outlet: Outlet) -> None:
        self.number = number
        self.socket = socket
        self._outlet = outlet

    def hear(self, occasion: Occasion, event: bytes) -> None:
        """Send an event (JSON)."""
        self._outlet.put(occasion, f'{{"subscriptionId":{self.number},"event":{event.decode()}}}')


class Audience:
    """Everybody who hears of one account."""

    def __init__(self, account: str, exchange: Exchange) -> None:
        self._subscriptions: list[Subscription] = []
        self._holds = 0
        self._held: list[tuple[Occasion, Message]] = []
        self.end: Callable[[], None] = exchange.subscribe_account(account, self.put)

    def put(self, event: AccountEvent) -> None:
        """Take what happened to the account."""
        said = occasion_of(event), message_of(event)
        if not self._holds:
            self._tell(*said)
            return
        self._held.append(said)
        if len(self._held) >= MOST_HELD:
            self._let_go()

    def add(self, subscription: Subscription) -> None:
        """Tell a subscription everything from here on."""
        self._subscriptions.append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Tell it nothing more."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def hold(self) -> None:
        """Let no event leave until it is released as often as held."""
        self._holds += 1

    def release(self) -> None:
        """Let those that wait leave, in order."""
        self._holds -= 1
        if not self._holds:
            self._let_go()

    async def flushed(self, within_s: float) -> bool:
        """Wait until all that was told has left for its sockets; return whether it has."""
        sockets = {each.socket for each in self._subscriptions}
        return all(await asyncio.gather(*(each.flushed(within_s) for each in sockets)))

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for occasion, message in held:
            self._tell(occasion, message)

    def _tell(self, occasion: Occasion, message: Message) -> None:
        event = msgspec.json.encode(message)
        for subscription in tuple(self._subscriptions):
            subscription.hear(occasion, event)


class Audiences:
    """The audience of every account that somebody listened to or asked for."""

    def __init__(self, exchange: Exchange, now_ms: Callable[[], int]) -> None:
        self._exchange = exchange
        self._now_ms = now_ms
        self._of: dict[str, Audience] = {}

    def of(self, account: str) -> Audience:
        """Return the audience of an account the exchange knows; nobody's for any other."""
        account = account if self._exchange.knows(account) else ""
        found = self._of.get(account)
        if found is None:
            found = self._of[account] = Audience(account, self._exchange)
        return found

    def subscribe(self, account: str, socket: Socket, outlet: Outlet) -> int:
        """Tell a socket of an account; return the subscription's number on that socket."""
        audience = self.of(account)
        number = max(socket.streams, default=-1) + 1
        subscription = Subscription(number, socket, outlet)
        audience.add(subscription)

        def end(*, told: bool = True) -> None:
            audience.remove(subscription)
            socket.streams.pop(number, None)
            if told:
                occasion = Occasion("user.eventStreamTerminated", via="ws")
                subscription.hear(occasion, msgspec.json.encode(terminated(self._now_ms())))

        socket.streams[number] = end
        return number

    def close(self) -> None:
        """Tell nobody anything more."""
        for audience in self._of.values():
            audience.end()
