"""How long until a bot with 1,000 open orders and 100,000 facts trades again, and where does the time go?

Exchange and bot share one process and one loop here, so that each waits for the other: a whole of less than 3 s is the
target for a quiet machine, and the load is shown beside it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.engine.hand import make_profile
from tests.sandbox.rest_kit import KEY, SETTINGS, exchange
from tests.venues.ccxt_kit import QUICK
from tests.venues.test_ccxt_sandbox import Rehearsal
from tradebot.domain import facts as f
from tradebot.domain.events import Event, RunStarted
from tradebot.domain.facts import Fact
from tradebot.domain.market import Instrument
from tradebot.domain.orders import OrderType, Side, TimeInForce
from tradebot.engine.engine import Engine
from tradebot.sandbox.orders import OrderRequest
from tradebot.storage.checkpoint import assemble, read_checkpoint
from tradebot.storage.files import write_atomic
from tradebot.storage.journal import SqliteJournal
from tradebot.storage.journal_file import read_facts

ORDERS, FACTS = 1_000, 100_000
NAMES = tuple(f"S{number:04d}" for number in range(ORDERS))
PRICE, AMOUNT = Decimal(90), Decimal(1)
D = Decimal


def facts() -> list[Fact]:
    """Return the facts of a bot with one open buy of each symbol, and of a long life before."""
    told: list[Fact] = [f.RunOpened("r1", 1), f.ProfileTaken(1), f.AccountOpened("USDT", D(1_000_000))]
    told += [f.BalanceRefreshed("USDT", D(1_000_000))] * (FACTS - len(told) - 4 * ORDERS)
    for number, name in enumerate(NAMES, 1):
        symbol, client_id = f"{name}/USDT", f"a-r1-{number}"
        told += [
            f.IntentOpened(number, symbol, Side.BUY, "drop", 1, D(10), D(10)),
            f.OrderPlanned(
                client_id, number, symbol, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 0, 1, 3_600_000, PRICE, AMOUNT
            ),
            f.OrderSent(client_id, symbol, Side.BUY, TimeInForce.GTC, OrderType.LIMIT, 3_600_000, 1),
            f.OrderAccepted(client_id, symbol, str(number), 3, 1),
        ]
    return told


def instruments() -> list[Instrument]:
    return [Instrument(f"{name}/USDT", name, "USDT", D("0.01"), D("0.001")) for name in NAMES]


def write_home(folder: Path) -> None:
    """Write the journal, and a checkpoint at nine tenths of it."""
    now = time.time_ns() // 1_000_000
    journal = SqliteJournal.open(folder / "journal.sqlite", batch_ms=5, wal_mb=64, retry_s=1.0, durability="process")
    told = facts()
    journal.append(told, now)
    assert journal.close(60)
    engine = Engine(make_profile({"bot": {"instance": "a"}}), instruments())
    at = FACTS * 9 // 10
    engine.restore(None, ((seq, now, fact) for seq, fact in enumerate(told[:at], 1)))
    windows = [(name, engine.window_picture(name)) for name in engine.symbols]
    write_atomic(folder / "checkpoint.json", assemble(engine.core_picture(), windows))


class Heard(Rehearsal):
    """A venue whose answers go to an engine, too."""

    hear: Callable[[Event], None]

    def deliver(self, event: Event) -> None:
        """Keep an answer, and hand it on."""
        super().deliver(event)
        self.hear(event)


async def recovered(folder: Path) -> dict[str, float]:
    """Return the seconds of each step of one recovery."""
    symbols = tuple(f"{name}/USDT" for name in NAMES)
    balances = {"USDT": D(1_000_000), "BNB": D(10)}
    settings = msgspec.structs.replace(SETTINGS, symbols=symbols, balances=balances, history_minutes=1)
    async with exchange(settings) as client:
        now = client.sandbox.clock.now_ms()
        rules = {one.symbol: one for one in client.sandbox.feed.instruments()}
        for number, name in enumerate(NAMES, 1):
            client.show(pair=f"{name}/USDT")
            rule = rules[f"{name}/USDT"]
            price, amount = rule.price_down(PRICE), max(rule.amount_down(AMOUNT), rule.amount_step)
            request = OrderRequest(f"{name}USDT", "BUY", "LIMIT", f"a-r1-{number}", "GTC", amount, price)
            client.sandbox.exchange.place(KEY, request, now)
        steps, mark = {}, time.perf_counter()

        def step(name: str) -> None:
            nonlocal mark
            steps[name], mark = time.perf_counter() - mark, time.perf_counter()

        document = read_checkpoint(folder / "checkpoint.json")
        assert document is not None
        step("read_checkpoint_s")
        engine = Engine(make_profile({"bot": {"instance": "a"}}), instruments())
        engine.restore(document, read_facts(folder / "journal.sqlite", document["seq"]))
        step("read_tail_s")
        assert len(engine.state.orders) == ORDERS
        there = Heard(client, **{**QUICK, "request_timeout_s": 10.0})
        heard: asyncio.Queue[Event] = asyncio.Queue()
        there.hear = heard.put_nowait
        await there.venue_here.start()
        step("load_markets_and_check_key_s")
        try:
            await _settle(engine, there, heard, step)
        finally:
            await there.venue_here.stop()
        return steps


async def _settle(engine: Engine, there: Rehearsal, heard: asyncio.Queue[Event], step: Callable[[str], None]) -> None:
    now = there.clock.now_ms()
    venue = there.venue_here
    _, commands = engine.process(RunStarted("r2", now), now)
    assert len(commands) == 2
    for command in commands:
        venue.submit(command, now)
    while not engine.state.trading:
        now = there.clock.now_ms()
        _, more = engine.process(await heard.get(), now)
        for command in more:
            venue.submit(command, now)
    step("list_orders_fills_and_balances_s")


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_how_long_a_recovery_of_a_thousand_orders_takes(tmp_path: Path, show: Callable[..., None]) -> None:
    write_home(tmp_path)
    runs = [asyncio.run(recovered(tmp_path)) for _ in range(3)]
    best = min(runs, key=lambda run: sum(run.values()))
    show(**best, whole_s=sum(best.values()), load=os.getloadavg()[0])
    ours_s = sum(took for name, took in best.items() if name != "load_markets_and_check_key_s")
    assert ours_s < 3, "what a recovery adds to a start that has nothing to recover"
