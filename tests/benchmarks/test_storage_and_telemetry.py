"""What do an append, a save, a checkpoint and a record cost the thread that asks for them?"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.storage.journals import fill
from tradebot.config.sections.logging import Logging
from tradebot.domain.account import AccountDelta
from tradebot.domain.facts import Fact, OrderSent
from tradebot.domain.orders import Balance, OrderType, Side, TimeInForce
from tradebot.storage.account import AccountStore
from tradebot.storage.checkpoint import Checkpointer
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.replay_journal import MemoryJournal, ReplayJournal
from tradebot.telemetry.console import NoConsole
from tradebot.telemetry.log_files import SplitFiles
from tradebot.telemetry.logs import LogPipeline, NoLog
from tradebot.telemetry.metrics import Metrics
from tradebot.telemetry.recorder import FactRecorder

pytestmark = pytest.mark.benchmark

N = 20_000
WAIT_S = 30.0


def fills(count: int) -> list[Fact]:
    return [fill(number) for number in range(count)]


def show(what: str, costs_us: list[float]) -> float:
    costs_us.sort()
    count = len(costs_us)
    mean = sum(costs_us) / count
    print(
        f"\n{what}: mean {mean:.2f} us, p50 {costs_us[count // 2]:.2f}, p99 {costs_us[count * 99 // 100]:.2f},"
        f" max {costs_us[-1]:.1f} ({count} times)"
    )
    return mean


def timed(work: Callable[[int], Any], count: int) -> list[float]:
    costs = []
    for number in range(count):
        begin = time.perf_counter_ns()
        work(number)
        costs.append((time.perf_counter_ns() - begin) / 1000)
    return costs


def test_journal_append_and_durability(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", batch_ms=2, wal_mb=4, retry_s=0.5)
    facts = fills(N)
    begin = time.perf_counter()
    show("SQLite journal, append of one fact", timed(lambda n: journal.append(facts[n : n + 1], n), N))
    assert journal.flush(WAIT_S)
    print(f"SQLite journal, {N} facts durable: {(time.perf_counter() - begin) / N * 1e6:.2f} us a fact")

    def durable(number: int) -> None:
        wanted = journal.append(facts[:1], number)
        assert journal.flush(WAIT_S)
        assert journal.durable_seq >= wanted

    show("SQLite journal, append until durable", timed(durable, 500))
    assert journal.close(WAIT_S)


@pytest.mark.parametrize("kind", ["memory", "replay"])
def test_simulated_journals(tmp_path: Path, kind: str) -> None:
    facts = fills(100_000)
    journal = MemoryJournal() if kind == "memory" else ReplayJournal.create(tmp_path / "replay.sqlite")
    begin = time.process_time()
    for number in range(0, len(facts), 2):
        journal.append(facts[number : number + 2], number)
    journal.digest()
    mean = (time.process_time() - begin) / len(facts) * 1e6
    print(f"\n{kind} journal: {mean:.2f} us a fact, digest included")


def test_account_save(tmp_path: Path) -> None:
    store = AccountStore(tmp_path / "account.sqlite", orders_kept=1000, busy_s=1)

    def save(number: int) -> None:
        store.save(AccountDelta(balances={"USDT": Balance(free=Decimal(number))}, next_order=number))

    show("paper account, save", timed(save, 5000))
    store.close()


@pytest.mark.parametrize("symbols", [50, 1000])
def test_checkpoint_hand_over(tmp_path: Path, symbols: int) -> None:
    windows = [(f"C{n}/USDT", b'{"at_ms":1,"buckets":[' + b"64102.1," * 479 + b"1]}") for n in range(symbols)]
    writer = Checkpointer(tmp_path / "checkpoint.json", [tmp_path / "copy.json"], NoLog())
    writer.start()
    costs: list[float] = []
    begin = time.perf_counter()
    for number in range(20):
        costs += timed(lambda n: writer.submit(b'{"seq":%d}' % n, windows), 1)
        assert writer.flush(WAIT_S), number
    show(f"checkpoint of {symbols} symbols, hand-over", costs)
    print(f"checkpoint of {symbols} symbols, on disk after {(time.perf_counter() - begin) / 20 * 1000:.1f} ms")
    assert writer.close(WAIT_S)


def test_log_record_and_recorder(tmp_path: Path) -> None:
    log = LogPipeline(tmp_path, SplitFiles("x"), Logging(level="INFO"), NoConsole())
    log.start()
    show("log, a record", timed(lambda n: log.emit("engine", "INFO", "TOLD", "words", number=n, p=0.5), N))
    show("log, a record below the level", timed(lambda n: log.emit("engine", "DEBUG", "TOLD", number=n), N))
    begin = time.perf_counter()
    assert log.stop(WAIT_S)
    print(f"log, drained after {(time.perf_counter() - begin) * 1000:.1f} ms")

    log = LogPipeline(tmp_path, SplitFiles("y"), Logging(level="INFO"), NoConsole())
    log.start()
    recorder = FactRecorder(log, Metrics(observations_kept=2048))
    facts = fills(N)
    show("recorder, a fill", timed(lambda n: recorder.record(facts[n : n + 1], n, n + 1), N))
    sent = OrderSent("bot-1", "BTC/USDT", Side.BUY, TimeInForce.IOC, OrderType.LIMIT, 2000)
    show("recorder, a sent order", timed(lambda n: recorder.record([sent], n, n + 1), N))
    assert log.stop(WAIT_S)
