"""Does the bot own what the venue says it owns, after any market, any answers and any number of crashes?"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.engine.hand import A, B, C, merged
from tests.engine.paper import PaperBot
from tradebot.domain import facts as f
from tradebot.domain.numbers import ZERO

SYMBOLS = st.sampled_from([A, B, C])
FACTORS = st.sampled_from([0.95, 0.985, 0.9895, 0.99, 0.999, 1.0, 1.0, 1.001, 1.011, 1.02, 1.06])
SPREADS = st.sampled_from([0.0, 2.0, 10.0, 40.0])
SIZES = st.sampled_from([0.3, 0.7, 1.1, 5.0, 1e6])
SPANS = st.sampled_from([0, 1, 30, 60, 100, 500, 1_000, 2_500, 6_000, 31_000])

BASE: dict[str, Any] = {
    "drop": {"anchor": {"window_s": 120, "window_buckets": 12}, "threshold_bps": 100},
    "budget": {"per_trade_quote": 100, "max_per_symbol_quote": 200, "refresh_interval_s": 5},
    "execution": {"max_spread_bps": 30},
    "exits": {"take_profit_bps": 80, "stop_loss_bps": 120, "max_hold_s": 90},
}

SETTINGS = st.fixed_dictionaries(
    {
        "drop": st.fixed_dictionaries(
            {
                "anchor": st.fixed_dictionaries({"kind": st.sampled_from(["rolling_high", "session_high", "ema"])}),
                "confirm_s": st.sampled_from([0, 2]),
                "rearm": st.booleans(),
            }
        ),
        "execution": st.fixed_dictionaries(
            {
                "steps": st.sampled_from(
                    [
                        [{"tif": "IOC"}, {"tif": "IOC", "offset_bps": 8}, {"tif": "GTC", "offset_bps": 2}],
                        [{"tif": "GTC", "offset_bps": -20}, {"tif": "FOK", "offset_bps": 5}],
                        [{"tif": "PO", "offset_bps": -10}, {"type": "market"}],
                    ]
                )
            }
        ),
        "exits": st.fixed_dictionaries(
            {
                "trailing": st.sampled_from(["off", {"activate_bps": 40, "distance_bps": 30}]),
                "steps": st.sampled_from(
                    [
                        [{"tif": "IOC"}, {"tif": "IOC", "offset_bps": 20}, {"type": "market"}],
                        [{"tif": "GTC", "offset_bps": -10}],
                    ]
                ),
            }
        ),
        "venue": st.fixed_dictionaries(
            {
                "paper": st.fixed_dictionaries(
                    {
                        "initial_quote": st.sampled_from([150, 330, 10_000]),
                        "fee_in": st.sampled_from(["received", "quote"]),
                        "entry_latency_ms": st.sampled_from([0, 40, 900]),
                        "response_latency_ms": st.sampled_from([0, 20, 2_500]),
                        "jitter_ms": st.sampled_from([0, 20]),
                        "participation": st.sampled_from([0.5, 1.0]),
                    }
                )
            }
        ),
    }
)


class WholeMachine(RuleBasedStateMachine):
    """Prices move, time passes, requests cross, and now and then everything stops and begins again."""

    @initialize(chosen=SETTINGS)
    def begin(self, chosen: dict[str, Any]) -> None:
        self.chosen = merged(BASE, chosen)
        self.bot = PaperBot(self.chosen)
        self.prices = {A: 100.0, B: 20.0, C: 3.0}
        self.bot.wait(5_000)
        for symbol in self.prices:
            self.show(symbol, 1.0, 0.0, 1e6)

    def show(self, symbol: str, factor: float, spread_bps: float, size: float) -> None:
        price = self.prices[symbol] = min(1_000.0, max(1.0, round(self.prices[symbol] * factor, 2)))
        self.bot.quote(symbol, price, round(price * (1 + spread_bps / 10_000), 2), size)

    @rule(symbol=SYMBOLS, factor=FACTORS, spread=SPREADS, size=SIZES, span=SPANS)
    def price(self, symbol: str, factor: float, spread: float, size: float, span: int) -> None:
        self.bot.wait(span)
        self.show(symbol, factor, spread, size)

    @rule(symbol=SYMBOLS)
    def dip(self, symbol: str) -> None:
        """A high and a drop that is bought where nothing forbids it, and prices for its orders to meet."""
        for factor in (1.01, 0.98, 1.0, 1.0):
            self.bot.wait(100)
            self.show(symbol, factor, 0.0, 3.0)

    @rule(span=SPANS)
    def time(self, span: int) -> None:
        self.bot.wait(span)

    @rule()
    def checkpoint(self) -> None:
        self.bot.keep()

    @precondition(lambda self: self.bot.journal.last_seq > 5)
    @rule(lost=st.integers(0, 12), away=st.sampled_from([0, 50, 3_000, 600_000]), fresh=st.booleans())
    def crash(self, lost: int, away: int, fresh: bool) -> None:
        if fresh:
            self.bot.checkpoint = None
        self.bot.crash(lost, away)

    @invariant()
    def budget_is_never_promised_twice(self) -> None:
        state = self.bot.engine.state
        assert 0 <= state.outstanding() <= max(ZERO, state.ledger.cash)
        for intent in state.buying():
            assert intent.paid <= intent.quote_amount

    @invariant()
    def one_order_works_for_a_symbol_at_a_time(self) -> None:
        symbols = [order.symbol for order in self.bot.engine.state.orders.values()]
        assert len(symbols) == len(set(symbols))

    def teardown(self) -> None:
        if not hasattr(self, "bot"):
            return
        bot = self.bot
        bot.settle(self.prices)
        assert bot.owned() == bot.account()
        assert bot.engine.state.outstanding() == 0
        assert not [fact for fact in bot.told(f.OrderRejected) if "Duplicate" in fact.message]
        booked = [(fact.symbol, fact.trade_id) for fact in bot.told(f.OrderFilled)]
        assert sorted(booked) == sorted((fill.symbol, fill.trade_id) for fill in bot.venue.image().fills)
        assert not bot.told(f.StrayFillSeen)


TestWholeMachine = WholeMachine.TestCase
TestWholeMachine.settings = settings(max_examples=60, stateful_step_count=40)
