"""Does a real bot notice what hands do on its account, and does a word at its door settle it to the last unit?"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hands import admissible, bid_below, by_hand, filters, held_there
from tests.integration.processes import Bot, kinds, state
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tests.integration.test_account_lease import home
from tradebot.control.client import ask
from tradebot.domain.views import ComparedView, Done, DriftAction, Snapshot

KEPT = {"take_profit_bps = 30": "take_profit_bps = 5000", "stop_loss_bps = 30": "stop_loss_bps = 5000"}
KEPT |= {"max_hold_s = 2": 'max_hold_s = "off"', "[state]\n": "[fences]\ncompare_interval_s = 3600\n[state]\n"}
"""What is changed in the quick profile: positions stay, and the account is compared when somebody asks."""


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path, ["--count", "3"])
    try:
        exchange.start()
        yield exchange
    finally:
        exchange.away()


def settle(bot_home: Path, what: str, action: DriftAction, price: Decimal | None = None) -> str:
    """Settle a difference at the bot's door; return what it says."""

    async def asked(client: Any) -> Done:
        done: Done = await client.settle_drift(what, action, price)
        return done

    return ask(bot_home, "tests", asked).text


def shown(bot_home: Path) -> Snapshot:
    """Return everything that is shown of the bot."""

    async def asked(client: Any) -> Snapshot:
        snapshot: Snapshot = await client.snapshot()
        return snapshot

    return ask(bot_home, "tests", asked)


def compared(bot_home: Path) -> ComparedView:
    """Let the bot compare its account now."""

    async def asked(client: Any) -> ComparedView:
        found: ComparedView = await client.compare_drift()
        return found

    found = ask(bot_home, "tests", asked)
    assert found.fresh, found.why
    return found


@pytest.mark.timeout(240)
def test_a_sale_by_hand_is_noticed_and_adopted_and_a_foreign_order_outlives_the_bot(
    tmp_path: Path, exchange: Exchange
) -> None:
    folder = home(tmp_path, "one", exchange)
    profile = folder / "quick.toml"
    text = profile.read_text()
    for old, new in KEPT.items():
        assert old in text
        text = text.replace(old, new, 1)
    profile.write_text(text)
    bot_home = folder / "state" / "one"
    with Bot(folder, env=KEYS) as bot:
        bot.wait_for("POSITION_OPENED")

        async def pause(client: Any) -> object:
            return await client.pause()

        ask(bot_home, "tests", pause)
        while (before := shown(bot_home)).status.intents or before.status.orders:
            time.sleep(0.05)
        position = max(before.positions, key=lambda one: one.amount * Decimal(str(one.bid)))
        base, listed = position.symbol.partition("/")[0], position.symbol.replace("/", "")
        sold = admissible(filters(exchange, listed), Decimal(str(position.bid)), position.amount / 2)
        assert sold < position.amount
        foreign = bid_below(exchange, listed, position.bid, sold)
        bot.wait_for("FOREIGN_ORDER_SEEN")
        by_hand(exchange, "POST", "order", symbol=listed, side="SELL", type="MARKET", quantity=f"{sold:f}")
        (missing,) = [one for one in compared(bot_home).found if one.kind == "missing"]
        assert f"{sold:f}".rstrip("0") in bot.wait_for("DRIFT_SEEN")
        assert (missing.asset, missing.amount) == (base, sold)
        assert "are booked as gone at" in settle(bot_home, position.symbol, "adopt", Decimal(str(position.bid)))
        assert [one.asset for one in compared(bot_home).found] == ["USDT"]
        settle(bot_home, "USDT", "adopt")
        assert shown(bot_home).status.drift == ()
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
        assert "came or went by hand, in 2 bookings, no trades" in " ".join(bot.text.split())
        assert "the fills agree to the last unit" in " ".join(bot.text.split())
    owned = state(folder)["state"]["ledger"]
    there = held_there(exchange)
    assert Decimal(owned["cash"]) == there["USDT"]
    lots = sum((Decimal(lot["amount"]) for lot in owned["positions"][position.symbol]["lots"]), Decimal(0))
    assert lots + Decimal(owned["dust"].get(position.symbol, "0")) == there[base]
    assert [order["orderId"] for order in by_hand(exchange, "GET", "openOrders")] == [foreign]
    assert kinds(folder).count("DRIFT_ADOPTED") == 2


@pytest.mark.timeout(240)
def test_an_order_of_the_same_instance_elsewhere_stops_the_buying_and_is_said(
    tmp_path: Path, exchange: Exchange
) -> None:
    folder = home(tmp_path, "one", exchange)
    with Bot(folder, env=KEYS) as bot:
        bot.wait_for("POSITION_OPENED")
        symbol = shown(folder / "state" / "one").drops[0]
        bid_below(exchange, symbol.symbol.replace("/", ""), symbol.bid, newClientOrderId="one-zzzzzzzz-1")
        assert "run zzzzzzzz, which is none of ours" in bot.wait_for("RIVAL_NOTICED")
        assert shown(folder / "state" / "one").status.rival == "zzzzzzzz"
        bot.send(signal.SIGTERM)
        bot.end()
