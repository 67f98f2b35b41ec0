"""What do exchange and bot remember when a bot of many open orders starts again? Asked by the recovery's benchmark.

The exchange's store holds the orders, some of them filled while the bot was away; the bot's home holds a journal of a
long life, and a checkpoint at nine tenths of it whose price windows are warm. The programs' own parts write them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tests.sandbox.rest_kit import KEY, SETTINGS, Client, exchange
from tradebot.config.loader import load_profile
from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain import facts as f
from tradebot.domain.events import QuoteSeen
from tradebot.domain.fact import Fact
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ceil_to
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.engine.engine import Engine
from tradebot.sandbox.orders import OrderRequest
from tradebot.storage.checkpoint import assemble
from tradebot.storage.files import write_atomic
from tradebot.storage.journal import SqliteJournal

INSTANCE: Final = "bench"
BALANCE: Final = Decimal(1_000_000)
WORTH: Final = Decimal(20)
"""What each order is worth, in quote."""

BELOW: Final = Decimal("0.85")
"""An order's price as a share of the market's: within the exchange's rule, and where the market does not come."""

WARM_S: Final = 12
_WAIT_MS: Final = 3_600_000


class Resting(Struct, frozen=True):
    """A buy that rested at the exchange when the bot ended; `last` was the market's price."""

    client_id: str
    instrument: Instrument
    venue_id: str
    price: Decimal
    amount: Decimal
    last: float


def write(exchange_folder: Path, profile: Path, home: Path, facts: int, symbols: int, filled: int) -> None:
    """Write the exchange's store, and the home of the bot of `profile` with so many facts and an order a symbol."""
    orders = asyncio.run(_place(exchange_folder, symbols, filled))
    now_ms = time.time_ns() // 1_000_000
    told = _life(orders, facts)
    home.mkdir(parents=True)
    journal = SqliteJournal.open(home / "journal.sqlite", batch_ms=5, wal_mb=64, retry_s=1.0, durability="process")
    journal.append(told, now_ms)
    assert journal.close(60)
    engine = Engine(load_profile(str(profile), environ={}).profile, [order.instrument for order in orders])
    at = facts * 9 // 10
    engine.restore(None, ((seq, now_ms, fact) for seq, fact in enumerate(told[:at], 1)))
    for second in range(WARM_S):
        for order in orders:
            at_ms = now_ms - (WARM_S - second) * 1000
            engine.process(QuoteSeen(order.instrument.symbol, order.last, order.last, 1.0, 1.0, at_ms), at_ms)
    windows = [(name, engine.window_picture(name)) for name in engine.symbols]
    write_atomic(home / "checkpoint.json", assemble(engine.core_picture(), windows))


async def _place(folder: Path, symbols: int, filled: int) -> list[Resting]:
    """Place an order of each symbol at an exchange that keeps them; let the market fill some."""
    settings = msgspec.structs.replace(
        SETTINGS,
        symbols=(),
        synthetic=SyntheticFeed(symbols=symbols),
        balances={"USDT": BALANCE},
        history_minutes=1,
        state=folder,
    )
    async with exchange(settings) as client:
        orders = [_rest(client, number, one) for number, one in enumerate(client.sandbox.feed.instruments(), 1)]
        for order in orders[:: symbols // filled][:filled]:
            through = float(order.price) * 0.99
            client.trade(through, float(order.amount) * 10, buyer_taker=False, pair=order.instrument.symbol)
        return orders


def _rest(client: Client, number: int, instrument: Instrument) -> Resting:
    now_ms = client.sandbox.clock.now_ms()
    core = client.sandbox.exchange
    listed = instrument.base + instrument.quote
    rules = core.rules[listed].instrument
    last = core.market.symbols[listed].last_price
    price = rules.price_down(Decimal(str(last)) * BELOW)
    amount = ceil_to(WORTH / price, rules.amount_step)
    client_id = f"{INSTANCE}-r1-{number}"
    placed = core.place(KEY, OrderRequest(listed, "BUY", "LIMIT", client_id, "GTC", amount, price), now_ms)
    return Resting(client_id, instrument, str(placed.order.order_id), price, amount, last)


def _life(orders: Sequence[Resting], facts: int) -> list[Fact]:
    """Return the facts of a long life that ended with these orders open."""
    told: list[Fact] = [f.RunOpened("r1", 1), f.ProfileTaken(1), f.AccountOpened("USDT", BALANCE)]
    told += [f.BalanceRefreshed("USDT", BALANCE)] * (facts - len(told) - 4 * len(orders))
    buy, limit, gtc = Side.BUY, OrderType.LIMIT, TimeInForce.GTC
    for number, order in enumerate(orders, 1):
        symbol, client_id = order.instrument.symbol, order.client_id
        reserved = order.price * order.amount
        told += [
            f.IntentOpened(number, symbol, buy, "drop", 1, reserved, reserved),
            f.OrderPlanned(client_id, number, symbol, buy, limit, gtc, 0, 1, _WAIT_MS, order.price, order.amount),
            f.OrderSent(client_id, symbol, buy, gtc, limit, _WAIT_MS, 1),
            f.OrderAccepted(client_id, symbol, order.venue_id, 3, 1),
        ]
    return told
