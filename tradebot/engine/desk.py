"""What do the engine's parts share while they decide? Settings, state, time without a clock, and where they speak."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from tradebot.config.profile import Profile
from tradebot.domain.commands import Command
from tradebot.domain.events import BookSeen
from tradebot.domain.facts import Fact
from tradebot.domain.ledger import Ledger
from tradebot.domain.market import Instrument
from tradebot.domain.orders import Intent, Side
from tradebot.engine.anchors import Anchor, make_anchor
from tradebot.engine.state import EngineState

NEVER = 2**62
"""A time (ms) that does not come."""

OUTSIDE = float("inf")
"""A lower band edge that no price is above: decide on every price."""


class SymbolState:
    """What is watched of one symbol: prices and book, anchor, price band, exit levels. Never in the journal."""

    __slots__ = (
        "anchor",
        "ask",
        "ask_size",
        "below_since",
        "bid",
        "bid_size",
        "blocked",
        "book",
        "exit_wait_ms",
        "factor",
        "gate",
        "gate_common",
        "hi",
        "hold_ms",
        "instrument",
        "last",
        "last_buy_ms",
        "lo",
        "rest_ms",
        "seen_ms",
        "stop",
        "symbol",
        "target",
        "threshold_bps",
        "trail_from",
        "trail_high",
        "tried_ms",
        "trigger_lo",
        "wake_ms",
    )

    def __init__(self, instrument: Instrument, anchor: Anchor) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.anchor = anchor
        self.bid = self.ask = self.bid_size = self.ask_size = 0.0
        self.seen_ms = -1  # when that quote was made, as its feed says, never later than it came
        self.last = 0.0  # price of the last public trade, 0 where the feed tells none
        self.book: BookSeen | None = None  # the visible book when last told
        self.threshold_bps = Decimal(0)
        self.factor = 0.0  # buy trigger = anchor x factor
        self.lo, self.hi, self.wake_ms = OUTSIDE, 0.0, 0  # the band; see engine.band
        self.trigger_lo = OUTSIDE  # the lower edge as if no gate were shut
        self.blocked = False  # a gate common to all symbols is shut
        self.gate = ""  # the gate last told
        self.gate_common = False  # whether that was one common to all symbols
        self.below_since = -1  # when the price came to the trigger (confirmation)
        self.rest_ms = 0  # not looked at for buying before (cooldown, debounce)
        self.last_buy_ms = -NEVER
        self.stop = 0.0  # sell at or below this bid
        self.target = OUTSIDE  # sell at or above this bid
        self.trail_from = OUTSIDE  # the trailing stop is armed at this bid
        self.trail_high = 0.0  # highest bid since it was armed; 0 while it is not
        self.hold_ms = NEVER  # sell at this time
        self.exit_wait_ms = 0  # no exit is tried before
        self.tried_ms = 0  # when the exit ended after which that one waits


class Desk:
    """The one place through which the parts speak: `emit` facts, `send` commands, set deadlines.

    `now` is set by the engine for each event. Facts are applied to the state as they are emitted.
    """

    def __init__(self, profile: Profile, instruments: Mapping[str, Instrument]) -> None:
        self.profile = profile
        self.now = 0
        self.state = EngineState(ledger=Ledger(quote=profile.market.quote))
        self.symbols: dict[str, SymbolState] = {
            name: SymbolState(instruments[name], make_anchor(profile.drop.anchor)) for name in sorted(instruments)
        }
        named = profile.market.symbols
        self.leaving: set[str] = {name for name in self.symbols if named and name not in named}
        """Symbols that are watched only until nothing of them is held or under way."""
        self.former: dict[str, SymbolState] = {}
        """Symbols that were watched before, with windows that hold nothing."""
        self.facts: list[Fact] = []
        self.commands: list[Command] = []
        self.blocked: list[SymbolState] = []
        self.unsettled: dict[str, int] | None = None
        """Own orders by symbol for which this run's venue has not answered yet; None before it is asked."""
        self.asked_ms = 0
        """When this run asked for them first: its doubts are no older."""
        self.wakes = 0
        """How often a symbol that a common gate held back was woken."""
        self.stirred: set[str] = set()
        """Symbols whose orders or holding may have changed since the balances were last asked for."""
        self._deadlines: list[tuple[int, int, str, str]] = []
        self._deadline_count = 0
        self.next_due_ms = NEVER
        """The earliest deadline."""

    def emit(self, fact: Fact) -> None:
        """Tell a fact: the state changes by it at once."""
        self.state.apply(fact, self.now)
        self.facts.append(fact)

    def send(self, command: Command) -> None:
        """Ask something of the world."""
        self.commands.append(command)

    def block(self, symbol: SymbolState) -> None:
        """Hold a symbol's buy trigger back until the common gate that is shut for it opens."""
        if not symbol.blocked:
            symbol.blocked = True
            self.blocked.append(symbol)

    def wake(self, symbol: SymbolState) -> None:
        """Let a symbol decide on its next price, whatever held it back."""
        symbol.blocked = False
        symbol.lo = OUTSIDE
        self.wakes += 1

    def watch(self, instruments: Iterable[Instrument]) -> None:
        """Watch further symbols, from a cold window on; all symbols stay in the order of their names."""
        for instrument in instruments:
            name = instrument.symbol
            symbol = SymbolState(instrument, make_anchor(self.profile.drop.anchor))
            if (before := self.former.pop(name, None)) is not None:
                symbol.last_buy_ms = before.last_buy_ms
            self.symbols[name] = symbol
        ordered = sorted(self.symbols.items())
        self.symbols.clear()  # it stays the same object: views of it are handed out
        self.symbols.update(ordered)

    def unwatch(self, name: str) -> None:
        """Watch a symbol no more; what is known of its filters and its last buy is kept."""
        symbol = self.symbols.pop(name)
        self.leaving.discard(name)
        symbol.blocked = False
        symbol.anchor.reset()
        symbol.book = None
        self.former[name] = symbol

    def settled(self, name: str) -> bool:
        """Whether this run's venue has answered for every own order of a symbol: then it may be sold."""
        return self.state.trading or (self.unsettled is not None and name not in self.unsettled)

    def may_go_on(self, intent: Intent) -> bool:
        """Whether an intent may place a further order: an exit once its symbol is settled, a buy once all are."""
        return self.state.trading if intent.side is Side.BUY else self.settled(intent.symbol)

    def idle(self, name: str) -> bool:
        """Whether nothing of a symbol is held or under way."""
        return name not in self.state.ledger.positions and self.idle_orders(name)

    def idle_orders(self, name: str) -> bool:
        """Whether nothing of a symbol is under way."""
        state = self.state
        return name not in state.by_symbol and all(order.symbol != name for order in state.orders.values())

    def remind(self, due_ms: int, kind: str, key: str) -> None:
        """Set a deadline; it comes once, as (kind, key)."""
        self._deadline_count += 1
        heapq.heappush(self._deadlines, (due_ms, self._deadline_count, kind, key))
        self.next_due_ms = self._deadlines[0][0]

    def forget(self, kinds: Collection[str]) -> None:
        """Drop every deadline of these kinds: whoever set them sets them anew."""
        self._deadlines = [one for one in self._deadlines if one[2] not in kinds]
        heapq.heapify(self._deadlines)
        self.next_due_ms = self._deadlines[0][0] if self._deadlines else NEVER

    def due(self, now_ms: int) -> tuple[str, str] | None:
        """Take the earliest deadline that has come."""
        if self._deadlines and self._deadlines[0][0] <= now_ms:
            _, _, kind, key = heapq.heappop(self._deadlines)
            self.next_due_ms = self._deadlines[0][0] if self._deadlines else NEVER
            return kind, key
        return None
