"""What does the bot do now? One synchronous machine, process(event, now) -> (facts, commands); asked by both shells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tradebot.config.profile import Profile
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import Command
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import exact
from tradebot.domain.orders import Intent, Side
from tradebot.engine import band, budget, exits, picture, router
from tradebot.engine.adoption import Adoption
from tradebot.engine.ages import STALE_INTENTS, Ages
from tradebot.engine.breaker import REARM, Breaker
from tradebot.engine.decision import capped
from tradebot.engine.desk import OUTSIDE, Desk, SymbolState
from tradebot.engine.doubts import VERIFY
from tradebot.engine.drift import LOOK, Drift
from tradebot.engine.followup import FollowUp
from tradebot.engine.halt import Halt
from tradebot.engine.parts import Parts, choose
from tradebot.engine.plan import Plan, plan
from tradebot.engine.recovery import Recovery
from tradebot.engine.state import EngineState
from tradebot.engine.together import ONE_BY_ONE, together
from tradebot.engine.venue_gate import VenueGate
from tradebot.engine.watchlist import Watchlist

NOTHING: tuple[list[f.Fact], list[Command]] = ([], [])


class Engine:
    """The machine. It reads no clock: `now_ms` comes with each event and never goes back.

    An exception out of `process` leaves the state suspect: the caller closes down and recovers by a restart.
    """

    def __init__(self, profile: Profile, instruments: Sequence[Instrument]) -> None:
        self.desk = Desk(profile, {instrument.symbol: instrument for instrument in instruments})
        self.budget = budget.Budget(self.desk)
        self.parts: Parts = choose(self.desk, self.budget)
        self.breaker = Breaker(self.desk)
        self.router = router.Router(self.desk, self.parts, self.breaker)
        self.recovery = Recovery(self.desk, self.budget, self.router)
        self.ages = Ages(self.desk, self.router)
        watchlist = Watchlist(self.desk)
        self.follow_up = FollowUp(self.desk, self.budget, self.parts, watchlist)
        self.adoption = Adoption(
            self.desk, self.budget, self.router, self.ages, self.follow_up, watchlist, self.breaker
        )
        self.drift = Drift(self.desk, self.budget)
        self.venue = VenueGate(self.desk, self.router.ask_again, self.breaker.venue_is_up)
        self.halt = Halt(self.desk, self.router, self.adoption.settle)
        self._closes_only = profile.market.decide_on == "candle_close"
        self._band = profile.engine.band
        self._epoch = 0  # the state's when the common gates were last looked at
        self._handlers: dict[type[e.Event], Callable[[Any], None]] = {
            e.QuoteSeen: self._on_quote,
            e.TradeSeen: self._on_trade,
            e.BookSeen: self._on_book,
            e.RequestSent: self.router.on_sent,
            e.RequestNotSent: self.router.on_not_sent,
            e.OrderAcknowledged: self.router.on_acknowledged,
            e.OrderRefused: self.router.on_refused,
            e.FillReported: self.router.on_fill,
            e.OrderClosed: self.router.on_closed,
            e.CancelRefused: self.router.on_cancel_refused,
            e.OutcomeUnknown: self.router.on_unknown,
            e.OrderReported: self.router.on_reported,
            e.OrderNotFound: self.router.on_not_found,
            e.BalancesReported: self.drift.on_balances,
            e.BalancesWanted: self.drift.on_wanted,
            e.DriftAnswered: self.drift.on_answer,
            e.RivalSeen: self.drift.on_rival,
            e.BalancesUnavailable: self.budget.on_unavailable,
            e.DeadlineReached: self._on_deadline,
            e.HealthChecked: self._on_health,
            e.ProfileApplied: self.adoption.on_profile,
            e.PauseAsked: self.halt.on_pause,
            e.ResumeAsked: self.halt.on_resume,
            e.FlattenAsked: self.halt.on_flatten,
            e.VenueStateSeen: self.venue.on_venue,
            e.ClockSeen: self.venue.on_clock,
            e.SymbolStatusSeen: self.venue.on_symbol,
            e.RearmAsked: self.breaker.on_rearm,
            e.RunStarted: self.recovery.on_run,
            e.ShutdownRequested: self._on_shutdown,
        }
        self._deadlines = self._deadline_table()
        self.follow_up.settle_all()

    def _deadline_table(self) -> dict[str, Callable[[str], None]]:
        """Return who hears of each kind of deadline."""
        return {
            router.WAIT: self.router.on_wait,
            VERIFY: self.router.on_verify,
            budget.REFRESH: lambda _: self.budget.on_refresh(),
            budget.TIMEOUT: self.budget.on_timeout,
            exits.HOLD: self._on_exit_time,
            exits.RETRY: self._on_exit_time,
            STALE_INTENTS: lambda _: self.ages.on_check(),
            REARM: self.breaker.on_due,
            LOOK: lambda _: self.budget.ask(),
        }

    # -- what the shells use ----------------------------------------------------------------------

    @property
    def state(self) -> EngineState:
        """Orders, intents and ledger, to read."""
        return self.desk.state

    @property
    def next_due_ms(self) -> int:
        """When a DeadlineReached is wanted; a time that does not come where nothing waits."""
        return self.desk.next_due_ms

    @property
    def symbols(self) -> dict[str, SymbolState]:
        """What is watched, by symbol, in a fixed order."""
        return self.desk.symbols

    def core_picture(self) -> bytes:
        """Return orders, intents, ledger and cooldowns as one JSON object, at one `seq`."""
        return picture.core_picture(self.desk)

    def window_picture(self, symbol: str) -> bytes:
        """Return the price window of `symbol` as a JSON object, an empty one where it is not watched any more."""
        return picture.window_picture(self.desk, symbol)

    def plan(
        self, profile: Profile, instruments: Sequence[Instrument] | None = None, now_ms: int | None = None
    ) -> Plan:
        """Return what a new generation would do to what is held and under way at `now_ms`; nothing changes."""
        return plan(self.desk, profile, instruments, now_ms)

    def restore(
        self, checkpoint: Mapping[str, Any] | None, tail: Iterable[tuple[int, int, f.Fact]]
    ) -> picture.Restored:
        """Take back the checkpoint and the journal's tail (all of it where there is no checkpoint).

        To be called before the first event. Raises StorageFailed where they cannot be understood.
        """
        restored = picture.restore(self.desk, checkpoint, tail)
        self.adoption.settle()
        if self.desk.state.intents:
            self.ages.watch()
        return restored

    def open_orders(self) -> list[str]:
        """Return the client ids of own orders that have not ended."""
        return list(self.desk.state.orders)

    def process(self, event: e.Event, now_ms: int) -> tuple[list[f.Fact], list[Command]]:
        """Take one event; return what has happened by it, and what is asked of the world, both in order."""
        desk = self.desk
        desk.now = max(desk.now, now_ms)
        self._handlers[type(event)](event)
        if not desk.state.trading and self.recovery.on_event(event):
            self.drift.go_on()
            if desk.state.flattening:
                self.halt.go_on()
        if not desk.facts and not desk.commands:
            return NOTHING
        if desk.facts:
            self.follow_up.run()
            if desk.state.flattening:
                self.halt.follow()
            if desk.blocked and desk.state.epoch != self._epoch:
                self._recheck_common_gates()
        facts, commands = desk.facts, desk.commands
        desk.facts, desk.commands = [], []
        return facts, commands if len(commands) < ONE_BY_ONE else together(commands, desk.state.orders)

    # -- the market -------------------------------------------------------------------------------

    def _on_quote(self, event: e.QuoteSeen) -> None:
        symbol = self.desk.symbols.get(event.symbol)
        if symbol is None:
            return
        bid, ask, now = event.bid, event.ask, self.desk.now
        symbol.bid, symbol.ask, symbol.seen_ms = bid, ask, min(now, event.at_ms)
        symbol.bid_size, symbol.ask_size = event.bid_size, event.ask_size
        if self._closes_only and not event.closes:
            return
        mid = (bid + ask) * 0.5
        if self._band and bid > symbol.lo and ask < symbol.hi and now < symbol.wake_ms:
            symbol.anchor.record(mid, event.volume, now)
            return
        self._decide(symbol, mid)
        symbol.anchor.record(mid, event.volume, now)
        band.refresh(self.desk, self.parts.exits, symbol)

    def _on_trade(self, event: e.TradeSeen) -> None:
        symbol = self.desk.symbols.get(event.symbol)
        if symbol is None:
            return
        symbol.last = event.price
        if not self._closes_only:
            symbol.anchor.record_trade(event.price, event.size, self.desk.now)
            if event.price >= symbol.hi:
                symbol.lo = OUTSIDE  # a trade above the band may lift the anchor

    def _on_book(self, event: e.BookSeen) -> None:
        """Keep the visible book: it is looked at, and decides nothing (the best of it comes as a quote)."""
        if (symbol := self.desk.symbols.get(event.symbol)) is not None:
            symbol.book = event

    def _decide(self, symbol: SymbolState, mid: float) -> None:
        """Decide on one price: exits first, then a buy."""
        self._consider_exit(symbol)
        if symbol.symbol not in self.desk.state.by_symbol:
            self._consider_buy(symbol, mid)

    def _consider_exit(self, symbol: SymbolState) -> None:
        desk = self.desk
        position = desk.state.ledger.positions.get(symbol.symbol)
        if position is None or symbol.seen_ms < 0:
            return
        reason = self.parts.exits.reason(symbol) or self.drift.reason(symbol.symbol)
        if not reason or desk.now < symbol.exit_wait_ms or not desk.state.entries_open:
            return
        if not desk.settled(symbol.symbol):
            return
        if exits.wait_for_venue(desk, symbol):
            return
        intent = desk.state.intent_of(symbol.symbol)
        if intent is not None:
            if intent.side is Side.BUY:
                symbol.exit_wait_ms, symbol.tried_ms = desk.now, 0  # looked at again as soon as the buy has ended
                if not intent.ending:
                    self.router.stop(intent, "exit")
            return
        most = self.drift.most(symbol.symbol)
        amount = exits.sellable(symbol.instrument, position, symbol.bid, most)
        if not amount:
            if reason == exits.FLATTEN and not exits.sellable(symbol.instrument, position, symbol.bid):
                self.follow_up.close(position, "unsellable")
            return
        intent = self._open(
            symbol,
            f.IntentOpened(
                intent_id=desk.state.next_intent,
                symbol=symbol.symbol,
                side=Side.SELL,
                reason=reason,
                generation=desk.state.generation,
                amount=amount,
                signal_price=symbol.instrument.price_down(exact(symbol.bid)),
            ),
        )
        self.router.ladder.advance(intent)

    def _consider_buy(self, symbol: SymbolState, mid: float) -> None:
        desk = self.desk
        if desk.now < symbol.rest_ms or capped(desk, symbol.symbol):
            symbol.below_since = -1
            return
        anchor = symbol.anchor.value(desk.now)
        if mid > anchor * symbol.factor:
            symbol.below_since = -1
            return
        shut = self.parts.gates.shut(symbol)
        if shut is not None:
            if shut.common:
                desk.block(symbol)
            if shut.gate != symbol.gate and not (shut.common and symbol.gate_common):
                symbol.gate, symbol.gate_common = shut.gate, shut.common
                desk.emit(
                    f.BuyBlocked(
                        generation=desk.state.generation,
                        symbol=symbol.symbol,
                        price=mid,
                        anchor=anchor,
                        gate=shut.gate,
                        value=shut.value,
                        limit=shut.limit,
                    )
                )
            return
        symbol.gate, symbol.gate_common, symbol.below_since = "", False, -1
        symbol.last_buy_ms = desk.now
        limits = self.parts.controls.constraints(symbol)
        quote_amount = desk.profile.budget.per_trade_quote
        intent = self._open(
            symbol,
            f.IntentOpened(
                intent_id=desk.state.next_intent,
                symbol=symbol.symbol,
                side=Side.BUY,
                reason="drop",
                generation=desk.state.generation,
                quote_amount=quote_amount,
                reserved=self.budget.reservation(quote_amount),
                signal_price=symbol.instrument.price_up(exact(symbol.ask)),
                anchor_price=exact(anchor),
                max_spread_bps=limits.max_spread_bps,
                max_slippage_bps=limits.max_slippage_bps,
            ),
        )
        self.ages.watch()
        self.router.ladder.advance(intent)

    def _open(self, symbol: SymbolState, fact: f.IntentOpened) -> Intent:
        self.desk.emit(fact)
        return self.desk.state.intents[fact.intent_id]

    def _recheck_common_gates(self) -> None:
        """Wake the symbols for which no common gate is shut any more."""
        desk = self.desk
        self._epoch = desk.state.epoch
        positions = desk.state.ledger.positions
        shut_for: dict[bool, bool] = {}
        still = []
        for symbol in desk.blocked:
            held = symbol.symbol in positions
            if held not in shut_for:
                shut_for[held] = self.parts.gates.common(held=held) is not None
            if not shut_for[held]:
                desk.wake(symbol)
            elif symbol.blocked:
                still.append(symbol)
        desk.blocked[:] = still

    # -- everything else --------------------------------------------------------------------------

    def _on_deadline(self, event: e.DeadlineReached) -> None:
        while (due := self.desk.due(self.desk.now)) is not None:
            kind, key = due
            self._deadlines[kind](key)

    def _on_exit_time(self, name: str) -> None:
        """Look at the exits of a symbol whose time stop or next attempt is due; an outdated deadline is nothing."""
        symbol, now = self.desk.symbols.get(name), self.desk.now
        if symbol is None or (now < symbol.hold_ms and not 0 < symbol.exit_wait_ms <= now):
            return
        symbol.exit_wait_ms = symbol.tried_ms = 0
        self._consider_exit(symbol)
        band.refresh(self.desk, self.parts.exits, symbol)

    def _on_health(self, event: e.HealthChecked) -> None:
        self.parts.warnings.look(event.at_ms)

    def _on_shutdown(self, event: e.ShutdownRequested) -> None:
        """Close the entries, and end what is under way by the policy for open orders."""
        if self.desk.state.entries_open:
            self.desk.emit(f.EntriesClosed(reason=event.reason))
        for intent in list(self.desk.state.intents.values()):
            if event.open_orders == "cancel" or intent.client_id not in self.desk.state.orders:
                self.router.stop(intent, "shutdown")
