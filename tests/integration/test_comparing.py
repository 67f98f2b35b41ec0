"""Does the comparison of bot and exchange find every way in which they can differ? An exchange's own core, and a
journal that tells what the core did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.integration import comparing_pictures
from tests.integration.comparing import BEGUN, compare
from tests.integration.comparing_pictures import Account, Picture, core_picture
from tests.sandbox.core_kit import KEY, Floor
from tests.sandbox.faults_kit import KEY as REHEARSAL_KEY
from tests.sandbox.faults_kit import SECRET
from tests.sandbox.rehearsal_kit import rehearsing
from tests.storage.journals import WAIT_S, open_journal
from tradebot.domain import facts as f
from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.sandbox.orders import WireSide, WireTif

D = Decimal
PAIR = "BTC/USDT"
ONE = D(1)


class Story:
    """A bot that trades by hand on the core, and writes its journal as the engine would."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.floor = Floor(balances=BEGUN)
        self.floor.book()
        self.facts: list[f.Fact] = [
            f.RunOpened(run="r", generation=1),
            f.AccountOpened(asset="USDT", amount=BEGUN["USDT"]),
        ]
        self.intents = 0

    def plan(self, side: Side, amount: str, price: str, tif: WireTif) -> str:
        """Write down an order's plan; return its client id."""
        self.intents += 1
        client_id = f"bot-r-{self.intents}"
        intent = f.IntentOpened(intent_id=self.intents, symbol=PAIR, side=side, reason="drop", generation=1)
        plan = f.OrderPlanned(
            client_id=client_id,
            intent_id=self.intents,
            symbol=PAIR,
            side=side,
            type=OrderType.LIMIT,
            tif=TimeInForce(tif),
            step=0,
            generation=1,
            wait_ms=1,
            price=D(price),
            amount=D(amount),
        )
        self.facts += [intent, plan]
        return client_id

    def trade(self, side: Side, amount: str, price: str, tif: WireTif = "IOC") -> str:
        """Place an order and write down all that became of it; return its client id."""
        client_id = self.plan(side, amount, price, tif)
        wire: WireSide = "BUY" if side is Side.BUY else "SELL"
        placed = self.floor.order(wire, amount, price, tif=tif, name=client_id)
        self.facts += [
            f.OrderSent(
                client_id=client_id, symbol=PAIR, side=side, tif=TimeInForce(tif), type=OrderType.LIMIT, wait_ms=1
            ),
            f.OrderAccepted(client_id=client_id, symbol=PAIR, venue_id=str(placed.order.order_id), latency_ms=1),
        ]
        for trade in placed.trades:
            self.facts.append(
                f.OrderFilled(
                    client_id=client_id,
                    intent_id=self.intents,
                    symbol=PAIR,
                    side=side,
                    trade_id=str(trade.trade_id),
                    price=trade.price,
                    amount=trade.amount,
                    fee=trade.fee,
                    fee_asset=trade.fee_asset,
                    maker=trade.maker,
                    latency_ms=1,
                )
            )
        if tif == "IOC":
            whole = placed.order.status == "FILLED"
            self.facts.append(
                f.OrderDone(
                    client_id=client_id,
                    symbol=PAIR,
                    side=side,
                    outcome="filled" if whole else "expired",
                    filled=placed.order.executed,
                    reason="",
                )
            )
        return client_id

    def differences(self, change: Callable[[Picture], Picture] = lambda seen: seen) -> list[str]:
        """Return how the journal and the exchange's picture, changed so, differ."""
        path = self.home / "journal.sqlite"
        path.unlink(missing_ok=True)
        journal = open_journal(path)
        journal.append(self.facts, 1)
        assert journal.close(WAIT_S)
        return list(compare(self.home, change(core_picture(self.floor.exchange, KEY))))

    def end(self) -> None:
        """Close what is open."""
        self.floor.store.close()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path)
    story.trade(Side.BUY, "0.500", "101")
    story.trade(Side.BUY, "2.000", "102")  # part of it: the rest expires
    story.trade(Side.SELL, "0.700", "99")
    yield story
    story.end()


