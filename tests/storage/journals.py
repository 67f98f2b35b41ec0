"""Which facts and journals do the tests of the stores begin with?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tradebot.domain.facts import AccountOpened, Fact, OrderFilled, OrderPlanned
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import Durability

WAIT_S = 20.0


def fact(number: int) -> Fact:
    return AccountOpened(asset="USDT", amount=Decimal(number))


def fill(number: int) -> Fact:
    return OrderFilled(
        client_id=f"bot-run-{number}",
        intent_id=number,
        symbol="BTC/USDT",
        side=Side.BUY,
        trade_id=str(number),
        price=Decimal("64102.10"),
        amount=Decimal("0.00156"),
        fee=Decimal("0.00000156"),
        fee_asset="BTC",
        maker=False,
        latency_ms=41,
    )


def planned(client_id: str) -> OrderPlanned:
    return OrderPlanned(
        client_id=client_id,
        intent_id=1,
        symbol="AAA/USDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        step=0,
        generation=1,
        wait_ms=1000,
        price=Decimal(1),
        amount=Decimal(2),
    )


def open_journal(path: Path, *, wal_mb: int = 4, durability: Durability = "process") -> SqliteJournal:
    return SqliteJournal.open(path, batch_ms=1, wal_mb=wal_mb, retry_s=0.02, durability=durability)
