"""Is what a plan says of a new generation exactly what happens when it is applied?"""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.hand import INSTRUMENTS, A, B, C, D, Hand, make_profile, merged
from tests.engine.paper import PaperBot
from tests.engine.test_exits import with_exits
from tests.engine.test_whole_machine import BASE
from tradebot.config.profile import Profile
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.market import Instrument
from tradebot.domain.orders import Side
from tradebot.engine.engine import Engine
from tradebot.engine.plan import Plan

E_SYMBOL = Instrument("EEE/USDT", "EEE", "USDT", tick_size=D("0.01"), amount_step=D("0.001"), min_notional=D(5))


def applied(hand: Hand, changes: dict[str, Any], base: dict[str, Any] | None = None) -> Plan:
    """Return the plan of an edit, and apply it as generation 2."""
    profile = make_profile(merged(base or {}, changes))
    plan = hand.engine.plan(profile, now_ms=hand.now)
    hand.feed(e.ProfileApplied(2, profile, hand.now))
    return plan


# -- what is said -----------------------------------------------------------------------------------


def test_a_stop_that_is_tightened_says_which_position_would_exit_now_and_which_only_moves() -> None:
    base = with_exits(stop_loss_bps=900)
    hand = Hand(base).start()
    hand.bought(A, 99.0)
    hand.bought(B, 99.0)
    hand.quote(A, 95.4)
    plan = applied(hand, {"exits": {"stop_loss_bps": 350}}, base)
    assert plan.lines() == [
        "AAA/USDT would exit now at 95.40 (−3.6 %), stop_loss",
        "BBB/USDT: stop 90.09 → 95.53",
    ]
    assert plan.exiting == (A,)


def test_an_open_order_says_how_long_it_stays() -> None:
    hand = Hand({"execution": {"steps": [{"tif": "GTC", "offset_bps": 2}]}}).start()
    order = hand.drop()
    hand.wait(3_000)
    plan = applied(hand, {"execution": {"wait_ms": {"GTC": 500}}})
    client_id = order.client_id
    assert plan.lines()[-1] == (
        f"{client_id} buy AAA/USDT GTC: kept as placed in generation 1, cancelled 27 s from now if not filled"
    )
    assert not hand.wait(26_999)
    assert {type(fact) for fact in hand.wait(1)} == {f.OrderWaitEnded, f.CancelAsked}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"execution": {"steps": [{}]}}, "AAA/USDT buy under way: no further step after this order (ladder ends)"),
        ({"execution": {"steps": [{}, {}]}}, "AAA/USDT buy under way: 2 → 1 further steps"),
        (
            {"execution": {"steps": [{}, {"type": "market"}, {"type": "market"}]}},
            "AAA/USDT buy under way: goes on with the new steps",
        ),
        (
            {"features": {"buying": False}},
            "AAA/USDT buy under way: no further step after this order (buying off)",
        ),
    ],
)
def test_a_buy_under_way_says_how_its_ladder_goes_on(changes: dict[str, Any], line: str) -> None:
    hand = Hand().start()
    hand.drop()
    assert applied(hand, changes).lines()[0] == line


def test_many_alike_are_counted() -> None:
    many = [msgspec.structs.replace(INSTRUMENTS[0], symbol=f"S{n:02}/USDT", base=f"S{n:02}") for n in range(9)]
    base = merged(with_exits(stop_loss_bps=900), {"drop": {"threshold_bps": 100}})
    hand = Hand(base, instruments=many).start()
    for one in many:
        hand.bought(one.symbol)
    assert applied(hand, {"exits": {"stop_loss_bps": 400}}, base).lines() == ["9 positions get other exit levels"]
    for one in many:
        hand.quote(one.symbol, 96.0)
    plan = applied(hand, {"exits": {"stop_loss_bps": 200}}, base)
    assert plan.lines() == ["9 positions would exit now"]
    assert len(plan.exiting) == 9


def test_symbols_and_anchors_say_what_becomes_of_them() -> None:
    hand = Hand(with_exits()).start()
    hand.bought(B)
    profile = make_profile(merged(with_exits(), {"drop": {"anchor": {"window_s": 14_400, "warmup_s": "window"}}}))
    plan = hand.engine.plan(profile, [INSTRUMENTS[0], E_SYMBOL])
    assert plan.lines() == [
        "EEE/USDT: watched from here on, not bought for 4 h",
        "BBB/USDT: not bought any more, watched until nothing is held",
        "CCC/USDT: not watched any more",
        "AAA/USDT: the anchor forms anew, not bought for 4 h",
    ]


