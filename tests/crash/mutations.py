"""Would the matrix notice a broken promise? Each of these breaks one on purpose, in a forked bot; asked by tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tradebot.engine.engine import Engine
from tradebot.engine.router import Router
from tradebot.exchange.outcomes import Unknown
from tradebot.exchange.requests import Requests
from tradebot.runtime.outbox import NEVER_MS, Outbox
from tradebot.storage.journal import SqliteJournal
from tradebot.venues.ccxt_lookups import Lookups
from tradebot.venues.ccxt_orders import OwnOrders

_LATE_S: Final = 0.03


class _AllDurable:
    """A journal that says of everything that it is on the disk."""

    durable_seq = NEVER_MS


def journal_after_send() -> None:
    """Send what is not written down yet, and write it down a little later."""
    flush, commit = Outbox.flush, SqliteJournal._commit

    def at_once(outbox: Any, now_ms: int) -> None:
        journal, outbox._journal = outbox._journal, _AllDurable()
        try:
            flush(outbox, now_ms)
        finally:
            outbox._journal = journal

    def late(journal: SqliteJournal, *args: Any) -> None:
        time.sleep(_LATE_S)
        commit(journal, *args)

    _break(SqliteJournal, "_commit_here", lambda _journal: False)
    _break(Outbox, "flush", at_once)
    _break(SqliteJournal, "_commit", late)


def send_again() -> None:
    """Send an order once more where nothing is known of it."""
    place = Requests.place

    async def twice(requests: Requests, command: Any) -> Any:
        outcome = await place(requests, command)
        return await place(requests, command) if isinstance(outcome, Unknown) else outcome

    _break(Requests, "place", twice)


def trust_absence() -> None:
    """Believe the first answer that there is no such order (-2013)."""

    async def untraced(_lookups: Lookups, *_args: Any) -> None:
        return None

    _break(Lookups, "_due", lambda _lookups, _order: True)
    _break(Lookups, "_traced", untraced)


def forget_tail() -> None:
    """Begin with the checkpoint alone, whatever the journal says of what came after it."""
    restore = Engine.restore

    def without(engine: Engine, document: Any, tail: Any) -> Any:
        facts = list(tail)
        return restore(engine, document, [] if document is not None else facts)

    _break(Engine, "restore", without)


def count_fills_twice() -> None:
    """Book a trade as often as it is told."""
    on_fill = Router.on_fill

    def again(router: Router, event: Any) -> None:
        router.desk.state.trades.pop(event.client_id, None)
        on_fill(router, event)

    _break(Router, "on_fill", again)
    _break(OwnOrders, "_first", lambda _orders, _order, _fill: True)


MUTATIONS: Final[dict[str, Callable[[], None]]] = {
    each.__name__.replace("_", "-"): each
    for each in (journal_after_send, send_again, trust_absence, forget_tail, count_fills_twice)
}


def _break(owner: Any, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)
