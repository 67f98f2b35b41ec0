"""Is the state after a restart the state before it, whether it comes from a checkpoint or from the journal alone?"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.hand import INSTRUMENTS, A, B, C, D, Hand, merged, names
from tests.engine.paper import PaperBot
from tests.engine.test_whole_machine import BASE
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import QueryBalances
from tradebot.domain.errors import StorageFailed
from tradebot.engine.engine import Engine
from tradebot.engine.state import EngineState
from tradebot.storage.checkpoint import assemble

_encoder = msgspec.json.Encoder(decimal_format="string")


def picture(engine: Engine) -> dict[str, Any]:
    """Return the whole state as a checkpoint would keep it, but for what a restart closes on purpose."""
    kept: dict[str, Any] = json.loads(_encoder.encode(engine.state))
    assert kept.pop("trading") in (True, False)
    return kept


def test_a_start_whose_balances_were_not_told_asks_again_soon_and_then_less_often() -> None:
    hand = Hand({"execution": {"query_interval_ms": 2_000}, "budget": {"refresh_interval_s": 30}})
    hand.feed(e.ProfileApplied(1, hand.profile, hand.now))
    hand.feed(e.RunStarted("r1", hand.now))
    asked = []
    for wait_ms in (2_000, 4_000, 8_000, 16_000, 30_000, 30_000):
        before = len(hand.asked(QueryBalances))
        hand.feed(e.BalancesUnavailable("HTTP 500", hand.now))
        hand.wait(wait_ms - 1)
        asked.append(len(hand.asked(QueryBalances)) - before)
        hand.wait(1)
        asked.append(len(hand.asked(QueryBalances)) - before)
    assert asked == [0, 1] * 6
    hand.balance(10_000)
    assert hand.engine.state.trading
    before = len(hand.asked(QueryBalances))
    hand.bought()
    hand.wait(30_000)
    hand.feed(e.BalancesUnavailable("HTTP 500", hand.now))
    hand.wait(29_999)
    assert len(hand.asked(QueryBalances)) == before + 1, "once it is told, the interval is the profile's"


def restored(bot: PaperBot, checkpoint: Mapping[str, Any] | None) -> Engine:
    """Return a new engine with the state taken back."""
    engine = Engine(bot.profile, INSTRUMENTS)
    engine.restore(checkpoint, bot.journal.read(checkpoint["seq"] if checkpoint else 0))
    return engine


def ran(seed: int, checkpoint_at: int) -> PaperBot:
    """Return a bot after a random run, with a checkpoint taken on the way."""
    draw = random.Random(seed)
    bot = PaperBot(merged(BASE, {"venue": {"paper": {"entry_latency_ms": draw.choice([0, 40, 900])}}}))
    prices = {A: 100.0, B: 20.0, C: 3.0}
    for at in range(150):
        symbol = draw.choice([A, B, C])
        prices[symbol] = max(1.0, round(prices[symbol] * draw.choice([0.97, 0.989, 1.0, 1.0, 1.005, 1.03]), 2))
        bot.wait(draw.choice([0, 30, 100, 1_000, 5_000]))
        bot.quote(symbol, prices[symbol], size=draw.choice([0.5, 3.0, 1e6]))
        if draw.random() < 0.02:
            bot.crash(draw.randrange(5), draw.choice([0, 5_000]))
        if at == checkpoint_at:
            bot.keep()
    return bot


@settings(max_examples=40)
@example(66626438, 0)  # a deadline that had passed while the bot was away
@given(st.integers(0, 2**32), st.integers(0, 149))
def test_the_same_state_comes_back_from_a_checkpoint_and_from_the_journal_alone(seed: int, checkpoint_at: int) -> None:
    bot = ran(seed, checkpoint_at)
    wanted = picture(bot.engine)
    assert picture(restored(bot, None)) == wanted
    if bot.checkpoint is not None:
        assert picture(restored(bot, bot.checkpoint)) == wanted


def test_the_runs_of_this_test_trade() -> None:
    bots = [ran(seed, 75) for seed in range(5)]
    assert all(len(bot.engine.state.ended) > 5 for bot in bots)
    assert any(bot.engine.state.orders for bot in bots), "some of them end with an order under way"
    assert any(bot.engine.state.ledger.positions for bot in bots)


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_windows_cooldowns_and_trailing_stops_come_back_with_a_checkpoint(seed: int) -> None:
    bot = ran(seed, 149)
    engine = restored(bot, bot.checkpoint)
    assert bot.checkpoint is not None
    assert len(bot.checkpoint["windows"]) == 3
    for name, symbol in bot.engine.symbols.items():
        again = engine.symbols[name]
        assert again.anchor.dump() == symbol.anchor.dump()
        assert again.trail_high == symbol.trail_high
        assert max(0, again.last_buy_ms) == max(0, symbol.last_buy_ms)
        assert (again.stop, again.target, again.hold_ms) == (symbol.stop, symbol.target, symbol.hold_ms)
        assert again.seen_ms == -1, "an old price is no price"


def test_a_checkpoint_is_one_json_object_that_scripts_can_read() -> None:
    hand = Hand().start()
    order = hand.drop()
    windows = [(name, hand.engine.window_picture(name)) for name in hand.engine.symbols]
    document = json.loads(assemble(hand.engine.core_picture(), windows))
    assert [intent["symbol"] for intent in document["pending_buy_intents"]] == [A]
    assert [one["client_id"] for one in document["open_orders"]] == [order.client_id]
    assert document["seq"] == hand.journal.last_seq
    assert document["schema"] == 1


def test_an_order_under_way_is_asked_for_before_anything_trades() -> None:
    hand = Hand().start()
    order = hand.drop()
    again = Hand(journal=hand.journal, now_ms=hand.now + 60_000)
    again.engine.restore(None, hand.journal.read(0))
    again.feed(e.ProfileApplied(1, again.profile, again.now))
    again.feed(e.RunStarted("r2", again.now))
    again.balance(10_000)
    again.quote(B, 100.0)
    again.quote(B, 98.0)
    assert "RecoveryCompleted" not in names(again.quote(B, 98.0))
    assert [command for command in again.wire.asked if getattr(command, "client_id", "") == order.client_id]
    fill = again.a_fill(order, "0.4", trade="t-before")
    assert "RecoveryCompleted" in names(again.reported(order, "canceled", [fill]))
    assert str(again.held(A)) == "0.4"
    assert not again.engine.state.intents, "what was under way before is not escalated after"
    again.quote(B, 98.0)
    assert again.buys()[0].symbol == B


def test_what_happened_after_the_checkpoint_is_followed_by_its_windows() -> None:
    """A stop after the window was copied lets the anchor form anew; a buy after it begins the debounce."""
    hand = Hand({"drop": {"debounce_s": 600}, "budget": {"max_per_symbol_quote": 150}}).start()
    hand.quote(A, 100.0)
    windows = [(name, hand.engine.window_picture(name)) for name in hand.engine.symbols]
    checkpoint = json.loads(assemble(hand.engine.core_picture(), windows))
    hand.wait(1_000)
    hand.bought(A)
    bought_ms = hand.now
    hand.wait(1_000)
    hand.quote(A, 90.0)
    hand.fill(hand.order())
    hand.closed(hand.order(), "filled")
    again = Hand({"drop": {"debounce_s": 600}})
    again.engine.restore(checkpoint, hand.journal.read(checkpoint["seq"]))
    symbol = again.engine.symbols[A]
    assert symbol.anchor.value(hand.now) == 0.0
    assert symbol.last_buy_ms == bought_ms
    assert symbol.rest_ms == bought_ms + 600_000


def test_a_buy_between_two_orders_ends_at_a_restart() -> None:
    """The first order's end was durable, the next order's plan was not."""
    hand = Hand().start()
    hand.closed(hand.drop(), "expired")
    rows = list(hand.journal.read(0))
    end = next(seq for seq, _, fact in rows if isinstance(fact, f.OrderDone))
    again = Hand(now_ms=hand.now + 60_000)
    for _, at_ms, fact in rows[:end]:
        again.journal.append([fact], at_ms)
    again.engine.restore(None, again.journal.read(0))
    assert again.reserved == D("100.2")
    again.start(run="r2")
    assert again.told(f.IntentEnded)[0].reason == "restart"
    assert again.reserved == 0


@pytest.mark.parametrize("missing", [2, 5])
def test_a_journal_with_a_hole_is_not_guessed_at(missing: int) -> None:
    hand = Hand().start()
    hand.bought(A)
    rows = [row for row in hand.journal.read(0) if row[0] != missing]
    with pytest.raises(StorageFailed, match=f"the journal lacks facts {missing} to {missing}"):
        Hand().engine.restore(None, rows)


def test_a_checkpoint_that_cannot_be_understood_is_not_guessed_at() -> None:
    hand = Hand().start()
    document = json.loads(assemble(hand.engine.core_picture(), []))
    del document["state"]["ledger"]
    with pytest.raises(StorageFailed, match="the checkpoint's state cannot be understood"):
        Hand().engine.restore(document, [])
    with pytest.raises(StorageFailed, match="the checkpoint's state cannot be understood"):
        Hand().engine.restore({"seq": 1, "windows": {}}, [])


def test_every_field_of_the_state_is_kept() -> None:
    """A field that the checkpoint forgets would come back as its default."""
    bot = ran(1, 149)
    assert bot.checkpoint is not None
    assert set(bot.checkpoint["state"]) == {each.name for each in msgspec.structs.fields(EngineState)}


@pytest.mark.parametrize("seed", [66626438])
def test_an_answer_that_comes_late_is_booked_at_one_time_in_journal_and_state(seed: int) -> None:
    bot = ran(seed, 0)
    assert picture(restored(bot, None)) == picture(bot.engine)