def test_who_tells_the_same_agrees(story: Story) -> None:
    story.trade(Side.BUY, "0.100", "90", "GTC")  # rests
    assert story.differences() == []


def test_an_order_that_the_exchange_does_not_have_is_a_difference(story: Story) -> None:
    def lost(seen: Picture) -> Picture:
        return msgspec.structs.replace(seen, orders=seen.orders[1:])

    assert "bot-r-1 BTC/USDT: filled for the bot, the exchange knows no such order" in story.differences(lost)


def test_an_order_that_the_bot_does_not_know_is_a_difference(story: Story) -> None:
    story.floor.book(asks=((101.0, 3.0),))
    story.floor.order("BUY", "0.100", "101", tif="IOC", name="bot-r-9")
    found = story.differences()
    assert "bot-r-9 BTCUSDT (order 4): the bot's journal knows no such order" in found
    assert any(line.startswith("trade ") and line.endswith("not booked by the bot") for line in found)
    assert any(line.startswith("USDT: ") for line in found)


def test_an_order_sent_twice_is_a_difference(story: Story) -> None:
    story.floor.book(asks=((101.0, 3.0),))
    story.floor.order("BUY", "0.500", "101", tif="IOC", name="bot-r-1")
    assert "bot-r-1 BTCUSDT (order 4): doubled, order 1 has the same client id" in story.differences()


def test_an_order_that_the_bot_gave_up_and_the_exchange_took_is_a_difference(story: Story) -> None:
    client_id = story.plan(Side.BUY, "0.100", "90", "GTC")
    story.facts.append(f.OrderNeverSent(client_id=client_id, symbol=PAIR, reason="late"))
    story.floor.order("BUY", "0.100", "90", name=client_id)
    assert "bot-r-4 BTCUSDT (order 4): ORDER_NEVER_SENT for the bot, NEW at the exchange" in story.differences()


def test_an_order_that_is_open_on_one_side_only_is_a_difference(story: Story) -> None:
    client_id = story.trade(Side.BUY, "0.100", "90", "GTC")
    story.floor.exchange.cancel(KEY, "BTCUSDT", None, client_id, "cancel", story.floor.now)
    assert story.differences() == ["bot-r-4 BTCUSDT (order 4): open for the bot, CANCELED at the exchange"]


def test_an_order_that_is_not_settled_is_a_difference(story: Story) -> None:
    client_id = story.trade(Side.BUY, "0.100", "90", "GTC")
    story.facts.append(f.OrderBecameUnknown(client_id=client_id, symbol=PAIR, request="place", cause="timeout"))
    assert story.differences() == ["bot-r-4 BTCUSDT (order 4): NEW at the exchange, still unknown for the bot"]


def test_a_plan_without_an_end_or_an_order_is_a_difference(story: Story) -> None:
    story.plan(Side.BUY, "0.100", "90", "GTC")
    assert story.differences() == ["bot-r-4 BTC/USDT: not over for the bot, the exchange knows no such order"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("fee", D("0.00050001"), "trade 1 of BTCUSDT: fee 0.001 for the bot, 0.00050001 at the exchange"),
        ("fee_asset", "BNB", "trade 1 of BTCUSDT: fee's asset BTC for the bot, BNB at the exchange"),
        ("price", D("100.99"), "trade 1 of BTCUSDT: price 101 for the bot, 100.99 at the exchange"),
        ("order_id", "2", "trade 1 of BTCUSDT: order 1 for the bot, 2 at the exchange"),
        ("maker", True, "trade 1 of BTCUSDT: maker False for the bot, True at the exchange"),
        ("side", "SELL", "trade 1 of BTCUSDT: side BUY for the bot, SELL at the exchange"),
    ],
)
def test_a_fill_that_differs_in_anything_is_a_difference(story: Story, field: str, value: object, told: str) -> None:
    def changed(seen: Picture) -> Picture:
        first = msgspec.structs.replace(seen.fills[0], **{field: value})
        return msgspec.structs.replace(seen, fills=(first, *seen.fills[1:]))

    assert story.differences(changed) == [told]


