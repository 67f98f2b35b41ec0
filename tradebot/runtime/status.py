"""How is the run going, in a few lines? Asked by the console; told by facts, read from the engine between cycles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.domain import facts as f
from tradebot.domain.events import Event
from tradebot.domain.fence_words import damaged_words, journal_words
from tradebot.domain.numbers import ZERO, exact
from tradebot.domain.orders import UNSENT
from tradebot.domain.profile_words import files_words
from tradebot.domain.views import ProfileView
from tradebot.engine.anchors import Anchor
from tradebot.engine.desk import Desk, SymbolState
from tradebot.ports import Recorder
from tradebot.runtime.drift_views import drift_lines
from tradebot.runtime.errorbook import ErrorBook
from tradebot.runtime.fence_views import buying_held, fence_lines, journal_failed

if TYPE_CHECKING:
    from tradebot.runtime.wiring import Run


def money_of(profile: Profile) -> str:
    """Return in words whose money is traded; a rehearsal is told as one, with its address."""
    return "paper money" if profile.venue.kind == "paper" else f"orders go to {place_of(profile)}"


def place_of(profile: Profile) -> str:
    """Return in words where orders go."""
    if profile.venue.kind == "paper":
        return "the paper venue"
    exchange = profile.exchange
    if not exchange.base_url:
        return exchange.name
    there = urlsplit(exchange.base_url)
    return f"{exchange.name} at {there.scheme}://{there.netloc.rpartition('@')[2]}, a rehearsal"


class Warming(Struct, frozen=True):
    """How many symbols may not be bought yet since their price windows are cold, and until the last one is warm."""

    symbols: int
    left_ms: int


class Status(Struct, frozen=True):
    """The run at one moment. `age_s` is the age of the newest price, None before the first.

    `held` is what the positions are worth at the last bids, in quote; `watched` counts the symbols, `rearming` those
    that wait for a new anchor after a stop loss and are not `warming`; `buying` and `exits` are the toggles.
    `in_force` is the version of the profile at `at_ms`, None before the first; `paused` says who paused buying.
    `fences` are lines of what holds trading back at the venue, `buying_held` says it in a word.
    """

    profile: str
    synthetic: bool
    quote: str
    up_s: float
    trading: bool
    positions: tuple[str, ...]
    intents: int
    orders: int
    fills: int
    trades: int
    pnl: Decimal
    cash: Decimal
    age_s: float | None
    errors: int
    held: Decimal = ZERO
    watched: int = 0
    warming: Warming | None = None
    rearming: Warming | None = None
    buying: bool = True
    exits: bool = True
    money: str = "paper money"
    in_force: ProfileView | None = None
    at_ms: int = 0
    paused: str = ""
    flattening: bool = False
    fences: tuple[str, ...] = ()
    buying_held: str = ""


class StatusBook:
    """Counts what the status and the error summary show, passing every fact on."""

    def __init__(self, then: Recorder, errors: ErrorBook) -> None:
        self._then = then
        self._errors = errors
        self.fills = 0
        self.trades = 0
        self.pnl = ZERO
        self.cancelled = 0
        self.sent = 0
        self.rejected = 0
        self.journal_failed_ms = 0
        """Since when the journal cannot be written, 0 while it can: set by who hears it."""
        self.journal_damaged = ""
        """What in the journal's file is not as it was written, "" while nothing is known to be: set by who looks."""
        self.balances_told = 0
        """How often the account told its balances in this run."""
        self.balances_ms = 0
        """When it last did, 0 for never."""
        self.balances_failed = ""
        """Why it did not since, "" where it did."""

    def record(self, facts: Sequence[f.Fact], now_ms: int, last_seq: int = 0) -> None:
        """Count `facts` and pass them on."""
        for fact in facts:
            if isinstance(fact, f.OrderFilled):
                self.fills += 1
            elif isinstance(fact, f.PositionClosed):
                self.trades += 1
                self.pnl += fact.pnl
            elif isinstance(fact, f.OrderSent):
                self.sent += 1
            elif isinstance(fact, f.OrderRejected):
                self.rejected += fact.code not in UNSENT  # what never left was rejected by nobody
            elif isinstance(fact, f.OrderDone) and fact.outcome == "canceled":
                self.cancelled += 1
            elif isinstance(fact, f.BalanceRefreshed | f.AccountOpened):
                self.balances_told, self.balances_ms, self.balances_failed = self.balances_told + 1, now_ms, ""
            elif isinstance(fact, f.BalanceRefreshFailed):
                self.balances_failed = fact.cause
        self._errors.add_facts(facts)
        self._then.record(facts, now_ms, last_seq)


def status_lines(status: Status) -> list[str]:
    """Return the status as a few lines of text."""
    kind = f"SYNTHETIC MARKET, {status.money}" if status.synthetic else status.money
    age = "no price yet" if status.age_s is None else f"newest price {status.age_s:.1f} s old"
    off = [toggle for toggle, on in (("buying", status.buying), ("exits", status.exits)) if not on]
    kept = [f"buying held: {status.buying_held}"] if status.buying_held and status.buying and not status.paused else []
    state = ", ".join(["trading" if status.trading else "not trading yet", *kept, *(f"{toggle} off" for toggle in off)])
    held = ", ".join(name.removesuffix(f"/{status.quote}") for name in status.positions) or "none"
    sign = "+" if status.pnl > 0 else ""
    cold = status.warming
    warm = ""
    if cold:
        warm = f" · warming {cold.symbols} of {status.watched} symbols, {_span(-(-cold.left_ms // 1000))} left"
    counts = f"intents {status.intents} · orders {status.orders} · fills {status.fills:,} · trades {status.trades:,}"
    generation = f"gen {status.in_force.generation} · " if status.in_force else ""
    return [
        f"tradebot {status.profile} · {kind} · {state} · {_span(status.up_s)}",
        f"{age} · errors {status.errors}{warm}",
        *_notices(status),
        f"positions {len(status.positions)}: {held}",
        f"{generation}{counts}",
        f"PnL {sign}{money(status.pnl)} {status.quote} · cash {money(status.cash)} · held {money(status.held)}",
    ]


