"""How does the same machine run without a clock? Time moves on events only; asked by replay, sweeps and tests.

One heap holds what is due: the venue's answers; the machine's own deadlines stand beside it. At equal times answers
and deadlines come before the market, and the venue sees a market event before the machine does.
"""

from __future__ import annotations

import gc
import heapq
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.domain.events import DeadlineReached, Event, ProfileApplied, QuoteSeen, RunStarted
from tradebot.domain.facts import Fact, OrderFilled
from tradebot.domain.ledger import Ledger
from tradebot.domain.orders import Balance
from tradebot.engine.anchors import Anchor, Candle, CandleShape
from tradebot.engine.candle_gate import TAKEN, WALK, CandleGate
from tradebot.engine.desk import SymbolState
from tradebot.engine.engine import Engine
from tradebot.feeds.candle_path import CandleQuotes, path_offsets
from tradebot.feeds.candles import CandleRecording
from tradebot.feeds.recorded_events import EventRecording
from tradebot.ports import Due, Journal, Recorder
from tradebot.runtime.dispatch import Dispatch
from tradebot.runtime.instruments import listed
from tradebot.runtime.outbox import Outbox
from tradebot.venues.paper import PaperVenue

BATCH_ROWS = 4_000
"""Candles held as tuples at a time: a bound on memory, of no consequence for the outcome."""

LAST_POINT = 3
"""Of a candle's four prices, the close."""

Progress = Callable[[int, int], None]
"""Told (candles or events done, of how many; 0 where nobody knows)."""

Mark = Callable[[int, Mapping[str, float]], object]
"""Told (time, last bids by symbol) every simulated minute with a position, and at every fill."""


@contextmanager
def no_collector() -> Iterator[None]:
    """Pause the collector of cycles: nothing here makes any, and it would walk every candle again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class BidPrices(Mapping[str, float]):
    """The last bids, as prices for the equity."""

    def __init__(self, symbols: Mapping[str, SymbolState]) -> None:
        self._symbols = symbols

    def __getitem__(self, symbol: str) -> float:
        """Return the last bid of `symbol`. Raises KeyError where none was seen."""
        if bid := self._symbols[symbol].bid:
            return bid
        raise KeyError(symbol)

    def get(self, symbol: str, default: Any = None) -> Any:
        """Return the last bid of `symbol`, `default` where none was seen."""
        state = self._symbols.get(symbol)
        return default if state is None else state.bid or default

    def __iter__(self) -> Iterator[str]:
        """Iterate over the symbols that have a price."""
        return (name for name, symbol in self._symbols.items() if symbol.bid)

    def __len__(self) -> int:
        """Return how many symbols have a price."""
        return sum(1 for _ in self)


class FillNoted:
    """Passes facts on, and notes that a fill was among them."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.filled = False

    def record(self, facts: Sequence[Fact], now_ms: int, last_seq: int = 0) -> None:
        """Pass the facts on."""
        self._recorder.record(facts, now_ms, last_seq)
        if not self.filled:
            self.filled = any(type(fact) is OrderFilled for fact in facts)


class Simulation:
    """One engine, one paper venue, one heap."""

    def __init__(self, engine: Engine, venue: PaperVenue, journal: Journal, recorder: Recorder, mark: Mark) -> None:
        self.engine = engine
        self._desk = engine.desk
        self.venue = venue
        self.mark = mark
        self.prices = BidPrices(engine.symbols)
        self._recorder = FillNoted(recorder)
        self._dispatch = Dispatch(engine, journal, self._recorder, Outbox(venue, journal))
        self._heap: list[tuple[int, int, Event]] = []
        self._count = 0

    def begin(self, profile: Profile, run: str, at_ms: int) -> None:
        """Put the profile in force and start the run."""
        self.feed(ProfileApplied(generation=1, profile=profile, at_ms=at_ms), at_ms)
        self.feed(RunStarted(run=run, at_ms=at_ms), at_ms)

    @property
    def next_due_ms(self) -> int:
        """The time of the earliest answer or deadline."""
        due_ms, venue_ms = self._desk.next_due_ms, self.venue.next_due_ms
        due_ms = min(due_ms, venue_ms)
        heap = self._heap
        return heap[0][0] if heap and heap[0][0] < due_ms else due_ms

    def feed(self, event: Event, now_ms: int) -> None:
        """Let the machine take one event."""
        if answers := self._dispatch.feed(event, now_ms):
            self._queue(answers)
        if self._recorder.filled:
            self._recorder.filled = False
            self.mark(now_ms, self.prices)

    def run_until(self, until_ms: int) -> None:
        """Let everything happen that is due at or before `until_ms`, in order of time: answers before deadlines."""
        heap = self._heap
        while True:
            answer_ms = heap[0][0] if heap else until_ms + 1
            deadline_ms = self._desk.next_due_ms
            venue_ms = self.venue.next_due_ms
            if venue_ms <= until_ms and venue_ms <= answer_ms and venue_ms <= deadline_ms:
                self._queue(self.venue.advance(venue_ms))
            elif answer_ms <= until_ms and answer_ms <= deadline_ms:
                due_ms, _, event = heapq.heappop(heap)
                self.feed(event, due_ms)
            elif deadline_ms <= until_ms:
                now_ms = max(deadline_ms, self._desk.now)  # one that was restored may have passed already
                self.feed(DeadlineReached(now_ms), now_ms)
            else:
                return

    def market(self, event: Event, symbol: str, now_ms: int) -> None:
        """Let one market event happen: first what is due, then the venue, what it answers at once, the machine."""
        if self.next_due_ms <= now_ms:
            self.run_until(now_ms)
        if self.venue.watches(symbol) and (answers := self.venue.on_market(event, now_ms)):
            self._queue(answers)
            self.run_until(now_ms)
        self.feed(event, now_ms)

    def _queue(self, answers: Sequence[Due]) -> None:
        for due_ms, event in answers:
            self._count += 1
            heapq.heappush(self._heap, (due_ms, self._count, event))


