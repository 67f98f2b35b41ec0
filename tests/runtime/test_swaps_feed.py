"""Does the bot come from one feed to another without doubling an event, and does what is held keep its price?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.runtime.feeds import CALMER, FOUR, Rig, Told, in_turn
from tests.runtime.profiles import applied, profile, taken_back
from tradebot.config.profile import Profile
from tradebot.domain.commands import PlaceOrder
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import OrderRefused
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.ports import Clock, Feed
from tradebot.runtime.feeding import prepare
from tradebot.runtime.places import make_feed
from tradebot.runtime.swapping import CannotBuild


def run(main: Callable[[], Any]) -> None:
    asyncio.run(main())


# -- the gate -------------------------------------------------------------------------------------------


def test_before_the_swap_only_the_old_feed_is_heard_and_after_it_only_the_new_one() -> None:
    async def main() -> None:
        old, new = Told(), Told()
        rig = Rig(in_turn(old, new))
        await rig.swap.start()
        old.say(1.0)
        new.say(101.0)
        staged = await rig.swap.stage(FOUR, CALMER)
        old.say(2.0)
        new.say(102.0)
        await old.idle()
        await new.idle()
        staged.commit()
        old.say(3.0)
        new.say(103.0)
        await old.idle()
        await new.idle()
        await staged.retire()
        new.say(104.0)
        await rig.ear.until(lambda: 104.0 in rig.bids())
        assert rig.bids() == [1.0, 2.0, 103.0, 104.0]
        assert [task.get_name() for task in asyncio.all_tasks()].count("tradebot-market_data") == 1
        await rig.swap.stop()
        assert rig.failed == []

    run(main)


def test_swapped_back_the_old_feed_is_heard_again_and_the_new_one_is_over() -> None:
    async def main() -> None:
        old, new = Told(), Told()
        rig = Rig(in_turn(old, new))
        await rig.swap.start()
        new.say(101.0)
        staged = await rig.swap.stage(FOUR, CALMER)
        staged.commit()
        staged.revert()
        old.say(1.0)
        new.say(102.0)
        await old.idle()
        await staged.discard()
        assert rig.bids() == [1.0]
        assert [task.get_name() for task in asyncio.all_tasks()].count("tradebot-market_data") == 1
        await rig.swap.stop()
        assert rig.failed == []

    run(main)


def test_the_real_market_goes_on_without_a_break_when_its_numbers_change() -> None:
    async def main() -> None:
        rig = Rig(make_feed)
        await rig.swap.start()
        await rig.ear.until(lambda: len(rig.ear.symbols()) == 4)
        staged = await applied(rig.swap, FOUR, CALMER)
        assert staged.effect.startswith("new feed of 4 symbols")
        rig.ear.heard.clear()
        await rig.ear.until(lambda: len(rig.ear.symbols()) == 4)
        await rig.swap.stop()

    run(main)


# -- proving --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (ConnectionError("nobody there"), "the new feed does not work: nobody there"),
        (None, "market_data ended by itself"),
    ],
)
def test_a_feed_that_fails_before_it_is_heard_is_not_swapped_in(said: Exception | None, reason: str) -> None:
    async def main() -> None:
        old, new = Told(), Told()
        rig = Rig(in_turn(old, new))
        await rig.swap.start()
        new.say(said)
        with pytest.raises(CannotBuild, match=reason):
            await rig.swap.stage(FOUR, CALMER)
        old.say(1.0)
        await rig.ear.until(lambda: rig.bids() == [1.0])
        assert (rig.ear.faults, rig.failed) == ([], [])
        await rig.swap.stop()

    run(main)


def test_a_feed_that_publishes_nothing_is_not_swapped_in() -> None:
    async def main() -> None:
        hasty = profile(reload__build_timeout_s=0.05)
        rig = Rig(in_turn(Told(), Told()), hasty)
        await rig.swap.start()
        with pytest.raises(CannotBuild, match=r"published nothing within 0\.025 s"):
            await rig.swap.stage(hasty, CALMER)
        assert [task.get_name() for task in asyncio.all_tasks()].count("tradebot-market_data") == 1
        await rig.swap.stop()

    run(main)


def test_a_market_that_has_nothing_to_publish_yet_is_believed() -> None:
    async def main() -> None:
        hasty = profile(feed__synthetic__symbols=4, reload__build_timeout_s=0.2)
        rare = profile(
            feed__synthetic__symbols=1, feed__synthetic__updates_per_s=0.000001, feed__synthetic__trades_per_s=0.0
        )
        rig = Rig(make_feed, hasty)
        await rig.swap.start()
        await applied(rig.swap, hasty, rare)
        await rig.swap.stop()

    run(main)


def test_a_feed_that_fails_after_it_was_proven_is_refused_at_the_swap() -> None:
    async def main() -> None:
        old, new = Told(), Told()
        rig = Rig(in_turn(old, new))
        await rig.swap.start()
        new.say(101.0)
        staged = await rig.swap.stage(FOUR, CALMER)
        new.say(ConnectionError("hung up"))
        await new.idle()
        with pytest.raises(CannotBuild, match="hung up"):
            staged.commit()
        staged.revert()
        await staged.discard()
        old.say(1.0)
        await rig.ear.until(lambda: rig.bids() == [1.0])
        await rig.swap.stop()

    run(main)


def test_a_feed_that_cannot_be_made_or_has_no_symbol_is_named() -> None:
    def none(_profile: Profile, _clock: Clock) -> Feed:
        raise CannotStart("no such market")

    async def main() -> None:
        rig = Rig(in_turn(Told(), Told(())))
        with pytest.raises(CannotBuild, match="there is no symbol to watch"):
            await rig.swap.stage(FOUR, CALMER)
        with pytest.raises(CannotBuild, match="the feed cannot be made: "):
            await rig.swap.stage(FOUR, CALMER)
        rig.swap._make = none
        with pytest.raises(CannotBuild, match="no such market"):
            await rig.swap.stage(FOUR, CALMER)

    run(main)


def test_giving_up_while_a_feed_is_proven_leaves_no_task_behind() -> None:
    async def main() -> None:
        rig = Rig(in_turn(Told(), Told()))
        await rig.swap.start()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rig.swap.stage(FOUR, CALMER)
        assert [task.get_name() for task in asyncio.all_tasks()].count("tradebot-market_data") == 1
        await rig.swap.stop()

    run(main)


def test_a_market_is_prepared_for_as_long_as_there_is_time() -> None:
    class Slow(Told):
        done = 0

        def prepare(self) -> Iterator[str]:
            for _ in range(1_000_000):
                self.done += 1
                yield "A/USDT"

    feed = Slow()
    prepare(feed, 0.0)
    assert feed.done == 1
    prepare(feed, 0.01)
    assert 1 < feed.done < 1_000_000
    prepare(Told(), 0.01)


# -- symbols --------------------------------------------------------------------------------------------


def test_a_symbol_that_leaves_while_it_is_held_is_priced_and_not_watched() -> None:
    async def main() -> None:
        rig = Rig(make_feed)
        rig.held = {"SYN003/USDT"}
        await rig.swap.start()
        one = profile(market__symbols=["SYN001/USDT"], feed__synthetic__updates_per_s=200.0)
        staged = await rig.swap.stage(FOUR, one)
        instruments = getattr(staged, "instruments", ())
        assert [instrument.symbol for instrument in instruments] == ["SYN001/USDT"]
        staged.commit()
        rig.ear.heard.clear()
        await staged.retire()
        await rig.ear.until(lambda: rig.ear.symbols() == {"SYN001/USDT", "SYN003/USDT"})
        rig.held = set()
        await applied(rig.swap, one, profile(market__symbols=["SYN002/USDT"]))
        rig.ear.heard.clear()
        await rig.ear.until(lambda: rig.ear.symbols() == {"SYN002/USDT"})
        await rig.swap.stop()

    run(main)


def test_a_symbol_bought_while_the_edit_was_prepared_turns_the_edit_down() -> None:
    async def main() -> None:
        rig = Rig(make_feed)
        await rig.swap.start()
        staged = await rig.swap.stage(FOUR, profile(market__symbols=["SYN001/USDT"]))
        rig.held = {"SYN003/USDT"}
        with pytest.raises(CannotBuild, match="SYN003/USDT: bought while the edit was prepared"):
            staged.commit()
        staged.revert()
        await staged.discard()
        rig.ear.heard.clear()
        await rig.ear.until(lambda: len(rig.ear.symbols()) == 4)
        await rig.swap.stop()

    run(main)


def test_a_new_symbol_is_traded_by_the_filters_it_would_have_had_at_the_start() -> None:
    def order(symbol: str, quote_amount: str) -> PlaceOrder:
        return PlaceOrder(
            f"a-1-{quote_amount}",
            symbol,
            Side.BUY,
            OrderType.MARKET,
            TimeInForce.IOC,
            1000,
            quote_amount=Decimal(quote_amount),
        )

    async def main() -> None:
        rig = Rig(make_feed)
        more = profile(feed__synthetic__symbols=5, feed__synthetic__updates_per_s=200.0)
        await rig.swap.start()
        (_, before), *_ = rig.venue.submit(order("SYN005/USDT", "10"), 0)
        assert isinstance(before, OrderRefused)
        assert before.code == "-1121"
        await applied(rig.swap, FOUR, more)
        (_, small), *_ = rig.venue.submit(order("SYN005/USDT", "4"), 1)
        assert isinstance(small, OrderRefused)
        assert small.message == "Filter failure: NOTIONAL"
        assert rig.venue.submit(order("SYN005/USDT", "10"), 2) == []
        assert rig.venue.watches("SYN005/USDT")
        await rig.swap.stop()

    run(main)


# -- life -----------------------------------------------------------------------------------------------


def test_an_old_feed_that_does_not_end_is_reported_within_its_deadline_and_not_heard() -> None:
    async def main() -> None:
        old, new = Told(), Told()
        rig = Rig(in_turn(old, new))
        await rig.swap.start()
        old.say(1.0)
        await old.idle()
        old.stubborn = True
        new.say(101.0)
        patient = profile(reload__drain_timeout_s=0.05)
        staged = await rig.swap.stage(FOUR, patient)
        staged.commit()
        with pytest.raises(TimeoutError, match=r"market_data did not stop within 0\.05 s"):
            await staged.retire()
        old.say(2.0)
        await old.idle()
        assert rig.bids() == [1.0]
        old.stubborn = False
        old.say(None)
        await rig.swap.stop()
        assert rig.failed == []

    run(main)


def test_a_feed_that_breaks_is_run_again_after_the_wait_that_holds_by_then() -> None:
    async def main() -> None:
        slow = profile(engine__error_backoff_s=600.0)
        feed = Told()
        rig = Rig(in_turn(feed), slow)
        await rig.swap.start()
        feed.say(1.0)
        feed.say(ConnectionError("hung up"))
        await rig.ear.until(lambda: len(rig.ear.faults) == 1)
        assert (feed.ran, rig.ear.wells) == (1, 1)
        feed.say(2.0)
        rig.swap.retune(0.001)
        await rig.ear.until(lambda: rig.bids() == [1.0, 2.0])
        assert (feed.ran, rig.ear.faults) == (2, ["market_data: hung up"])
        await rig.swap.stop()

    run(main)


def test_a_feed_that_ends_by_itself_is_a_failure_of_the_run() -> None:
    async def main() -> None:
        feed = Told()
        rig = Rig(in_turn(feed))
        await rig.swap.start()
        feed.say(None)
        await feed.idle()
        async with asyncio.timeout(20):
            await rig.over.wait()
        assert str(rig.failed[0]) == "market_data ended by itself"

    run(main)


def test_an_edit_taken_back_leaves_the_symbols_that_are_priced() -> None:
    async def main() -> None:
        rig = Rig(make_feed)
        await rig.swap.start()
        await taken_back(rig.swap, FOUR, profile(market__symbols=["SYN009/USDT"]))
        rig.ear.heard.clear()
        await rig.ear.until(lambda: len(rig.ear.symbols()) == 4)
        assert rig.ear.symbols() == {f"SYN{number:03d}/USDT" for number in range(1, 5)}
        await rig.swap.stop()

    run(main)
