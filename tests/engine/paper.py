"""How does an engine trade with the real paper venue by hand, and how does it crash and come back? Asked by the tests
of restarts and of the whole machine.

The shell is the simulated one, so nothing here decides in which order answers, deadlines and prices come.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tests.engine.hand import INSTRUMENTS, T0, D, Unheard, make_profile
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.account import AccountImage
from tradebot.domain.commands import Command, PlaceOrder
from tradebot.engine.engine import Engine
from tradebot.ports import Due
from tradebot.runtime.simulated import Simulation
from tradebot.storage.checkpoint import assemble
from tradebot.storage.replay_journal import MemoryJournal
from tradebot.venues.paper import PaperVenue

FILTERS = {one.symbol: one for one in INSTRUMENTS}


class WatchedVenue(PaperVenue):
    """The paper venue, which also notes what was placed and refuses to take a client id twice in its life."""

    placed: dict[str, int]
    journal: MemoryJournal
    durable: int

    def submit(self, command: Command, now_ms: int) -> list[Due]:
        """Note a place and the seq that was durable when it left."""
        if isinstance(command, PlaceOrder):
            assert command.client_id not in self.placed, f"{command.client_id} was used twice"
            self.placed[command.client_id] = self.durable = self.journal.last_seq
        return super().submit(command, now_ms)


class PaperBot:
    """An engine and its paper account across any number of runs."""

    def __init__(self, settings: Mapping[str, Any] | None = None, now_ms: int = T0) -> None:
        self.profile = make_profile(settings)
        self.now = now_ms
        self.runs = 0
        self.placed: dict[str, int] = {}
        self.journal = MemoryJournal()
        self.checkpoint: dict[str, Any] | None = None
        self._begin(None)

    # -- runs -----------------------------------------------------------------------------------------

    def _begin(self, image: AccountImage | None, durable: int = 0) -> None:
        paper = self.profile.venue.paper
        self.runs += 1
        self.venue = WatchedVenue(paper, FILTERS, "USDT", self.profile.bot.seed, image)
        self.venue.placed, self.venue.journal, self.venue.durable = self.placed, self.journal, durable
        self.engine = Engine(self.profile, INSTRUMENTS)
        if self.checkpoint is not None and self.checkpoint["seq"] > self.journal.last_seq:
            self.checkpoint = None  # as at a real start: a picture of facts that were lost is set aside for good
        self.engine.restore(self.checkpoint, self.journal.read(self.checkpoint["seq"] if self.checkpoint else 0))
        self.simulation = Simulation(self.engine, self.venue, self.journal, Unheard(), lambda _at, _prices: None)
        self.simulation.begin(self.profile, f"r{self.runs}", self.now)

    def keep(self) -> None:
        """Take a checkpoint, as text that has been to the disk and back."""
        windows = [(name, self.engine.window_picture(name)) for name in self.engine.symbols]
        self.checkpoint = json.loads(assemble(self.engine.core_picture(), windows))

    def crash(self, lost: int = 0, away_ms: int = 0) -> None:
        """Stop at once, lose up to `lost` facts that nothing sent depends on, and begin again `away_ms` later."""
        last = max(self.venue.durable, self.journal.last_seq - lost)
        kept = MemoryJournal()
        for seq, at_ms, fact in self.journal.read(0):
            if seq <= last:
                kept.append([fact], at_ms)
        self.journal = kept
        image = msgspec.json.decode(msgspec.json.encode(self.venue.image()), type=AccountImage)
        self.now += away_ms
        self._begin(image, self.venue.durable)

    # -- the world ------------------------------------------------------------------------------------

    def quote(self, symbol: str, bid: float, ask: float | None = None, size: float = 1e6) -> None:
        """Show a quote to the venue and the engine."""
        event = e.QuoteSeen(symbol, bid, bid if ask is None else ask, size, size, self.now)
        self.simulation.market(event, symbol, self.now)

    def wait(self, span_ms: int) -> None:
        """Let time pass, with everything that is due in it."""
        self.now += span_ms
        self.simulation.run_until(self.now)

    def feed(self, event: e.Event) -> None:
        """Let the engine take one event."""
        self.simulation.feed(event, self.now)

    def settle(self, prices: Mapping[str, float]) -> None:
        """Close the entries and let everything under way come to its end, at these prices."""
        self.feed(e.ShutdownRequested("cancel", "the end of the test", self.now))
        for _ in range(100):
            state = self.engine.state
            if state.trading and not state.intents and not state.orders:
                break
            self.wait(1_000)
            for symbol, price in prices.items():
                self.quote(symbol, price)
        else:
            raise AssertionError(f"never settled: {self.engine.state.intents} {self.engine.state.orders}")
        self.wait(1_000)

    # -- what to look at ------------------------------------------------------------------------------

    def told(self, kind: type[f.Fact]) -> list[Any]:
        """Return every fact of a kind that is in the journal."""
        return [fact for _, _, fact in self.journal.read(0) if type(fact) is kind]

    def owned(self) -> dict[str, Decimal]:
        """Return what the ledger says is owned, by asset."""
        ledger = self.engine.state.ledger
        owned = {"USDT": ledger.cash}
        for symbol, one in FILTERS.items():
            position = ledger.positions.get(symbol)
            owned[one.base] = (position.amount if position else D(0)) + ledger.dust.get(symbol, D(0))
        return owned

    def account(self) -> dict[str, Decimal]:
        """Return what the venue says is owned, by asset."""
        balances = self.venue.image().balances
        return {asset: balances[asset].total if asset in balances else D(0) for asset in self.owned()}