def test_an_edit_that_touches_nothing_says_nothing() -> None:
    hand = Hand().start()
    hand.bought(A)
    plan = applied(hand, {"drop": {"threshold_bps": 300}})
    assert plan.lines() == []


def test_a_time_stop_says_when_it_comes() -> None:
    base = with_exits(max_hold_s=7_200)
    hand = Hand(base).start()
    hand.bought(A)
    hand.wait(3_600_000)
    assert applied(hand, {"exits": {"max_hold_s": 5_400}}, base).lines() == ["AAA/USDT: time stop in 1 h → in 30 min"]
    assert applied(hand, {"exits": {"max_hold_s": 60}}, base).lines() == [
        "AAA/USDT would exit now at 99.00 (+0.0 %), time_stop"
    ]


def test_while_all_is_sold_off_no_exit_rule_matters() -> None:
    hand = Hand(with_exits()).start()
    hand.bought(A)
    hand.feed(e.FlattenAsked("ana", hand.now))
    assert applied(hand, {"exits": {"stop_loss_bps": 1}}).positions == ()


# -- what is said is true ---------------------------------------------------------------------------


def ran(draw: random.Random) -> PaperBot:
    """Return a bot in the middle of something: positions, orders and exits under way."""
    latency = draw.choice([0, 900, 4_000])
    bot = PaperBot(merged(BASE, {"venue": {"paper": {"entry_latency_ms": latency, "response_latency_ms": latency}}}))
    prices = {A: 100.0, B: 20.0, C: 3.0}
    for _ in range(draw.randrange(20, 120)):
        symbol = draw.choice([A, B, C])
        prices[symbol] = max(1.0, round(prices[symbol] * draw.choice([0.98, 0.989, 1.0, 1.0, 1.003, 1.02]), 2))
        bot.wait(draw.choice([0, 30, 1_000, 5_000]))
        bot.quote(symbol, prices[symbol], size=draw.choice([0.5, 3.0, 1e6]))
    if draw.random() < 0.1:
        bot.feed(e.PauseAsked("ana", bot.now))
    if draw.random() < 0.1:
        bot.feed(e.FlattenAsked("ana", bot.now))
    return bot


def edited(draw: random.Random) -> dict[str, Any]:
    """Return settings that an operator might have written."""
    pick = draw.choice
    step = st_steps(draw)
    return {
        "drop": {"anchor": {"window_s": pick([120, 120, 600]), "warmup_s": pick(["window", 0])}},
        "execution": {"steps": st_steps(draw), "wait_ms": {"GTC": pick([200, 60_000])}},
        "exits": {
            "take_profit_bps": pick(["off", 5, 80, 300]),
            "stop_loss_bps": pick(["off", 5, 120, 900]),
            "trailing": pick(["off", "off", {"activate_bps": 40, "distance_bps": 3}]),
            "max_hold_s": pick(["off", 5, 90, 3_600]),
            "check_interval_s": pick([1, 60]),
            "steps": step,
        },
        "features": {"buying": draw.random() > 0.2, "exits": draw.random() > 0.1},
        "market": {"symbols": pick([[], [A, B, C], [A, B], [C, "EEE/USDT"]])},
    }


def st_steps(draw: random.Random) -> list[dict[str, Any]]:
    """Return a ladder of up to four steps."""
    first: list[dict[str, Any]] = [{"tif": "IOC"}, {"tif": "FOK", "offset_bps": 2}, {"tif": "GTC", "offset_bps": 4}]
    return [*first[: draw.randrange(1, 4)], *([{"type": "market"}] if draw.random() < 0.5 else [])]


def check_swap(engine: Engine, plan: Plan, profile: Profile, instruments: Any, now: int) -> None:
    """Apply what was planned; fail where the swap itself does anything else."""
    orders = msgspec.json.encode(engine.state.orders)
    held = set(engine.state.ledger.positions)
    watched = set(engine.symbols)
    leaving = set(engine.desk.leaving)
    old = {name: engine.symbols[name].stop for name in held}
    _, commands = engine.process(e.ProfileApplied(9, profile, now, instruments), now)
    assert commands == []
    assert msgspec.json.encode(engine.state.orders) == orders
    assert set(engine.symbols) == (watched | set(plan.added)) - set(plan.removed)
    assert engine.desk.leaving == (leaving - set(plan.returning) - set(plan.removed)) | set(plan.leaving)
    for name in {*plan.anew, *plan.added}:
        anchor = engine.symbols[name].anchor
        assert anchor.first == -1
        assert anchor.warm_buckets * anchor.width_ms == plan.warm_ms
    for move in plan.positions:
        symbol = engine.symbols[move.symbol]
        assert (symbol.stop, symbol.target, symbol.trail_from, symbol.hold_ms) == msgspec.structs.astuple(move.new)
    if not engine.state.flattening:
        for name in held - {move.symbol for move in plan.positions}:
            assert engine.symbols[name].stop == old[name]
    for kept in plan.orders:
        order = engine.state.orders[kept.client_id]
        assert order.generation == kept.generation
        if kept.fate == "wait":
            assert max(0, order.sent_ms + order.wait_ms - now) == kept.left_ms