@pytest.mark.parametrize(
    ("field", "value"),
    [("executed", D("0.499")), ("cost", D("50.49")), ("price", D(100)), ("tif", "GTC"), ("status", "EXPIRED")],
)
def test_an_order_that_differs_in_anything_is_a_difference(story: Story, field: str, value: object) -> None:
    def changed(seen: Picture) -> Picture:
        first = msgspec.structs.replace(seen.orders[0], **{field: value})
        return msgspec.structs.replace(seen, orders=(first, *seen.orders[1:]))

    found = story.differences(changed)
    assert found
    assert all(line.startswith("bot-r-1 BTCUSDT (order 1): ") for line in found)


def test_a_fill_booked_twice_is_a_difference(story: Story) -> None:
    fill = next(fact for fact in story.facts if isinstance(fact, f.OrderFilled))
    story.facts.append(fill)
    found = story.differences()
    assert "trade 1 of BTC/USDT: booked twice" in found
    assert any(line.startswith("BTC: ") for line in found)


def test_a_fill_that_was_never_booked_is_a_difference(story: Story) -> None:
    fill = next(fact for fact in story.facts if isinstance(fact, f.OrderFilled) and fact.client_id == "bot-r-3")
    story.facts.remove(fill)
    assert f"trade {fill.trade_id} of BTCUSDT: not booked by the bot" in story.differences()


def test_a_balance_off_by_one_unit_is_a_difference(story: Story) -> None:
    def off(seen: Picture) -> Picture:
        held = seen.balances["USDT"]
        less = Balance(held.free - D("0.00000001"), held.locked)
        return msgspec.structs.replace(seen, balances={**seen.balances, "USDT": less})

    found = story.differences(off)
    assert len(found) == 2
    assert all(line.startswith("USDT: ") for line in found)


def test_an_asset_from_nowhere_and_a_lock_without_an_order_are_differences(story: Story) -> None:
    def given(seen: Picture) -> Picture:
        held = seen.balances["USDT"]
        locked = Balance(held.free - 1, ONE)
        return msgspec.structs.replace(seen, balances={**seen.balances, "USDT": locked, "DOGE": Balance(ONE)})

    assert story.differences(given) == [
        "DOGE: 0 in the bot's ledger, 1 at the exchange",
        "DOGE: 0 by the journal's fills, 1 at the exchange",
        "USDT: 1 locked, the open orders need 0",
    ]


def test_a_checkpoint_of_another_story_is_a_difference(story: Story, tmp_path: Path) -> None:
    assert story.differences() == []
    (tmp_path / "checkpoint.json").write_text("{}")
    found = list(compare(tmp_path, core_picture(story.floor.exchange, KEY)))
    assert len(found) == 1
    assert "checkpoint" in found[0]


async def _over_rest() -> tuple[Picture, Picture]:
    async with rehearsing() as rehearsal:
        for number in range(7):
            answer = await rehearsal.place(f"one-{number}", price="101.00", timeInForce="IOC", quantity="0.10000")
            assert answer.status == 200, answer.text
        assert (await rehearsal.place("rests")).status == 200
        account = Account(rehearsal.url, REHEARSAL_KEY, SECRET)
        seen = await asyncio.get_running_loop().run_in_executor(None, account.picture)
        return seen, core_picture(rehearsal.exchange, REHEARSAL_KEY)


@pytest.mark.parametrize("page", [1_000, 3, 1])
def test_the_picture_over_rest_is_the_cores_own_however_it_is_paged(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(comparing_pictures, "PAGE", page)
    over_rest, of_core = asyncio.run(_over_rest())
    assert len(over_rest.orders) == 8
    assert len(over_rest.fills) == 7
    assert over_rest.orders == of_core.orders
    assert over_rest.fills == of_core.fills
    assert over_rest.open_ids == of_core.open_ids != frozenset()
    held = {asset: one for asset, one in of_core.balances.items() if one.total != ZERO}
    assert {asset: one for asset, one in over_rest.balances.items() if one.total != ZERO} == held
