"""What is really left at the venue, and is it what the policy says? Asked at the end of a run, after the open orders.

The engine's own picture is not enough: the venue itself is asked, and what is open there against the policy is
cancelled once more, as long as the time of this stage lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from tradebot.config.sections.shutdown import Shutdown
from tradebot.domain.commands import CancelOrder
from tradebot.domain.events import ShutdownRequested
from tradebot.domain.facts import Level
from tradebot.domain.inventory import Holding, Inventory, NotConnected, NotTold, OpenOrder
from tradebot.domain.numbers import EXACT, ZERO, exact
from tradebot.ports import Log

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

T = TypeVar("T")

FIRST_PAUSE_S: Final = 0.1
MOST_SHOWN: Final = 5


def wanted(limits: Shutdown) -> Literal["cancel", "leave"]:
    """Return what the policy wants of orders that are open in the end."""
    return limits.after_wait if limits.open_orders == "wait" else limits.open_orders


class Stocktaking:
    """Asks the venue until its answer is as the policy wants it, or the time is over."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._log = run.telling.log
        self._seen: tuple[OpenOrder, ...] | None = None

    async def take(self, limits: Shutdown, limit_s: float) -> Inventory:
        """Return what is left, after at most `limit_s`; orders that should not be there are cancelled meanwhile."""
        run, cancels = self._run, wanted(limits) == "cancel"
        end, pause_s = time.monotonic() + limit_s, FIRST_PAUSE_S
        if cancels and limits.open_orders == "wait" and run.engine.open_orders() and run.shell.fatal is None:
            run.shell.inject(ShutdownRequested("cancel", "the wait is over", run.clock.now_ms()))
        told: set[str] = set()
        while True:
            cause, again = "", True
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    self._seen = await run.venue.open_orders()
            except TimeoutError:
                cause = f"no answer within {limit_s:g} s"
            except NotTold as error:
                cause, again = str(error), not isinstance(error, NotConnected)
            at_rest = not self._seen and (run.shell.fatal is not None or not run.engine.open_orders())
            if (not cause and (at_rest or not cancels)) or not again or time.monotonic() + pause_s >= end:
                return self.known(limits, cause)
            if cancels and not cause:
                self._cancel(self._seen or (), told)
            await self._pause(pause_s)
            pause_s *= 2

    def known(self, limits: Shutdown, cause: str) -> Inventory:
        """Return what is left by what the venue told last, and `cause`, why it tells no more ("" where it does).

        What it told of this end stands, though a later question was not answered.
        """
        engine, seen = self._run.engine, self._seen or ()
        listed = {order.client_id for order in seen}
        return Inventory(
            wanted=wanted(limits),
            verified=not cause or self._seen is not None,
            cause=cause,
            orders=seen,
            unknown=tuple(one for one in engine.open_orders() if one not in listed),
            positions=self._positions(),
            reserved_quote=engine.state.outstanding(),
        )

    def _positions(self) -> tuple[Holding, ...]:
        engine = self._run.engine
        found = []
        for symbol, position in sorted(engine.state.ledger.positions.items()):
            watched = engine.symbols.get(symbol)
            worth = None
            if watched is not None and watched.bid:
                worth = EXACT.multiply(position.amount, exact(watched.bid))
            found.append(Holding(symbol, position.amount, worth))
        return tuple(found)

    def _cancel(self, orders: Sequence[OpenOrder], told: set[str]) -> None:
        """Cancel what is open though it should not be: the engine may not know of it, or its cancel was lost."""
        for order in orders:
            if order.client_id not in told:
                told.add(order.client_id)
                text = f"open at the venue against the policy, cancelled once more: {order}"
                self._log.emit("orders", "WARNING", "ORDER_STILL_OPEN", text, client_id=order.client_id)
            self._run.shell.send(CancelOrder(order.client_id, order.symbol))

    async def _pause(self, pause_s: float) -> None:
        """Let answers come; end early as soon as the engine knows of no open order any more."""
        shell, engine = self._run.shell, self._run.engine
        if shell.fatal is not None or not engine.open_orders():
            await asyncio.sleep(pause_s)
            return
        heard = asyncio.ensure_future(shell.until(lambda: not engine.open_orders()))
        await asyncio.wait({heard}, timeout=pause_s)
        heard.cancel()


def tell(log: Log, found: Inventory) -> None:
    """Write what is left to the log, as one record."""
    level: Level = "ERROR" if found.breach else "WARNING" if found.orders or not found.verified else "INFO"
    text = "; ".join(line.strip() for line in lines(found, "the venue"))
    log.emit(
        "events",
        level,
        "FINAL_INVENTORY",
        text,
        wanted=found.wanted,
        verified=found.verified,
        cause=found.cause,
        breach=found.breach,
        **as_record(found),
    )


def as_record(found: Inventory) -> dict[str, object]:
    """Return orders, positions and the reserved quote as texts, lists and mappings."""
    return {
        "orders": [
            {
                "client_id": order.client_id,
                "symbol": order.symbol,
                "side": order.side,
                "price": f"{order.price:f}",
                "remaining": f"{order.remaining:f}",
            }
            for order in found.orders
        ],
        "unknown": list(found.unknown),
        "positions": [
            {
                "symbol": one.symbol,
                "amount": f"{one.amount:f}",
                "worth_quote": None if one.worth_quote is None else f"{one.worth_quote:f}",
            }
            for one in found.positions
        ],
        "reserved_quote": f"{found.reserved_quote:f}",
    }


def lines(found: Inventory, place: str) -> list[str]:
    """Return what is left in the lines a person reads."""
    worth = sum((one.worth_quote for one in found.positions if one.worth_quote is not None), start=ZERO)
    about = f" worth {worth:.2f}" if found.positions else ""
    said = [
        f"left at {place}: {_count(len(found.positions), 'position')}{about}, {_count(len(found.orders), 'order')}"
        f"{'' if found.verified else ' (NOT verified: ' + found.cause + ')'}"
    ]
    said += _some(found.orders, lambda order: f"  open: {order}")
    said += _some(found.unknown, lambda client_id: f"  its end is not known: {client_id}")
    return said


def _some(items: Sequence[T], words: Callable[[T], str]) -> list[str]:
    rest = len(items) - MOST_SHOWN
    return [words(item) for item in items[:MOST_SHOWN]] + ([f"  and {rest} more"] if rest > 0 else [])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
