"""In which little story does each setting of the engine show? Asked by the test of the settings' classes.

A story is told to a machine that has just begun to trade; under the old value it ends otherwise than under the new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from tests.engine.hand import A, B, C, Hand, merged
from tradebot.domain import events as e
from tradebot.domain.orders import Order

HOUR_MS = 3_600_000
OFF = {"take_profit_bps": "off", "stop_loss_bps": "off", "max_hold_s": "off"}
KEEP: dict[str, Any] = {"exits": OFF}
ONCE: dict[str, Any] = {"exits": OFF, "budget": {"max_per_symbol_quote": 100}}
SLOW: dict[str, Any] = {"execution": {"wait_ms": {"IOC": HOUR_MS, "GTC": HOUR_MS, "other": HOUR_MS}}}


class Case(Struct, frozen=True):
    """A setting's old and new value, the settings around it, and the story in which they differ."""

    key: str
    old: Any
    new: Any
    story: Callable[[Hand], object]
    around: dict[str, Any] = field(default_factory=dict)

    def settings(self, value: Any) -> dict[str, Any]:
        """Return the settings with a value in its place; an array's key `[]` stands for its only element."""
        tree: Any = value
        for name in reversed(self.key.split(".")):
            bare = name.removesuffix("[]")
            tree = {bare: [tree] if bare != name else tree}
        if "<symbol>" in self.key:
            tree = {"drop": {"symbol": {A: {"threshold_bps": value}}}}
        return merged(self.around, tree)


def drop(hand: Hand, symbol: str = A, to: float = 99.0) -> None:
    """A high, and a drop of 1 %."""
    hand.quote(symbol, 100.0)
    hand.quote(symbol, to)


def two_drops(hand: Hand) -> None:
    """Two symbols drop."""
    drop(hand, A)
    drop(hand, B)


def old_price(hand: Hand) -> None:
    """A drop, told ten seconds late."""
    hand.quote(A, 100.0)
    hand.feed(e.QuoteSeen(A, 99.0, 99.0, 1e6, 1e6, hand.now - 10_000))


def later(span_ms: int) -> Callable[[Hand], None]:
    """A drop so long after its high."""

    def story(hand: Hand) -> None:
        hand.quote(A, 100.0)
        hand.wait(span_ms)
        hand.quote(A, 99.0)

    return story


def end(hand: Hand, order: Order) -> None:
    """An order is filled whole."""
    hand.fill(order)
    hand.closed(order, "filled")


def unfilled(hand: Hand) -> None:
    """Every order under way expires unfilled, and whatever follows, for as long as something does."""
    while hand.engine.state.orders:
        hand.closed(hand.order(), "expired")


def tried_twice(hand: Hand) -> None:
    """A drop whose buy gets nothing, and the same drop again."""
    drop(hand)
    unfilled(hand)
    hand.wait(1_000)
    drop(hand)


def round_trip(bid: float, again: float) -> Callable[[Hand], None]:
    """Bought, sold at a bid, and a price soon after."""

    def story(hand: Hand) -> None:
        hand.bought(A)
        hand.quote(A, bid)
        end(hand, hand.order())
        hand.wait(1_000)
        hand.quote(A, again)

    return story


def held(*bids: float) -> Callable[[Hand], None]:
    """Bought at 99, then these bids, a second apart."""

    def story(hand: Hand) -> None:
        hand.bought(A)
        for bid in bids:
            hand.wait(1_000)
            hand.quote(A, bid)

    return story


def bought_more(hand: Hand) -> None:
    """Bought, and a further drop."""
    hand.bought(A)
    hand.quote(A, 97.0)


def bought_and_waited(hand: Hand) -> None:
    """Bought, and a while in which the balance is asked for and nobody answers."""
    hand.bought(A)
    hand.wait(50_000)


def wide_spread(hand: Hand) -> None:
    """A drop in a spread of 10 bps."""
    hand.quote(A, 100.0)
    hand.quote(A, 98.9, 99.0)


def ladder(hand: Hand) -> None:
    """A drop for which every step is tried."""
    drop(hand)
    unfilled(hand)


def waited(span_ms: int) -> Callable[[Hand], None]:
    """A drop whose order rests for so long."""

    def story(hand: Hand) -> None:
        drop(hand)
        hand.ack(hand.order())
        hand.wait(span_ms)

    return story