def exits_at_last_prices(engine: Engine, now: int) -> set[str]:
    """Show every last price again; return the symbols for which an exit began or a buy was ended for one."""
    begun = set()
    for name, symbol in list(engine.symbols.items()):
        if symbol.seen_ms < 0:
            continue
        facts, _ = engine.process(e.QuoteSeen(name, symbol.bid, symbol.ask, 1.0, 1.0, now), now)
        for fact in facts:
            opened = isinstance(fact, f.IntentOpened) and fact.side is Side.SELL
            ended = isinstance(fact, f.CancelAsked) and fact.reason == "exit"
            if opened or ended:
                begun.add(name)
    return begun


def check_ladders(engine: Engine, plan: Plan, before: dict[int, int], now: int) -> int:
    """End every order under way unfilled; fail where an intent goes on otherwise than planned."""
    planned = {one.intent_id: one.steps_after for one in plan.intents}
    seen = 0
    for intent in list(engine.state.intents.values()):
        order = engine.state.orders.get(intent.client_id)
        symbol = engine.symbols[intent.symbol]
        if order is None or symbol.seen_ms < 0 or order.reported > order.filled:
            continue
        ending = intent.ending
        facts, _ = engine.process(e.OrderClosed(order.client_id, "expired", order.filled, "", now), now)
        done = next((fact for fact in facts if isinstance(fact, f.IntentEnded)), None)
        goes_on = any(isinstance(fact, f.OrderPlanned | f.StepSkipped) for fact in facts)
        left = planned.get(intent.intent_id, before[intent.intent_id])
        if ending:
            assert not goes_on
        elif done is not None and (done.reason == "filled" or done.reason.startswith(("remainder", "filter"))):
            continue
        else:
            assert goes_on is (left > 0), (intent, left, facts)
        seen += 1
    return seen


def steps_left(engine: Engine) -> dict[int, int]:
    """Return how many further steps each intent has by the profile in force."""
    left = {}
    for intent in engine.state.intents.values():
        stopped = bool(engine.state.paused) or intent.symbol in engine.desk.leaving
        steps = len(engine.router.ladder.steps(intent)) - intent.step - 1
        left[intent.intent_id] = 0 if stopped and intent.side is Side.BUY else max(0, steps)
    return left


def truth(seed: int) -> dict[str, int]:
    """Plan and apply one random edit; return what it was about."""
    draw = random.Random(seed)
    bot = ran(draw)
    profile = make_profile(merged(merged(BASE, {"market": {"symbols": []}}), edited(draw)))
    named = profile.market.symbols
    listed = [one for one in (*INSTRUMENTS, E_SYMBOL) if one.symbol in named or (not named and one != E_SYMBOL)]
    instruments = tuple(listed) if draw.random() < 0.7 or "EEE/USDT" in named else None
    engine, now = bot.engine, bot.now
    before, state = steps_left(engine), msgspec.json.encode(engine.state)
    plan = engine.plan(profile, instruments, now)
    assert msgspec.json.encode(engine.state) == state, "planning changes nothing"
    flattening = engine.state.flattening
    check_swap(engine, plan, profile, instruments, now)
    about = {"exits": len(plan.exiting), "moves": len(plan.positions), "orders": len(plan.orders)}
    if draw.random() < 0.5:
        begun = exits_at_last_prices(engine, now)
        assert flattening or begun == set(plan.exiting)
    else:
        about["intents"] = check_ladders(engine, plan, before, now)
    assert all(plan.lines())
    return about


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_exactly_what_was_planned_happens(seed: int) -> None:
    truth(seed)


def test_the_edits_of_this_test_are_about_something() -> None:
    abouts = [truth(seed) for seed in range(60)]
    for what, least in (("exits", 10), ("moves", 20), ("orders", 10), ("intents", 5)):
        assert sum(about.get(what, 0) for about in abouts) >= least, what
