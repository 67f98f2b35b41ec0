"""How are facts told to logs and metrics? Asked by the shell after each cycle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import get_args

from tradebot.domain.facts import (
    CATALOGUE,
    Fact,
    IntentEnded,
    IntentOpened,
    IntentStale,
    OrderAccepted,
    OrderDone,
    OrderFilled,
    OrderSent,
    PositionClosed,
    ProfileTaken,
    VenueStateChanged,
    level_of,
    told_as,
)
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Position, Side
from tradebot.domain.venue_facts import VenueState
from tradebot.telemetry.logs import LogPipeline
from tradebot.telemetry.lots import Increase, PositionsTold, dust_words, increase_words
from tradebot.telemetry.metrics import Metrics, SwitchedMetrics
from tradebot.telemetry.words import fact_words, placed_words

_LABELS = ("symbol", "side", "code", "outcome", "gate")

_LABELS_OF: dict[type[Fact], tuple[str, ...]] = {
    kind: tuple(label for label in _LABELS if label in kind.__struct_fields__) for kind in CATALOGUE
}


class FactRecorder:
    """Tells every fact as one record of its own stream, and counts it. Implements `ports.Recorder`.

    A sent order is told twice: in the order audit, and in the system log in the words that operators' scripts look for.
    Beside the facts stand what a buy added to a position, and what of an adoption was dust.
    """

    def __init__(self, log: LogPipeline, metrics: Metrics | SwitchedMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self._buys: set[int] = set()
        self._sells: set[int] = set()
        self._pnl = ZERO
        self._fees = ZERO
        self._positions = PositionsTold()
        metrics.declare(*sorted({kind.metric for kind in CATALOGUE if kind.metric} | {"orders_filled"}))
        self._venue: VenueState = "up"
        self._gauge_intents()
        self._gauge_venue()

    def gauge(self) -> None:
        """Set every gauge anew: what is counted in was changed."""
        self._gauge_intents()
        self._gauge_books()
        self._gauge_venue()

    def restore(
        self, buys: Iterable[int], sells: Iterable[int], venue: VenueState, positions: Iterable[Position]
    ) -> None:
        """Begin with these intents (their ids) pending, this state of the venue and these positions, as recovered."""
        self._buys, self._sells, self._venue = set(buys), set(sells), venue
        self._positions.restore(positions)
        self._gauge_intents()
        self._gauge_venue()

    def record(self, facts: Sequence[Fact], now_ms: int, last_seq: int = 0) -> None:
        """Tell `facts`; never blocks and never raises. `last_seq` is the seq of the last one, 0 if unknown."""
        seq = last_seq - len(facts)
        for fact in facts:
            seq += 1
            self._count(fact)
            kind = type(fact)
            extra: dict[str, int] = {"seq": seq} if last_seq else {}
            if isinstance(fact, IntentOpened | IntentEnded):
                extra["pending_buy_intents"] = len(self._buys)
            self._log.emit_later(now_ms, kind.stream, level_of(fact), told_as(fact), fact_words, fact, **extra)
            beside = self._positions.take(fact, self._buys)
            if isinstance(beside, Increase):
                self._log.emit_later(now_ms, "events", "INFO", "POSITION_INCREASED", increase_words, beside)
            elif beside is not None:
                self._log.emit_later(now_ms, "events", "INFO", "DUST_ADOPTED", dust_words, beside)
            if isinstance(fact, OrderSent):
                self._log.emit_later(now_ms, "system", "INFO", "ORDER_PLACED", placed_words, fact)
            elif isinstance(fact, ProfileTaken):
                self._log.set_generation(fact.generation)

    def _count(self, fact: Fact) -> None:
        kind = type(fact)
        metrics = self._metrics
        if kind.metric:
            metrics.count(kind.metric, **{label: str(getattr(fact, label)) for label in _LABELS_OF[kind]})
        match fact:
            case OrderAccepted():
                metrics.observe("order_ack_latency_ms", fact.latency_ms)
            case OrderFilled():
                metrics.observe("fill_latency_ms", fact.latency_ms)
            case OrderDone(outcome="filled"):
                metrics.count("orders_filled", symbol=fact.symbol, side=fact.side.value)
            case IntentStale():
                metrics.observe("intent_stale_age_ms", fact.age_ms)
            case IntentOpened():
                (self._buys if fact.side is Side.BUY else self._sells).add(fact.intent_id)
                self._gauge_intents()
            case IntentEnded():
                (self._buys if fact.side is Side.BUY else self._sells).discard(fact.intent_id)
                metrics.observe("intent_age_ms", fact.age_ms)
                self._gauge_intents()
            case PositionClosed():
                self._book(fact.pnl, fact.fees)
            case VenueStateChanged():
                self._venue = fact.state
                self._gauge_venue()
            case _:
                pass

    def _gauge_intents(self) -> None:
        pending = len(self._buys) + len(self._sells)
        self._metrics.gauge("pending_buy_intents", len(self._buys))
        self._metrics.gauge("pending_intents", pending)
        self._metrics.peak("pending_intents_max", pending)

    def _gauge_venue(self) -> None:
        """Set the gauge of the venue's present state to 1, those of the others to 0."""
        for state in get_args(VenueState):
            self._metrics.gauge("venue_state", int(state == self._venue), state=state)

    def _book(self, pnl: Decimal, fees: Decimal) -> None:
        self._pnl += pnl
        self._fees += fees
        self._gauge_books()
        self._metrics.count("trades_won" if pnl > 0 else "trades_lost")

    def _gauge_books(self) -> None:
        self._metrics.gauge("session_pnl_quote", self._pnl)
        self._metrics.gauge("session_fees_quote", self._fees)