def doubted(span_ms: int) -> Callable[[Hand], None]:
    """A drop whose order's outcome is not known for so long."""

    def story(hand: Hand) -> None:
        drop(hand)
        hand.unknown(hand.order())
        hand.wait(span_ms)

    return story


def hold(span_ms: int) -> Callable[[Hand], None]:
    """Bought, and held for so long."""

    def story(hand: Hand) -> None:
        hand.bought(A)
        hand.wait(span_ms)

    return story


def stopped(hand: Hand) -> None:
    """A stop for which every step is tried and tried again."""
    hand.bought(A)
    hand.quote(A, 90.0)
    unfilled(hand)
    hand.wait(5_000)


def silence(hand: Hand) -> None:
    """A health check after a minute without prices."""
    hand.wait(60_000)
    hand.feed(e.HealthChecked(hand.now))


def degraded(hand: Hand) -> None:
    """A drop while the venue answers badly."""
    hand.feed(e.VenueStateSeen("degraded", "HTTP 502", 0, hand.now))
    drop(hand)


def quote_withdrawn(hand: Hand) -> None:
    """Somebody takes quote out of the account."""
    for _ in range(2):
        hand.feed(e.BalancesWanted(hand.now))
        hand.balance(9_000)
        hand.wait(2_000)


def refuse(hand: Hand) -> None:
    """Every order under way is refused, and whatever follows, for as long as something does."""
    while hand.engine.state.orders:
        hand.refused(hand.order())


def refused_buys(apart_ms: int, pause_ms: int = 1_000) -> Callable[[Hand], None]:
    """Drops whose every order is refused, so far apart; and another drop after a pause."""

    def story(hand: Hand) -> None:
        for _ in range(2):
            drop(hand)
            refuse(hand)
            hand.wait(apart_ms)
        hand.wait(pause_ms)
        drop(hand)

    return story


def refused_exits(hand: Hand) -> None:
    """A stop whose every order is refused, for a minute."""
    hand.bought(A)
    hand.quote(A, 90.0)
    for _ in range(20):
        refuse(hand)
        hand.wait(3_000)


FEW: dict[str, Any] = {"fences": {"failures": 4}}
IOC, GTC, MARKET = {"tif": "IOC"}, {"tif": "GTC"}, {"type": "market"}
SESSION: dict[str, Any] = {"drop": {"anchor": {"kind": "session_high"}}}
STOP = merged(ONCE, {"exits": {"stop_loss_bps": 500}})
TRAIL = {"activate_bps": 100, "distance_bps": 50}
ONE_STEP: dict[str, Any] = {"execution": {"steps": [IOC]}}


def trailing(**values: int) -> dict[str, Any]:
    """Return a trailing stop that differs so."""
    return TRAIL | values


