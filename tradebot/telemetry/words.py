"""How is each fact said in a line that a trader reads? Asked by the recorder, in the log's thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, TypeVar, cast

import msgspec

from tradebot.domain import facts as f
from tradebot.domain.numbers import plain
from tradebot.domain.orders import UNSENT, OrderType
from tradebot.telemetry.drift_words import adopted_words, drift_end_words, drift_words
from tradebot.telemetry.recovery_words import completed_words, planned_words

_READ = Context(prec=8)

_F = TypeVar("_F", bound=f.Fact)

_SAID: dict[type[f.Fact], Callable[[Any], str]] = {}


def fact_words(fact: f.Fact) -> tuple[str, dict[str, Any]]:
    """Return a fact's message and the fields of its record; the venue's own words stand in `venue_message`."""
    fields = msgspec.structs.asdict(fact)
    if "message" in fields:
        fields["venue_message"] = fields.pop("message")
    words = _SAID.get(type(fact))
    return words(fact) if words else type(fact).__name__, fields


def placed_words(fact: f.OrderSent) -> tuple[str, dict[str, Any]]:
    """Return the message that operators' scripts look for ("IOC order placed"), with the wait used as `timeout_ms`."""
    kind = "MARKET" if fact.type is OrderType.MARKET else fact.tif.value
    return f"{kind} order placed", {
        "client_id": fact.client_id,
        "symbol": fact.symbol,
        "side": fact.side,
        "type": fact.type,
        "tif": fact.tif,
        "timeout_ms": fact.wait_ms,
        "generation": fact.generation,
    }


def said() -> frozenset[type[f.Fact]]:
    """Return the kinds of fact that have words."""
    return frozenset(_SAID)


def _says(kind: type[_F], words: Callable[[_F], str]) -> None:
    _SAID[kind] = cast("Callable[[Any], str]", words)


def _average(value: Decimal) -> str:
    """Return an average in as many digits as a trader reads; the record's fields hold all of them."""
    return plain(_READ.create_decimal(value))


def _number(value: float | Decimal) -> str:
    return plain(value) if isinstance(value, Decimal) else f"{value:.10g}"


def _below(price: float, anchor: float) -> str:
    return f"{(1 - price / anchor) * 100:.2f} %" if anchor else "an unknown part"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _seconds(ms: int) -> str:
    return f"{ms / 1000:g} s"


_CLOCK = {"right": "near enough again", "off": "to be set right", "wrong": "nothing is bought"}


def _until(ms: int) -> str:
    return f", until {datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if ms else ""


def _consequence(state: str) -> str:
    return "" if state == "up" else "; nothing is bought, exits go on as far as it lets them"


def _size(fact: f.OrderPlanned) -> str:
    amount = f"{_number(fact.amount)}" if fact.amount else f"for {_number(fact.quote_amount)} quote"
    return f"{amount} at {_number(fact.price)}" if fact.price else f"{amount} at market"


def _watching(fact: f.SymbolsChanged) -> str:
    parts = (
        ("watched from here on: ", fact.added),
        ("not bought any more, watched until sold: ", fact.leaving),
        ("not watched any more: ", fact.removed),
    )
    return "; ".join(words + _listed(names) for words, names in parts if names)