def _notices(status: Status) -> list[str]:
    """Return a line each of what an operator has done or has to do; none where the profile alone is at work."""
    lines = list(status.fences)
    if again := status.rearming:
        count = f"{again.symbols} {'symbol waits' if again.symbols == 1 else 'symbols wait'}"
        lines.append(f"after a stop loss {count} for a new anchor, {_span(-(-again.left_ms // 1000))} left")
    if status.flattening:
        lines.append(f"selling everything, buying paused by {status.paused} · `tradebot resume` ends it")
    elif status.paused:
        lines.append(f"buying paused by {status.paused} · `tradebot resume` lets it go on")
    profile = status.in_force
    if profile is None:
        return lines
    if profile.pending is not None:
        lines.append(f"an edit waits: {profile.pending.reason} · `tradebot reload --confirm`")
    if profile.overrides:
        set_ = ", ".join(f"{one.feature} {'on' if one.on else 'off'} ({one.override})" for one in profile.overrides)
        lines.append(f"over the profile: {set_}")
    if words := files_words(profile):
        lines.append(words)
    if profile.probation is not None:
        left_s = max(0, profile.probation.until_ms - status.at_ms) / 1000
        lines.append(f"on probation, {_span(left_s)} left · falls back to gen {profile.probation.falls_back_to}")
    return lines


def cold_ms(anchor: Anchor, now_ms: int) -> int:
    """Return how long `anchor` has to warm yet, 0 where it is warm; without a price, as if its first came now."""
    return max(0, (anchor.warm_ms() or now_ms + anchor.warm_buckets * anchor.width_ms) - now_ms)


def warming(symbols: Iterable[SymbolState], now_ms: int) -> Warming | None:
    """Return which of `symbols` may not be bought at `now_ms` since their price windows are cold; None where all may.

    A window that is warm with its first price is not counted.
    """
    left = [left_ms for symbol in symbols if (left_ms := cold_ms(symbol.anchor, now_ms))]
    return Warming(len(left), max(left)) if left else None


def rearming(desk: Desk, symbol: SymbolState, now_ms: int) -> bool:
    """Return whether the price window is cold at `now_ms` since a stop loss made its anchor form anew."""
    closed, anchor = desk.state.closed.get(symbol.symbol), symbol.anchor
    if closed is None or closed.reason != "stop_loss" or not desk.profile.drop.rearm:
        return False
    begun = anchor.first < 0 or anchor.first >= closed.at_ms // anchor.width_ms
    at_the_latest_ms = closed.at_ms + (anchor.warm_buckets + 1) * anchor.width_ms  # later it is for want of prices
    return begun and now_ms < at_the_latest_ms and cold_ms(anchor, now_ms) > 0


class Profiles(Protocol):
    """Knows which version of the profile is in force."""

    def view(self) -> ProfileView:
        """Return it, and what is about it."""
        ...


class StatusChore:
    """Takes the status between two cycles, once every longest idle wait, for a view in another thread."""

    name = "status"

    def __init__(self, run: Run, profiles: Profiles) -> None:
        self._run = run
        self._profiles = profiles
        self._begun_ms = run.clock.now_ms()
        self.next_due_ms = 0
        self.latest: Status | None = None

    def run(self, now_ms: int) -> Event | None:
        """Take it."""
        run, state, book, desk = self._run, self._run.engine.state, self._run.book, self._run.engine.desk
        profile, symbols = run.loaded.profile, run.engine.symbols
        failed = journal_failed(run.opened.journal)
        again = [one for one in symbols.values() if rearming(desk, one, now_ms)]
        self.next_due_ms = now_ms + round(profile.engine.loop_sleep_s * 1000)
        newest = max((symbol.seen_ms for symbol in symbols.values()), default=-1)
        positions = state.ledger.positions
        self.latest = Status(
            profile=run.loaded.name,
            money=money_of(profile),
            synthetic=run.feed.synthetic,
            quote=profile.market.quote,
            up_s=(now_ms - self._begun_ms) / 1000,
            trading=state.trading,
            positions=tuple(positions),
            intents=len(state.intents),
            orders=len(state.orders),
            fills=book.fills,
            trades=book.trades,
            pnl=book.pnl,
            cash=state.ledger.cash,
            age_s=(now_ms - newest) / 1000 if newest >= 0 else None,
            errors=sum(run.telling.errors.of("ERROR").values()),
            held=sum(
                (one.amount * exact(symbols[name].bid) for name, one in positions.items() if name in symbols), ZERO
            ),
            watched=len(symbols),
            warming=warming((one for one in symbols.values() if one not in again), now_ms),
            rearming=warming(again, now_ms),
            buying=profile.features.buying,
            exits=profile.features.exits,
            in_force=self._profiles.view(),
            at_ms=now_ms,
            paused=state.paused,
            flattening=state.flattening,
            buying_held=buying_held(desk, failed),
            fences=(
                *([journal_words(failed, now_ms, book.journal_failed_ms)] if failed else []),
                *([damaged_words(book.journal_damaged)] if book.journal_damaged else []),
                *fence_lines(state.fences, symbols, now_ms),
                *drift_lines(run.engine),
            ),
        )
        return None


def money(amount: Decimal) -> str:
    """Return an amount of quote as people read it: two decimals, thousands parted."""
    return f"{amount:,.2f}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{rest:02d}"