class _Walk:
    """A candle that is walked price by price."""

    __slots__ = ("candle", "index", "prices", "quotes", "symbol")

    def __init__(self, symbol: SymbolState, candle: Candle) -> None:
        self.symbol = symbol
        self.candle = candle
        self.index = candle[1]
        self.prices = (candle[2], candle[4], candle[3], candle[5])
        self.quotes: Sequence[QuoteSeen] = ()


class CandleRun:
    """Walks recorded candles: all that open at one time together, in the order of their prices' times."""

    def __init__(self, simulation: Simulation, recording: CandleRecording, quotes: CandleQuotes) -> None:
        interval_ms = recording.interval_ms
        half = quotes.half_spread
        self.simulation = simulation
        self.recording = recording
        self.quotes = quotes
        self.shape = CandleShape(times=path_offsets(interval_ms), down=1 - half, up=1 + half)
        self.gate = CandleGate(simulation.engine, self.shape)
        self.taken = 0
        """Candles that passed without a decision."""

    def run(self, progress: Progress) -> None:
        """Walk every candle."""
        done = 0
        with no_collector():
            for rows in self.recording.batches(BATCH_ROWS):
                self._batch(rows)
                self.simulation.venue.take_delta()  # nobody stores a simulated account: what changed is let go
                done += len(rows)
                progress(done, self.recording.candles)

    def _batch(self, rows: list[Candle]) -> None:
        offer = self.gate.offer
        held: list[Candle] = []
        walk: list[Candle] = []
        now_ms = rows[0][0]
        taken = 0
        for candle in rows:
            if candle[0] != now_ms:
                self._close(now_ms, walk, held)
                if walk or held:
                    walk, held = [], []
                now_ms = candle[0]
            passage = offer(candle)
            if passage is TAKEN:
                taken += 1
            elif passage is WALK:
                walk.append(candle)
            else:
                held.append(candle)
        self._close(now_ms, walk, held)
        self.taken += taken

    def _close(self, open_ms: int, walk: list[Candle], held: list[Candle]) -> None:
        """End one interval: walk what must be walked, take what could be held, mark the equity."""
        simulation = self.simulation
        close_ms = open_ms + self.shape.times[2]
        if walk or simulation.next_due_ms <= close_ms:
            self._walk(open_ms, walk, held)
        else:
            for candle in held:
                self.gate.take(self.gate.symbols[candle[1]], candle)
            self.taken += len(held)
        if simulation.engine.state.ledger.positions:
            simulation.mark(close_ms, simulation.prices)

    def _walk(self, open_ms: int, walk: list[Candle], held: list[Candle]) -> None:
        """Walk the candles of one interval side by side: all opens, all lows, all highs, all closes.

        At one time the symbols come in their order; a held candle joins in where a common gate has opened.
        """
        simulation, desk = self.simulation, self.simulation.engine.desk
        symbols = self.gate.symbols
        paths = [_Walk(symbols[candle[1]], candle) for candle in walk]
        wakes = desk.wakes
        for point, offset in enumerate((0, *self.shape.times)):
            now_ms = open_ms + offset
            if simulation.next_due_ms <= now_ms:
                simulation.run_until(now_ms)
            if desk.wakes != wakes:
                wakes = desk.wakes
                self._join(paths, held, point, -1)
            at = 0
            while at < len(paths):
                path = paths[at]
                self._step(path, point, now_ms)
                if desk.wakes != wakes:
                    wakes = desk.wakes
                    self._join(paths, held, point, path.index)
                    at = paths.index(path)
                at += 1
        for candle in held:
            self.gate.take(symbols[candle[1]], candle)

    def _join(self, paths: list[_Walk], held: list[Candle], point: int, index: int) -> None:
        """Begin to walk the held candles whose gate has opened: those up to `index` have let this point pass."""
        for candle in list(held):
            symbol = self.gate.symbols[candle[1]]
            if symbol.blocked:
                continue
            held.remove(candle)
            path = _Walk(symbol, candle)
            insort(paths, path, key=attrgetter("index"))
            if not self.gate.closes_only:
                passed = point if path.index > index else point + 1
                for price, offset in zip(path.prices[:passed], (0, *self.shape.times), strict=False):
                    symbol.anchor.record(self.shape.mid(price), 0.0, candle[0] + offset)

    def _step(self, path: _Walk, point: int, now_ms: int) -> None:
        """Let one price of a candle happen; where nothing waits for it and the band holds it, it only passes."""
        simulation = self.simulation
        symbol = path.symbol
        closes = point == LAST_POINT
        if not simulation.venue.watches(symbol.symbol) and self.gate.pass_price(
            symbol, path.prices[point], now_ms, path.candle[6] if closes else 0.0, closes=closes
        ):
            return
        if not path.quotes:
            path.quotes = self.quotes.quotes(symbol.symbol, path.candle, self.recording.interval_ms)
        simulation.market(path.quotes[point], symbol.symbol, now_ms)