_says(f.RunOpened, lambda x: f"Run {x.run} began, generation {x.generation}")
_says(f.ProfileTaken, lambda x: f"Generation {x.generation} of the profile is in force")
_says(f.AccountOpened, lambda x: f"The ledger begins with {_number(x.amount)} {x.asset}")
_says(f.BalanceRefreshed, lambda x: f"Balance {_number(x.total)} {x.asset}")
_says(f.BalanceRefreshFailed, lambda x: f"Balance not told: {x.cause}; the last known one stands")
_says(f.RecoveryPlanned, planned_words)
_says(f.RecoveryCompleted, completed_words)
_says(f.EntriesClosed, lambda x: f"No new buys: {x.reason}")
_says(f.BuyingPaused, lambda x: f"Buying paused by {x.who}")
_says(
    f.BuyingResumed,
    lambda x: f"Buying resumed by {x.who}{'; not sold and kept: ' + _listed(x.kept) if x.kept else ''}",
)
_says(f.FlattenBegun, lambda x: f"Selling everything off, asked by {x.who}: {_listed(x.positions)}")
_says(f.FlattenDone, lambda _fact: "Nothing is held nor under way any more; buying stays paused")
_says(f.SymbolsChanged, _watching)
_says(
    f.BuyBlocked,
    lambda x: (
        f"{x.symbol} at {_number(x.price)}, {_below(x.price, x.anchor)} below its anchor {_number(x.anchor)},"
        f" not bought: {x.gate} is {x.value}, limit {x.limit}"
    ),
)
_says(f.IntentOpened, lambda x: f"Intent {x.intent_id}: {x.side.value} {x.symbol}, {x.reason}")
_says(
    f.StepSkipped,
    lambda x: f"Intent {x.intent_id} {x.symbol}: step {x.step} skipped, {x.guard} is {x.value}, limit {x.limit}",
)
_says(
    f.IntentStale,
    lambda x: (
        f"Intent {x.intent_id} {x.symbol} is {_seconds(x.age_ms)} old, order {x.order_state or 'none'}: {x.action}"
    ),
)
_says(
    f.IntentEnded,
    lambda x: (
        f"Intent {x.intent_id} {x.symbol} {x.outcome} ({x.reason}):"
        f" {_number(x.filled)} for {_number(x.spent)} in {_seconds(x.age_ms)}"
    ),
)
_says(f.OrderPlanned, lambda x: f"{x.client_id}: {x.side.value} {x.symbol} {_size(x)}, {x.tif.value}, step {x.step}")
_says(f.OrderSent, lambda x: f"{x.client_id}: sent, a fill is awaited {_seconds(x.wait_ms)}")
_says(f.OrderNeverSent, lambda x: f"{x.client_id}: never sent, {x.reason}")
_says(f.OrderAccepted, lambda x: f"{x.client_id}: accepted as {x.venue_id} after {x.latency_ms} ms")
_says(
    f.OrderRejected,
    lambda x: (
        f"{x.client_id}: {x.side.value} {x.symbol} "
        + (f"not sent: {x.message}" if x.code in UNSENT else f"rejected, {x.code} {x.message}")
    ),
)
_says(
    f.OrderFilled,
    lambda x: (
        f"{x.client_id}: {x.side.value} {_number(x.amount)} {x.symbol} filled at {_number(x.price)},"
        f" fee {_number(x.fee)} {x.fee_asset}"
    ),
)
_says(f.OrderDone, lambda x: f"{x.client_id}: {x.outcome}, {_number(x.filled)} filled ({x.reason or 'complete'})")
_says(
    f.OrderWaitEnded,
    lambda x: f"{x.client_id}: {x.tif.value} not filled within {_seconds(x.wait_ms)}, cancelled and verified",
)
_says(f.CancelAsked, lambda x: f"{x.client_id}: cancel asked, {x.reason}")
_says(f.CancelFailed, lambda x: f"{x.client_id}: cancel refused, {x.code} {x.message}; the order is queried")
_says(
    f.OrderBecameUnknown,
    lambda x: f"{x.client_id}: outcome of {x.request} unknown ({x.cause}); its budget stays reserved",
)
_says(f.OrderSeen, lambda x: f"{x.client_id}: open at the venue as {x.venue_id}, {_number(x.filled)} filled")
_says(
    f.StrayFillSeen,
    lambda x: (
        f"{x.client_id}: fill {x.trade_id} of {_number(x.amount)} {x.symbol} at {_number(x.price)}"
        " belongs to no order of this journal; not booked"
    ),
)
_says(f.PositionOpened, lambda x: f"{x.symbol}: position of {_number(x.amount)} at {_number(x.entry_price)}")
_says(f.TrailingArmed, lambda x: f"{x.symbol}: trailing stop armed at {_number(x.price)}")
_says(
    f.PositionClosed,
    lambda x: (
        f"{x.symbol}: closed by {x.reason}, {_average(x.entry_price)} → {_average(x.exit_price)},"
        f" PnL {'+' if x.pnl >= 0 else ''}{_average(x.pnl)} quote"
    ),
)
_says(
    f.VenueStateChanged,
    lambda x: f"The venue is {x.state}, it was {x.previous}: {x.reason}{_until(x.until_ms)}{_consequence(x.state)}",
)
_says(
    f.ClockJudged,
    lambda x: (
        f"This machine's clock is {abs(x.offset_ms)} ms {'ahead of' if x.offset_ms >= 0 else 'behind'} the venue's,"
        f" {_CLOCK[x.state]} (limit {x.limit_ms} ms)"
    ),
)
_says(
    f.SymbolQuarantined,
    lambda x: f"{x.symbol} is not traded by the venue ({x.reason}): not bought, exits are tried slowly, others go on",
)
_says(f.SymbolReleased, lambda x: f"{x.symbol} is traded again ({x.reason})")
_says(
    f.BreakerTripped,
    lambda x: (
        f"{x.symbol}: {x.action} failed {x.count} times for one cause, {x.cause}:"
        f" {'stopped' if x.action == 'buy' else 'tried rarely'}{_until(x.until_ms)} or until `tradebot rearm`"
    ),
)
_says(f.BreakerRearmed, lambda x: f"{x.symbol}: {x.action} may be tried again, rearmed by {x.who}")
_says(f.DriftSeen, drift_words)
_says(f.DriftEnded, drift_end_words)
_says(f.DriftAdopted, adopted_words)
_says(
    f.RivalNoticed,
    lambda x: (
        f"{x.client_id} was placed by run {x.run}, which is none of ours: another bot trades under this name;"
        " nothing is bought until one of the two was stopped and this one started again"
    ),
)
_says(f.StaleDataSeen, lambda x: f"{len(x.symbols)} symbols have stale prices and are not bought: {_listed(x.symbols)}")