CASES = (
    Case("market.symbols", [], [A], two_drops),
    Case("market.symbols", [A], [A, B, C], two_drops),
    Case("market.stale_after_s", HOUR_MS / 1000, 3, old_price),
    Case("drop.anchor.kind", "rolling_high", "ema", drop),
    Case("drop.anchor.kind", "rolling_high", "vwap", drop),
    Case("drop.anchor.window_s", 600, 60, later(120_000)),
    Case("drop.anchor.window_buckets", 60, 1, later(650_000)),
    Case("drop.anchor.warmup_s", 0, 60, drop),
    Case("drop.anchor.warmup_s", 0, "window", later(599_000)),
    Case("drop.anchor.session_start_s", 0, 3_600, later(2 * HOUR_MS), SESSION),
    Case("drop.threshold_bps", 100, 200, drop),
    Case("drop.symbol.<symbol>.threshold_bps", 100, 200, drop),
    Case("drop.confirm_s", 0, 10, drop),
    Case("drop.debounce_s", 0, 60, tried_twice),
    Case("drop.cooldown_s", 0, 60, round_trip(101.0, 97.0)),
    Case("drop.rearm", True, False, round_trip(93.0, 92.5)),
    Case("budget.per_trade_quote", 100, 50, drop),
    Case("budget.max_positions", 10, 1, two_drops),
    Case("budget.max_per_symbol_quote", 300, 100, bought_more, KEEP),
    Case("budget.max_exposure_quote", 1_000, 150, two_drops),
    Case("budget.keep_free_quote", 0, 9_950, drop),
    Case("budget.fee_reserve_bps", 20, 100, drop),
    Case("budget.refresh_interval_s", 30, 5, bought_and_waited, KEEP),
    Case("budget.refresh_timeout_s", 5, 2, bought_and_waited, KEEP),
    Case("execution.max_slippage_bps", 30, 8, drop),
    Case("execution.max_spread_bps", 20, 5, wide_spread),
    Case("execution.steps", [IOC], [IOC, GTC, MARKET], ladder),
    Case("execution.steps", [IOC, GTC, MARKET], [GTC], ladder),
    Case("execution.steps[].type", "limit", "market", ladder),
    Case("execution.steps[].tif", "IOC", "GTC", ladder),
    Case("execution.steps[].offset_bps", 0, 10, ladder),
    Case("execution.wait_ms.IOC", 2_000, 500, waited(1_000)),
    Case("execution.wait_ms.GTC", 30_000, 500, waited(1_000), {"execution": {"steps": [GTC]}}),
    Case("execution.wait_ms.other", 5_000, 500, waited(1_000), {"execution": {"steps": [MARKET]}}),
    Case("execution.send_deadline_ms", 2_000, 500, drop),
    Case("execution.cancel_wait_ms", 5_000, 500, waited(3_000)),
    Case("execution.query_interval_ms", 2_000, 500, doubted(1_000), SLOW),
    Case("execution.query_max_interval_ms", 60_000, 3_000, doubted(100_000), SLOW),
    Case("intents.max_age_s", 120, 20, waited(31_000), SLOW),
    Case("intents.check_interval_s", 30, 7, waited(31_000), merged(SLOW, {"intents": {"max_age_s": 5}})),
    Case("exits.take_profit_bps", "off", 50, held(100.0), ONCE),
    Case("exits.stop_loss_bps", "off", 200, held(96.0), ONCE),
    Case("exits.trailing", "off", TRAIL, held(101.0, 100.0), ONCE),
    Case("exits.trailing.activate_bps", 150, 100, held(100.2, 99.5), merged(ONCE, {"exits": {"trailing": TRAIL}})),
    Case("exits.trailing.distance_bps", 90, 20, held(101.0, 100.5), merged(ONCE, {"exits": {"trailing": TRAIL}})),
    Case("exits.max_hold_s", "off", 60, hold(70_000), ONCE),
    Case("exits.check_interval_s", 60, 1, stopped, STOP),
    Case("exits.steps", [IOC], [IOC, MARKET], stopped, STOP),
    Case("exits.steps[].type", "limit", "market", stopped, STOP),
    Case("exits.steps[].tif", "IOC", "GTC", stopped, STOP),
    Case("exits.steps[].offset_bps", 0, 25, stopped, STOP),
    Case("fences.buy_when_degraded", False, True, degraded),
    Case("fences.failures", 3, 6, refused_buys(0)),
    Case("fences.failures_window_s", 300, 10, refused_buys(20_000), FEW),
    Case("fences.rearm_s", 900, 60, refused_buys(0, 70_000), FEW),
    Case("fences.exit_pause_max_s", 60, 5, refused_exits, merged(STOP, FEW)),
    Case("fences.compare_quote", True, False, quote_withdrawn),
    Case("features.buying", True, False, drop),
    Case("features.exits", True, False, held(90.0), STOP),
    Case("features.stale_warnings", True, False, silence, {"market": {"stale_after_s": 3}}),
)
"""One story a setting at least; both ways where a table is added or a list grows and shrinks."""

FIXED = frozenset(
    {
        "bot.instance",
        "market.quote",
        "market.decide_on",
        "engine.band",
    }
)
"""Read by the engine, and only at a start: they are of the class `restart`."""

ELSEWHERE = frozenset(
    {
        "bot.seed",
        "bot.state_dir",
        "fences.compare_interval_s",
        "market.health_check_interval_s",
        "engine.loop_sleep_s",
        "engine.error_backoff_s",
        "engine.max_consecutive_errors",
        "engine.slow_cycle_s",
        "engine.queue_limit",
        "engine.heartbeat_interval_s",
        "engine.heartbeat_timeout_s",
        "engine.max_component_failures",
        "features.metrics",
        "features.state_persistence",
        "features.split_logging",
        "features.cycle_time_logging",
        "features.watcher",
        "features.control_door",
        "features.probation",
    }
)
"""Settings in the engine's tables that other parts own."""

OTHER_TABLES = frozenset(
    {
        "feed",
        "venue",
        "exchange",
        "start",
        "reload",
        "control",
        "state",
        "journal",
        "shutdown",
        "sessions",
        "logging",
        "metrics",
    }
)
"""Tables of which the engine reads nothing."""
