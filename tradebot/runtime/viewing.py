"""What does the run look like at this moment? Read from engine and books between two cycles; asked by the operator.

Nothing is changed by looking. What is shown are frozen copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from tradebot.domain.numbers import EXACT, ZERO, exact, ms
from tradebot.domain.orders import Intent, Order, OrderState, Position, Side
from tradebot.domain.views import (
    ComponentView,
    DropView,
    IntentView,
    OrderView,
    PositionView,
    ProfileView,
    Snapshot,
    StatusView,
    SwitchView,
)
from tradebot.engine.decision import spread_bps
from tradebot.engine.desk import OUTSIDE, Desk, SymbolState
from tradebot.engine.exits import DeclaredExits, ExitRules
from tradebot.runtime.drift_views import drift_view
from tradebot.runtime.fence_views import buying_held, halted_view, journal_failed, stopped_view, venue_view
from tradebot.runtime.status import cold_ms, money_of, rearming

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run

BPS = 10_000.0


def snapshot(
    run: Run,
    profile: ProfileView,
    features: Sequence[SwitchView],
    components: Sequence[ComponentView],
    now_ms: int,
) -> Snapshot:
    """Return everything that is shown of the run at `now_ms`."""
    desk, exits = run.engine.desk, run.engine.parts.exits
    state, oldest_ms = desk.state, _oldest_ms(desk, now_ms)
    return Snapshot(
        status=status(run, profile, now_ms),
        drops=tuple(
            _drop(desk, symbol, now_ms, oldest_ms, leaving=name in desk.leaving)
            for name, symbol in desk.symbols.items()
        ),
        positions=tuple(
            _position(position, desk.symbols.get(name), exits) for name, position in state.ledger.positions.items()
        ),
        intents=tuple(_intent(desk, intent, now_ms) for intent in state.intents.values()),
        orders=tuple(_order(order, now_ms) for order in state.orders.values()),
        features=tuple(features),
        components=tuple(components),
    )


def status(run: Run, profile: ProfileView, now_ms: int) -> StatusView:
    """Return how the run is going at `now_ms`."""
    desk, book, errors, settings = run.engine.desk, run.book, run.telling.errors, run.loaded.profile
    state, session, ledger = desk.state, run.telling.session, desk.state.ledger
    market, failed = _market(desk, now_ms), journal_failed(run.opened.journal)
    return StatusView(
        journal_failed=failed,
        journal_failed_ms=book.journal_failed_ms if failed else 0,
        rebuilt=errors.count("ERROR", "STATE_REBUILT") > 0,
        journal_damaged=book.journal_damaged,
        at_ms=now_ms,
        run=run.name,
        instance=settings.bot.instance,
        profile=profile,
        synthetic=run.feed.synthetic,
        venue=settings.venue.kind,
        money=money_of(settings),
        quote=settings.market.quote,
        up_s=(now_ms - session.record.started_ms) / 1000,
        trading=state.trading,
        buying=settings.features.buying,
        buying_held=buying_held(desk, failed),
        exits=settings.features.exits,
        paused=state.paused,
        flattening=_flattening(desk),
        stopping=run.coordinator.ending.reason if run.coordinator.asked else "",
        symbols=len(desk.symbols),
        stale=market.stale,
        warming=market.warming,
        rearming=market.rearming,
        positions=len(ledger.positions),
        intents=len(state.intents),
        orders=len(state.orders),
        unknown_orders=sum(1 for order in state.orders.values() if order.state is OrderState.UNKNOWN),
        fills=book.fills,
        trades=book.trades,
        pnl=book.pnl,
        cash=ledger.cash,
        held=held(ledger.positions.values(), desk.symbols),
        errors=errors.count("ERROR"),
        warnings=errors.count("WARNING"),
        age_s=(now_ms - market.newest_ms) / 1000 if market.newest_ms >= 0 else None,
        seq=run.opened.journal.last_seq,
        session=str(session.folder),
        venue_state=venue_view(state.fences),
        halted=halted_view(state.fences),
        stopped=stopped_view(state.fences, desk.symbols),
        drift=drift_view(run.engine),
        rival=state.drifts.rival,
    )


def held(positions: Iterable[Position], symbols: dict[str, SymbolState]) -> Decimal:
    """Return what positions are worth at the last bids, in quote; one without a price counts nothing."""
    worth = ZERO
    for position in positions:
        symbol = symbols.get(position.symbol)
        if symbol is not None:
            worth += EXACT.multiply(position.amount, exact(symbol.bid))
    return worth


class _Market(Struct, frozen=True):
    """What the prices are like, counted in one walk."""

    newest_ms: int
    stale: int
    warming: int
    rearming: int


def _market(desk: Desk, now_ms: int) -> _Market:
    oldest_ms = _oldest_ms(desk, now_ms)
    newest_ms, stale, warming, again = -1, 0, 0, 0
    for symbol in desk.symbols.values():
        seen_ms = symbol.seen_ms
        newest_ms = max(newest_ms, seen_ms)
        stale += seen_ms < oldest_ms
        warming += cold_ms(symbol.anchor, now_ms) > 0
        again += rearming(desk, symbol, now_ms)
    return _Market(newest_ms, stale, warming, again)


def _oldest_ms(desk: Desk, now_ms: int) -> int:
    """Return when a price may have been made at the earliest without being stale."""
    return now_ms - ms(desk.profile.market.stale_after_s)


def _flattening(desk: Desk) -> tuple[str, ...]:
    """Return the symbols of which something is still to be sold or ended, while everything is sold off."""
    state = desk.state
    return tuple(sorted({*state.ledger.positions, *state.by_symbol})) if state.flattening else ()


def _drop(desk: Desk, symbol: SymbolState, now_ms: int, oldest_ms: int, *, leaving: bool) -> DropView:
    seen = symbol.seen_ms >= 0
    anchor = symbol.anchor.value(now_ms)
    mid = (symbol.bid + symbol.ask) * 0.5
    return DropView(
        symbol=symbol.symbol,
        bid=symbol.bid,
        ask=symbol.ask,
        last=symbol.last,
        anchor=anchor,
        drop_bps=(1.0 - mid / anchor) * BPS if seen and anchor else 0.0,
        threshold_bps=float(symbol.threshold_bps),
        spread_bps=spread_bps(symbol) if seen else 0.0,
        age_s=(now_ms - symbol.seen_ms) / 1000 if seen else None,
        warm_in_s=cold_ms(symbol.anchor, now_ms) / 1000,
        rearming=rearming(desk, symbol, now_ms),
        stale=symbol.seen_ms < oldest_ms,
        gate="market.symbols" if leaving else symbol.gate,
    )


def _position(position: Position, symbol: SymbolState | None, exits: ExitRules) -> PositionView:
    entry, cost = position.entry_price, position.cost
    bid = 0.0 if symbol is None else symbol.bid
    stop = target = 0.0
    if symbol is not None:
        stop = max(symbol.stop, exits.trail_stop(symbol)) if isinstance(exits, DeclaredExits) else symbol.stop
        stop, target = (level if level < OUTSIDE else 0.0 for level in (stop, symbol.target))
    worth = EXACT.multiply(position.amount, exact(bid))
    return PositionView(
        symbol=position.symbol,
        amount=position.amount,
        entry_price=entry,
        bid=bid,
        cost=cost,
        worth=worth,
        gain_bps=(float(worth) / float(cost) - 1.0) * BPS if bid and cost else 0.0,
        stop=stop,
        target=target,
        opened_ms=position.opened_ms,
        lots=len(position.lots),
    )


def _intent(desk: Desk, intent: Intent, now_ms: int) -> IntentView:
    """Return an intent as it is shown; `step` counts those tried, from 1, of those that are in force now."""
    profile = desk.profile
    steps = profile.execution.steps if intent.side is Side.BUY else profile.exits.steps
    return IntentView(
        intent_id=intent.intent_id,
        symbol=intent.symbol,
        side=intent.side.value,
        reason=intent.reason,
        state=f"ending: {intent.ending}" if intent.ending else intent.state.value,
        step=intent.step + 1,
        steps=len(steps),
        filled=intent.filled,
        age_s=(now_ms - intent.opened_ms) / 1000,
        generation=intent.generation,
        order=intent.client_id if intent.client_id in desk.state.orders else "",
    )


def _order(order: Order, now_ms: int) -> OrderView:
    return OrderView(
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side.value,
        type=order.type.value,
        tif=order.tif.value,
        state="canceling" if order.canceling else order.state.value,
        price=order.price,
        amount=order.amount,
        filled=order.filled,
        age_s=(now_ms - order.planned_ms) / 1000,
        generation=order.generation,
    )
