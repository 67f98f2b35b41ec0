"""What would a new generation do to what is held and under way? Asked by the reload, before the swap; changes nothing.

What is planned is what happens at the swap and at the next price, if that is the last one again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.config.sections.execution import Step
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ms
from tradebot.domain.orders import Intent, Order, OrderState, Side
from tradebot.engine.anchors import make_anchor
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.exits import NO_LEVELS, ExitLevels, Levels, sellable
from tradebot.engine.plan_words import counted, hold_words, level_words, listed_words, percent, price_words, span
from tradebot.engine.watchlist import changes


class OrderKept(Struct, frozen=True):
    """An open order, which keeps its generation, price and wait.

    `fate` says what its end stands on: its wait, which ends in `left_ms` (or runs that long once it is sent), a cancel
    that is being verified, or the venue's evidence for an order whose outcome is not known.
    """

    client_id: str
    symbol: str
    side: Side
    tif: str
    generation: int
    fate: Literal["wait", "unsent", "cancelling", "unknown"]
    left_ms: int

    def __str__(self) -> str:
        """Return the line an operator reads."""
        fates = {
            "wait": f"cancelled {span(self.left_ms)} from now if not filled",
            "unsent": f"cancelled {span(self.left_ms)} after it is sent if not filled",
            "cancelling": "its cancel is being verified",
            "unknown": "its outcome is not known, the venue is asked",
        }
        order = f"{self.client_id} {self.side.value} {self.symbol} {self.tif}"
        return f"{order}: kept as placed in generation {self.generation}, {fates[self.fate]}"


class IntentGoesOn(Struct, frozen=True):
    """A buy or an exit under way: how many further steps its ladder has had and will have, and why none."""

    intent_id: int
    symbol: str
    side: Side
    steps_before: int
    steps_after: int
    stops: str = ""

    def __str__(self) -> str:
        """Return the line an operator reads."""
        what = "buy" if self.side is Side.BUY else "exit"
        if not self.steps_after:
            return f"{self.symbol} {what} under way: no further step after this order ({self.stops or 'ladder ends'})"
        if self.steps_after == self.steps_before:
            return f"{self.symbol} {what} under way: goes on with the new steps"
        return f"{self.symbol} {what} under way: {self.steps_before} → {self.steps_after} further steps"


class PositionMoves(Struct, frozen=True):
    """A position whose exit levels change, or that is sold at its last bid: `exits_now` says by which rule.

    `trail_old` and `trail_new` are where an armed trailing stop stands, 0.0 where none does; `gain_bps` is the bid over
    the price paid; `buy` is the order of a buy under way that such an exit cancels first; prices have so many `places`.
    """

    symbol: str
    old: Levels
    new: Levels
    trail_old: float
    trail_new: float
    exits_now: str
    now_ms: int
    bid: float
    gain_bps: float
    places: int
    buy: str = ""

    def __str__(self) -> str:
        """Return the line an operator reads."""
        if self.exits_now:
            first = f", its buy {self.buy} is cancelled first" if self.buy else ""
            bid = price_words(self.bid, self.places)
            return f"{self.symbol} would exit now at {bid} ({percent(self.gain_bps)}), {self.exits_now}{first}"
        moves = (
            level_words("stop", self.old.stop, self.new.stop, self.places),
            level_words("trailing stop", self.trail_old, self.trail_new, self.places),
            level_words("trailing from", self.old.trail_from, self.new.trail_from, self.places),
            level_words("target", self.old.target, self.new.target, self.places),
            hold_words(self.old.hold_ms, self.new.hold_ms, self.now_ms),
        )
        return f"{self.symbol}: {', '.join(filter(None, moves))}"


class Plan(Struct, frozen=True):
    """What follows from a new generation; the swap itself changes no order.

    `intents` and `positions` hold only those for which something changes. `anew` are the symbols whose price window
    begins anew, not bought until `warm_ms` after their first price.
    """

    orders: tuple[OrderKept, ...]
    intents: tuple[IntentGoesOn, ...]
    positions: tuple[PositionMoves, ...]
    added: tuple[str, ...]
    leaving: tuple[str, ...]
    removed: tuple[str, ...]
    returning: tuple[str, ...]
    anew: tuple[str, ...]
    warm_ms: int

    @property
    def exiting(self) -> tuple[str, ...]:
        """The symbols whose positions are sold at their last bid."""
        return tuple(one.symbol for one in self.positions if one.exits_now)

    def lines(self) -> list[str]:
        """Return all of it for people: what exits now first; more than a few alike are counted."""
        until = f", not bought for {span(self.warm_ms)}" if self.warm_ms else ""
        exiting = [one for one in self.positions if one.exits_now]
        moving = [one for one in self.positions if not one.exits_now]
        return [
            *counted(exiting, "positions would exit now"),
            *counted(moving, "positions get other exit levels"),
            *counted(self.intents, "buys and exits under way go on with another ladder"),
            *counted(self.orders, "open orders are kept as placed"),
            *listed_words(self.added, f"watched from here on{until}"),
            *listed_words(self.returning, "bought again"),
            *listed_words(self.leaving, "not bought any more, watched until nothing is held"),
            *listed_words(self.removed, "not watched any more"),
            *listed_words(self.anew, f"the anchor forms anew{until}"),
        ]


def plan(
    desk: Desk, profile: Profile, instruments: Sequence[Instrument] | None = None, now_ms: int | None = None
) -> Plan:
    """Return what `profile`, with `instruments` watched (None: as they are), would do if it were applied at `now_ms`.

    Without it, now is the engine's last event.
    """
    now_ms = desk.now if now_ms is None else max(desk.now, now_ms)
    found = changes(desk, profile, instruments)
    leaving = frozenset(found.leaving)
    anchor = make_anchor(profile.drop.anchor)
    other_anchor = profile.drop.anchor != desk.profile.drop.anchor
    gone = leaving.union(found.removed)
    filters = {one.symbol: one for one in instruments or ()}
    state = desk.state
    intents = (_intent(desk, profile, leaving, intent) for intent in state.intents.values())
    return Plan(
        orders=tuple(_order(order, now_ms) for order in state.orders.values()),
        intents=tuple(one for one in intents if one is not None),
        positions=() if state.flattening else tuple(_positions(desk, profile, filters, now_ms)),
        added=found.added,
        leaving=tuple(name for name in found.leaving if name not in desk.leaving),
        removed=found.removed,
        returning=found.returning,
        anew=tuple(name for name in desk.symbols if name not in gone) if other_anchor else (),
        warm_ms=anchor.warm_buckets * anchor.width_ms,
    )


def _order(order: Order, now_ms: int) -> OrderKept:
    fate: Literal["wait", "unsent", "cancelling", "unknown"] = "wait"
    left_ms = order.sent_ms + order.wait_ms - now_ms
    if order.state is OrderState.UNKNOWN:
        fate = "unknown"
    elif order.canceling:
        fate = "cancelling"
    elif not order.sent_ms:
        fate, left_ms = "unsent", order.wait_ms
    return OrderKept(
        client_id=order.client_id,
        symbol=order.symbol,
        side=order.side,
        tif=order.type.value if order.type.value == "market" else order.tif.value,
        generation=order.generation,
        fate=fate,
        left_ms=max(0, left_ms),
    )


def _intent(desk: Desk, profile: Profile, leaving: frozenset[str], intent: Intent) -> IntentGoesOn | None:
    before, _ = _further(desk, desk.profile, desk.leaving, intent)
    after, stops = _further(desk, profile, leaving, intent)
    if before == after:
        return None
    return IntentGoesOn(
        intent_id=intent.intent_id,
        symbol=intent.symbol,
        side=intent.side,
        steps_before=len(before),
        steps_after=len(after),
        stops=stops,
    )


def _further(
    desk: Desk, profile: Profile, leaving: frozenset[str] | set[str], intent: Intent
) -> tuple[tuple[Step, ...], str]:
    """Return the steps an intent may still try under `profile`, and why there are none."""
    state = desk.state
    if intent.ending:
        return (), intent.ending
    if intent.side is Side.SELL:
        return profile.exits.steps[intent.step + 1 :], ""
    stops = ""
    if not profile.features.buying:
        stops = "buying off"
    elif not state.entries_open:
        stops = "entries closed"
    elif state.paused:
        stops = f"paused by {state.paused}"
    elif intent.symbol in leaving:
        stops = "symbol leaving"
    return ((), stops) if stops else (profile.execution.steps[intent.step + 1 :], "")


def _positions(desk: Desk, profile: Profile, filters: dict[str, Instrument], now_ms: int) -> Iterable[PositionMoves]:
    rules = ExitLevels(profile.exits)
    trail = ExitLevels(desk.profile.exits).trail if desk.profile.features.exits else 0.0
    on = profile.features.exits
    wait_ms = ms(profile.exits.check_interval_s)
    for name, position in desk.state.ledger.positions.items():
        symbol = desk.symbols.get(name)
        if symbol is None or not position.lots:
            continue
        instrument = filters.get(name, symbol.instrument)
        old = Levels(symbol.stop, symbol.target, symbol.trail_from, symbol.hold_ms)
        new = rules.of(position) if on else NO_LEVELS
        intent = desk.state.intent_of(name)
        sold = on and _sells(desk, symbol, wait_ms, now_ms) and (intent or sellable(instrument, position, symbol.bid))
        high = symbol.trail_high if rules.trail else 0.0
        reason = rules.reached(new, symbol.bid, high, now_ms) if sold else ""
        trail_old, trail_new = symbol.trail_high * trail, symbol.trail_high * rules.trail if on else 0.0
        if old == new and trail_old == trail_new and not reason:
            continue
        entry = float(position.entry_price)
        yield PositionMoves(
            symbol=name,
            old=old,
            new=new,
            trail_old=trail_old,
            trail_new=trail_new,
            exits_now=reason,
            now_ms=now_ms,
            bid=symbol.bid,
            gain_bps=(symbol.bid / entry - 1.0) * 10_000 if symbol.bid and entry else 0.0,
            places=len(f"{instrument.tick_size.normalize():f}".partition(".")[2]),
            buy=intent.client_id if intent is not None and intent.client_id in desk.state.orders else "",
        )


def _sells(desk: Desk, symbol: SymbolState, wait_ms: int, now_ms: int) -> bool:
    """Whether an exit of a held symbol could begin at its next price."""
    state = desk.state
    if not desk.settled(symbol.symbol) or not state.entries_open or symbol.seen_ms < 0:
        return False
    waits_ms = symbol.tried_ms + wait_ms if symbol.tried_ms else symbol.exit_wait_ms
    intent = state.intent_of(symbol.symbol)
    return now_ms >= waits_ms and (intent is None or (intent.side is Side.BUY and not intent.ending))
