"""Do symbols come and leave while the bot trades, and does nothing that is held get lost by it?"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.engine.hand import INSTRUMENTS, A, B, C, D, Hand, make_profile, merged, names
from tests.engine.test_exits import exit_reason, sell, with_exits
from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.market import Instrument
from tradebot.storage.checkpoint import assemble

NEW = "AAB/USDT"
BY_NAME = {one.symbol: one for one in INSTRUMENTS} | {NEW: msgspec.structs.replace(INSTRUMENTS[0], symbol=NEW)}


def watch(hand: Hand, *symbols: str, settings: dict[str, Any] | None = None) -> list[f.Fact]:
    """Let a generation name these symbols, and hand their instruments over."""
    profile = make_profile(merged(settings or {}, {"market": {"symbols": list(symbols)}}))
    instruments = tuple(BY_NAME[symbol] for symbol in symbols)
    return hand.feed(e.ProfileApplied(2, profile, hand.now, instruments))


# -- coming -----------------------------------------------------------------------------------------


def test_a_new_symbol_takes_its_place_by_name_and_is_bought_once_its_window_is_warm() -> None:
    warm = {"drop": {"anchor": {"warmup_s": 60}}}
    hand = Hand(warm).start()
    assert hand.quote(NEW, 100.0) == [], "nobody watches it yet"
    facts = watch(hand, A, NEW, B, C, settings=warm)
    assert facts == [f.ProfileTaken(2), f.SymbolsChanged(added=(NEW,), generation=2)]
    assert list(hand.engine.symbols) == [A, NEW, B, C]
    hand.quote(NEW, 100.0)
    hand.wait(59_999)
    assert not hand.quote(NEW, 95.0)
    hand.wait(1)
    assert "IntentOpened" in names(hand.quote(NEW, 95.0))
    assert hand.last(PlaceOrder).symbol == NEW


def test_the_symbols_that_stay_keep_their_windows() -> None:
    hand = Hand().start()
    hand.quote(A, 100.0)
    watch(hand, A, NEW)
    assert "IntentOpened" in names(hand.quote(A, 99.0))


def test_filters_that_the_venue_has_changed_hold_from_the_next_order_on() -> None:
    hand = Hand().start()
    coarse = tuple(msgspec.structs.replace(one, amount_step=D(1)) for one in INSTRUMENTS)
    hand.feed(e.ProfileApplied(2, hand.profile, hand.now, coarse))
    assert hand.drop().amount == D(1)


# -- leaving ----------------------------------------------------------------------------------------


def test_a_symbol_of_which_nothing_is_held_is_gone_at_once() -> None:
    hand = Hand().start()
    facts = watch(hand, A, B)
    assert facts == [f.ProfileTaken(2), f.SymbolsChanged(removed=(C,), generation=2)]
    assert list(hand.engine.symbols) == [A, B]
    for price in (100.0, 90.0):
        assert hand.quote(C, price) == []
    hand.feed(e.TradeSeen(C, 90.0, 1.0, True, hand.now))
    assert hand.engine.window_picture(C) == b"{}"


def test_a_symbol_that_is_held_is_sold_by_its_exits_never_bought_and_then_gone() -> None:
    settings = merged(with_exits(stop_loss_bps=500), {"budget": {"max_per_symbol_quote": 1_000}})
    hand = Hand(settings).start()
    hand.bought(A)
    facts = watch(hand, B, C, settings=settings)
    assert facts[1:] == [f.SymbolsChanged(leaving=(A,), generation=2)]
    (blocked,) = hand.quote(A, 97.0)
    assert isinstance(blocked, f.BuyBlocked)
    assert blocked.gate == "market.symbols"
    assert exit_reason(hand.quote(A, 90.0)) == "stop_loss"
    facts = sell(hand)
    assert facts[-1] == f.SymbolsChanged(removed=(A,), generation=2)
    assert list(hand.engine.symbols) == [B, C]
    assert not hand.engine.desk.leaving
    assert hand.quote(A, 90.0) == []
    assert "IntentOpened" in [*names(hand.quote(B, 100.0)), *names(hand.quote(B, 98.0))], "the others trade on"


def test_a_buy_under_way_of_a_leaving_symbol_finishes_its_order_and_places_no_other() -> None:
    hand = Hand().start()
    order = hand.drop(A)
    watch(hand, B)
    facts = hand.closed(order, "expired")
    assert names(facts) == ["OrderDone", "IntentEnded", "SymbolsChanged"]
    assert hand.told(f.IntentEnded)[0].reason == "symbol leaving"
    assert A not in hand.engine.symbols
    assert len(hand.asked(PlaceOrder)) == 1


def test_an_edit_without_instruments_removes_nothing() -> None:
    hand = Hand().start()
    profile = make_profile({"market": {"symbols": [A]}})
    hand.feed(e.ProfileApplied(2, profile, hand.now))
    assert set(hand.engine.symbols) == {A, B, C}
    assert hand.engine.desk.leaving == {B, C}


def test_a_symbol_that_returns_before_it_was_sold_is_bought_again_by_its_old_window() -> None:
    settings = merged(with_exits(), {"budget": {"max_per_symbol_quote": 1_000}})
    hand = Hand(settings).start()
    hand.bought(A)
    watch(hand, B, settings=settings)
    assert names(watch(hand, A, B, settings=settings)) == ["ProfileTaken"]
    assert "IntentOpened" in names(hand.quote(A, 97.0))


def test_a_symbol_that_went_and_came_back_still_waits_between_two_buys() -> None:
    settings = {"drop": {"debounce_s": 60}}
    hand = Hand(settings).start()
    while not hand.told(f.IntentEnded):
        if not hand.buys():
            hand.drop(A)
        hand.closed(hand.order(), "expired")
    watch(hand, B, settings=settings)
    watch(hand, A, B, settings=settings)
    hand.quote(A, 100.0)
    assert not hand.quote(A, 95.0)
    hand.wait(60_000)
    assert "IntentOpened" in names(hand.quote(A, 95.0))


def test_a_fill_that_comes_after_its_symbol_has_gone_is_booked_and_brings_it_back_to_be_sold() -> None:
    settings = with_exits(stop_loss_bps=500)
    hand = Hand(settings).start()
    order = hand.drop(A)
    watch(hand, B, settings=settings)
    hand.closed(order, "expired")
    assert A not in hand.engine.symbols
    facts = hand.fill(order, "0.5")
    assert facts[-1] == f.SymbolsChanged(leaving=(A,), generation=2)
    assert hand.held(A) == D("0.5")
    assert exit_reason(hand.quote(A, 90.0)) == "stop_loss"
    sell(hand)
    assert A not in hand.engine.symbols


def test_no_deadline_of_a_symbol_that_is_gone_does_anything() -> None:
    settings = with_exits(max_hold_s=60, stop_loss_bps=500)
    hand = Hand(settings).start()
    hand.bought(A)
    watch(hand, B, settings=settings)
    hand.quote(A, 90.0)
    sell(hand)
    assert {type(fact) for fact in hand.wait(3_600_000)} == {f.BalanceRefreshFailed}


def test_a_common_gate_holds_back_no_symbol_that_is_gone() -> None:
    hand = Hand().start(quote=50)
    for symbol in (A, B, C):
        hand.quote(symbol, 100.0)
        hand.quote(symbol, 98.0)
    assert len(hand.engine.desk.blocked) == 3
    watch(hand, B)
    hand.quote(B, 98.0)
    assert [symbol.symbol for symbol in hand.engine.desk.blocked] == [B]
    hand.feed(e.BalancesReported({}, hand.now))


def test_a_symbol_that_was_held_back_when_its_last_position_ended_is_held_back_no_more() -> None:
    settings = merged(with_exits(stop_loss_bps=500), {"budget": {"max_per_symbol_quote": 1_000}})
    hand = Hand(settings).start()
    hand.bought(A)
    hand.feed(e.PauseAsked("ana", hand.now))
    watch(hand, B, settings=settings)
    hand.quote(A, 97.0)
    assert [symbol.symbol for symbol in hand.engine.desk.blocked] == [A]
    hand.quote(A, 90.0)
    sell(hand)
    assert not hand.engine.desk.blocked
    assert A not in hand.engine.symbols


# -- over a restart ---------------------------------------------------------------------------------


def restarted(hand: Hand, settings: dict[str, Any], instruments: tuple[Instrument, ...]) -> Hand:
    """Return a new machine that takes checkpoint and journal back."""
    windows = [(name, hand.engine.window_picture(name)) for name in (A, B, C)]
    kept = json.loads(assemble(hand.engine.core_picture(), windows))
    again = Hand(settings, instruments=instruments, journal=hand.journal, now_ms=hand.now)
    again.engine.restore(kept, hand.journal.read(kept["seq"]))
    return again.start(quote=hand.engine.state.ledger.cash, run="r2")


def test_a_leaving_symbol_is_still_leaving_after_a_restart() -> None:
    settings = merged(with_exits(stop_loss_bps=500), {"budget": {"max_per_symbol_quote": 1_000}})
    hand = Hand(settings).start()
    hand.bought(A)
    watch(hand, B, settings=settings)
    named = merged(settings, {"market": {"symbols": [B]}})
    again = restarted(hand, named, (BY_NAME[A], BY_NAME[B]))
    assert again.engine.desk.leaving == {A}
    assert [fact.gate for fact in again.quote(A, 97.0) if isinstance(fact, f.BuyBlocked)] == ["market.symbols"]
    assert exit_reason(again.quote(A, 90.0)) == "stop_loss"
    sell(again)
    assert list(again.engine.symbols) == [B]


def test_the_picture_of_a_symbol_that_was_gone_is_no_window() -> None:
    hand = Hand().start()
    hand.quote(A, 100.0)
    hand.quote(C, 100.0)
    watch(hand, A)
    again = restarted(hand, {}, INSTRUMENTS)
    assert again.engine.symbols[A].anchor.value(again.now) == 100.0
    assert again.engine.symbols[C].anchor.value(again.now) == 0.0
