"""How is an account at an exchange left? The entries close, what is open there is listed, the dead man's switch is
kept or ended; asked by the ccxt venue on behalf of the end of a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tradebot.domain.commands import Command, PlaceOrder
from tradebot.domain.inventory import NotTold, OpenOrder
from tradebot.domain.orders import Side
from tradebot.exchange.budget import asking
from tradebot.exchange.hooks import Taps
from tradebot.exchange.outcomes import Failure
from tradebot.exchange.requests import Requests
from tradebot.venues.ccxt_deadman import DeadMansSwitch, Lives
from tradebot.venues.ccxt_lookups import cause_of


class AtTheEnd:
    """What of a running account is asked at its end."""

    def __init__(
        self,
        taps: Iterable[Taps],
        requests: Requests,
        owns: Callable[[str], bool],
        symbols: Callable[[], Iterable[str]],
        switch: DeadMansSwitch | None,
    ) -> None:
        self._taps = tuple(taps)
        self._requests = requests
        self._owns = owns
        self._symbols = symbols
        self._buying: set[str] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.switch = switch

    def knowing(self, handle: Callable[[Command], Awaitable[None]]) -> Callable[[Command], Awaitable[None]]:
        """Return what handles commands as `handle` does, and knows of each buy as long as it is handled."""

        async def handled(command: Command) -> None:
            if not isinstance(command, PlaceOrder) or command.side is not Side.BUY:
                await handle(command)
                return
            self._buying.add(command.client_id)
            self._quiet.clear()
            try:
                await handle(command)
            finally:
                self._buying.discard(command.client_id)
                if not self._buying:
                    self._quiet.set()

        return handled

    async def close_entries(self) -> None:
        """Let no buy leave any more; return when none is on its way to the exchange."""
        for taps in self._taps:
            taps.budget = taps.budget.exits_only()
        await self._quiet.wait()

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """Return the own open orders of any run, by one listing where the exchange has one. Raises NotTold."""
        with asking("safety"):
            listed = await self._requests.standing(sorted(set(self._symbols())))
        if isinstance(listed, Failure):
            raise NotTold(cause_of(listed))
        return tuple(order for order in listed if self._owns(order.client_id))

    async def keep_guard(self, lives: Lives) -> None:
        """Keep the dead man's switch from falling while the engine lives, until cancelled; return where none is."""
        if self.switch is not None:
            await self.switch.keep(lives)

    async def disarm(self, within_s: float) -> None:
        """End the dead man's switch, where there is one."""
        if self.switch is not None:
            with asking("safety"):
                await self.switch.disarm(within_s)
