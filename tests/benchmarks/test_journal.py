"""What does durability cost an order, how fast is a journal read back, and what does pruning take?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.benchmarks.conftest import Show
from tests.engine.hand import INSTRUMENTS, make_profile
from tests.storage.journals import WAIT_S, fill, planned
from tradebot.domain.facts import (
    AccountOpened,
    Fact,
    IntentEnded,
    IntentOpened,
    OrderAccepted,
    OrderDone,
    OrderFilled,
    OrderPlanned,
    OrderSent,
    PositionClosed,
)
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.engine.engine import Engine
from tradebot.storage import journal_file
from tradebot.storage.checkpoint import assemble
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import Durability, read_facts
from tradebot.storage.journal_pruning import DAY_MS, Keeping, prune
from tradebot.storage.journal_salvage import pruned_of
from tradebot.storage.replay_journal import ReplayJournal

pytestmark = pytest.mark.benchmark

ORDERS = 2_000
ROWS = 100_000
OPEN = 1_000
SYMBOL = "AAA/USDT"


def opened(path: Path, durability: Durability, batch_ms: int = 2) -> SqliteJournal:
    return SqliteJournal.open(path, batch_ms=batch_ms, wal_mb=4, retry_s=0.5, durability=durability)


@pytest.mark.parametrize("load", ["alone", "beside 2,000 other facts a second"])
@pytest.mark.parametrize("durability", ["power", "process", "off"])
def test_a_plan_until_it_is_durable(
    tmp_path: Path, show: Show, monkeypatch: pytest.MonkeyPatch, durability: str, load: str
) -> None:
    if durability == "off":
        monkeypatch.setitem(journal_file.SYNCHRONOUS, "process", "OFF")
    journal = opened(tmp_path / "journal.sqlite", "power" if durability == "power" else "process")
    costs_ms, arrived = [], threading.Condition()

    def tell(_: int) -> None:
        with arrived:
            arrived.notify_all()

    journal.on_durable(tell)
    for number in range(ORDERS):
        if load != "alone":
            journal.append([fill(number)], number)
        begun = time.perf_counter()
        seq = journal.append([planned(f"a-{number}")], number)
        with arrived:
            assert arrived.wait_for(lambda seq=seq: journal.durable_seq >= seq, WAIT_S)  # type: ignore[misc]
        costs_ms.append((time.perf_counter() - begun) * 1000)
        if load != "alone":
            journal.append([fill(number)], number)
            time.sleep(0.001)
    assert journal.close(WAIT_S)
    costs_ms.sort()
    show(p50_ms=costs_ms[ORDERS // 2], p99_ms=costs_ms[ORDERS * 99 // 100], max_ms=costs_ms[-1])


def life(rows: int, still_open: int) -> Iterator[Fact]:
    """Yield the facts of a bot that has bought and sold until there are `rows`, with so many orders under way."""
    yield AccountOpened(asset="USDT", amount=Decimal(10_000_000))
    number = 0
    written = 1
    while written < rows - 4 * still_open:
        number += 1
        side = Side.BUY if number % 2 else Side.SELL
        one = list(_order(number, side, SYMBOL))
        one += [
            OrderFilled(
                f"bot-r-{number}", number, SYMBOL, side, str(number), Decimal(100), Decimal(2), Decimal("0.2"), "USDT",
                maker=False, latency_ms=9,
            ),
            OrderDone(f"bot-r-{number}", SYMBOL, side, "filled", Decimal(2), "filled"),
            IntentEnded(number, SYMBOL, side, "drop", "filled", "filled", Decimal(2), Decimal(200), 20),
        ]  # fmt: skip
        if side is Side.SELL:
            money = (Decimal(100), Decimal(100), Decimal(2), Decimal(200), Decimal(200), Decimal(0), Decimal(0))
            one.append(PositionClosed(SYMBOL, "take_profit", 1, *money, Decimal(0), 1))
        yield from one
        written += len(one)
    for other in range(number + 1, number + 1 + still_open):
        yield from _order(other, Side.BUY, f"S{other}/USDT")


def _order(number: int, side: Side, symbol: str) -> Iterator[Fact]:
    client_id = f"bot-r-{number}"
    limit, gtc = OrderType.LIMIT, TimeInForce.GTC
    price, amount = Decimal(100), Decimal(2)
    yield IntentOpened(number, symbol, side, "drop", 1, Decimal(200), Decimal(202), amount, price, price)
    yield OrderPlanned(client_id, number, symbol, side, limit, gtc, 0, 1, 30_000, price, amount)
    yield OrderSent(client_id, symbol, side, gtc, limit, 30_000)
    yield OrderAccepted(client_id, symbol, f"v{number}", 12)


@pytest.fixture
def long_life(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    journal = ReplayJournal.create(path)
    for number, fact in enumerate(life(ROWS, OPEN)):
        journal.append([fact], number * 1000)
    journal.close()
    return path


def test_a_tail_of_100_000_facts_is_read_and_taken_back(long_life: Path, show: Show) -> None:
    begun = time.perf_counter()
    count = sum(1 for _ in read_facts(long_life))
    read_s = time.perf_counter() - begun
    engine = Engine(make_profile(), INSTRUMENTS)
    begun = time.perf_counter()
    restored = engine.restore(None, read_facts(long_life))
    restored_s = time.perf_counter() - begun
    assert restored.orders == OPEN
    show(
        facts=count, open_orders=OPEN, read_s=read_s, read_and_applied_s=restored_s, us_a_fact=restored_s / count * 1e6
    )


def test_pruning_100_000_facts(long_life: Path, show: Show) -> None:
    journal = opened(long_life, "power")
    last = journal.last_seq
    before = long_life.stat().st_size
    stopped = threading.Event()
    waits_ms: list[float] = []

    def orders() -> None:
        number = 0
        while not stopped.is_set():
            number += 1
            begun = time.perf_counter()
            seq = journal.append([planned(f"a-{number}")], 40 * DAY_MS)
            while journal.durable_seq < seq:
                time.sleep(0.0001)
            waits_ms.append((time.perf_counter() - begun) * 1000)

    thread = threading.Thread(target=orders)
    thread.start()
    begun = time.perf_counter()
    document = assemble(b'{"seq":%d,"state":{}}' % last, [])
    prune(journal, document, Keeping(2, 10**9, archive=True), 40 * DAY_MS, lambda: False)
    took_s = time.perf_counter() - begun
    stopped.set()
    thread.join()
    assert pruned_of(long_life) == last
    assert journal.close(WAIT_S)
    waits_ms.sort()
    show(
        facts=last, took_s=took_s, file_mb_before=before / 1e6, file_mb_after=long_life.stat().st_size / 1e6,
        plan_p50_ms=waits_ms[len(waits_ms) // 2], plan_max_ms=waits_ms[-1],
    )  # fmt: skip