class ReplayResult(Struct, frozen=True):
    """What stands at the end of a replay."""

    run: str
    ledger: Ledger
    balances: dict[str, Balance]  # the paper account's
    prices: dict[str, float]  # last bids
    rows: int  # candles or events walked
    taken: int  # candles that passed without a decision
    cold_s: float  # how long a price window has to warm, where none was warm at the end; else 0


def run_replay(
    profile: Profile,
    recording: CandleRecording | EventRecording,
    *,
    journal: Journal,
    recorder: Recorder,
    mark: Mark,
    progress: Progress,
) -> ReplayResult:
    """Run `profile` over a recording, from its first price to its last; orders then under way stay as they are."""
    # what was recorded is what is watched, whatever symbols the profile names
    market = profile.market.model_copy(update={"symbols": ()})
    profile = profile.model_copy(update={"market": market})
    instruments = listed(profile.venue.paper, recording.instruments(profile.venue.paper.min_notional))
    engine = Engine(profile, instruments)
    venue = PaperVenue(
        profile.venue.paper, {one.symbol: one for one in instruments}, profile.market.quote, profile.bot.seed
    )
    simulation = Simulation(engine, venue, journal, recorder, mark)
    run = f"s{profile.bot.seed}"
    simulation.begin(profile, run, recording.first_ms)
    taken = 0
    if isinstance(recording, CandleRecording):
        candles = CandleRun(simulation, recording, CandleQuotes(profile.feed.recorded))
        candles.run(progress)
        rows, taken = recording.candles, candles.taken
    else:
        rows = run_events(simulation, recording, progress)
    return ReplayResult(
        run=run,
        ledger=engine.state.ledger,
        balances=venue.image().balances,
        prices=dict(simulation.prices),
        rows=rows,
        taken=taken,
        cold_s=_cold_s([symbol.anchor for symbol in engine.symbols.values()]),
    )


def _cold_s(anchors: Sequence[Anchor]) -> float:
    """Return how long windows have to warm where none of those that had a price was warm with its last; else 0."""
    priced = [one for one in anchors if one.first >= 0]
    if any(one.last - one.first >= one.warm_buckets for one in priced):
        return 0.0
    return max((one.warm_buckets * one.width_ms / 1000 for one in priced), default=0.0)


def run_events(simulation: Simulation, recording: EventRecording, progress: Progress) -> int:
    """Walk recorded trades, quotes and books in their order; return how many there were."""
    done = minute = 0
    for event in recording.events():
        at_ms, symbol = event.at_ms, event.symbol
        if at_ms // 60_000 != minute:
            minute = at_ms // 60_000
            simulation.mark(at_ms, simulation.prices)
            simulation.venue.take_delta()  # nobody stores a simulated account: what changed is let go
            progress(done, 0)
        simulation.market(event, symbol, at_ms)
        done += 1
    return done
