"""Killed at any moment, again and again: is any order lost or doubled, and do all books agree to the last unit?"""

from __future__ import annotations

import random
import shutil
import signal
import threading
from decimal import Decimal
from pathlib import Path

import msgspec

from tests.integration.processes import PATIENCE_S, SOCKETS, Bot, write_profile
from tradebot.domain import facts as f
from tradebot.domain.events import FillReported
from tradebot.domain.ledger import Ledger
from tradebot.engine.state import EngineState
from tradebot.storage.account import AccountStore
from tradebot.storage.checkpoint import read_checkpoint
from tradebot.storage.journal_file import read_facts

KILLS = 4
EVERY_ORDER = 1_000_000

BUSY = """
[venue.paper]
maker_fee_bps = 2
taker_fee_bps = 3
entry_latency_ms = 60
response_latency_ms = 50
jitter_ms = 80
[budget]
per_trade_quote = 300
max_per_symbol_quote = 900
refresh_interval_s = 0.5
refresh_timeout_s = 0.4
[execution]
max_spread_bps = 11
send_deadline_ms = 250
cancel_wait_ms = 100
query_interval_ms = 100
steps = [
  { type = "limit", tif = "PO", offset_bps = -4 },
  { type = "limit", tif = "IOC", offset_bps = 0 },
  { type = "limit", tif = "FOK", offset_bps = 0 },
  { type = "limit", tif = "GTC", offset_bps = 2 },
]
[execution.wait_ms]
IOC = 300
GTC = 700
other = 400
"""
"""Orders that rest, fill in parts and are answered late, so that a kill finds every state there is."""


class Books:
    """What a dead bot's home says: the journal from its first fact, checkpoint and tail, and the account."""

    def __init__(self, home: Path, scratch: Path) -> None:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(home, scratch, ignore=SOCKETS)
        self.state = EngineState(ledger=Ledger(quote="USDT"))
        document = read_checkpoint(scratch / "checkpoint.json")
        assert document is not None
        self.tailed = msgspec.convert(document["state"], EngineState, strict=False)
        self.planned: set[str] = set()
        self.over: dict[str, f.Fact] = {}
        self.booked: dict[str, dict[str, f.OrderFilled]] = {}
        for seq, at_ms, fact in read_facts(scratch / "journal.sqlite"):
            self.state.apply(fact, at_ms)
            if seq > document["seq"]:
                self.tailed.apply(fact, at_ms)
            self._take(fact)
        store = AccountStore(scratch / "account.sqlite", orders_kept=EVERY_ORDER, busy_s=1)
        image = store.load()
        store.close()
        assert image is not None
        self.image = image
        self.fills: dict[str, dict[str, FillReported]] = {}
        for fill in image.fills:
            self.fills.setdefault(fill.client_id, {})[fill.trade_id] = fill

    def _take(self, fact: f.Fact) -> None:
        assert not isinstance(fact, f.StrayFillSeen)
        if isinstance(fact, f.OrderPlanned):
            assert fact.client_id not in self.planned, "an id is never used twice"
            self.planned.add(fact.client_id)
        elif isinstance(fact, f.OrderFilled):
            fills = self.booked.setdefault(fact.client_id, {})
            assert fact.trade_id not in fills, "no fill is booked twice"
            fills[fact.trade_id] = fact
        elif isinstance(fact, f.OrderDone | f.OrderRejected | f.OrderNeverSent):
            assert fact.client_id not in self.over, "no order ends twice"
            self.over[fact.client_id] = fact

    def check(self) -> None:
        """Assert what holds after a kill at any moment."""
        encode = msgspec.json.Encoder(decimal_format="string").encode
        assert encode(self.tailed) == encode(self.state), "the checkpoint and its tail are the whole journal"
        for client_id, order in self.image.orders.items():
            assert client_id in self.planned, "nothing is sent that the journal does not know"
            found = self.fills.get(client_id, {})
            assert sum((fill.amount for fill in found.values()), Decimal(0)) == order.filled
            if client_id in self.over:
                assert not isinstance(self.over[client_id], f.OrderNeverSent)
                assert order.status not in ("pending", "open")
                assert set(self.booked.get(client_id, {})) == set(found), "an order that is over is booked whole"
        for client_id, fills in self.booked.items():
            for trade_id, fill in fills.items():
                real = self.fills[client_id][trade_id]
                assert (fill.price, fill.amount, fill.fee) == (real.price, real.amount, real.fee)

    def check_end(self) -> None:
        """Assert what holds after a clean end beside: nothing is under way, and both own the same."""
        assert not self.state.orders
        assert set(self.image.orders) <= set(self.over)
        held = {asset: balance.total for asset, balance in self.image.balances.items() if balance.total}
        assert held == {asset: amount for asset, amount in self.state.ledger.owned().items() if amount}
        assert not any(balance.locked for balance in self.image.balances.values())


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    write_profile(tmp_path, BUSY)
    moments = random.Random(20)
    home = tmp_path / "state" / "demo"
    for _ in range(KILLS):
        with Bot(tmp_path) as bot:
            bot.wait_for("RECOVERY_COMPLETED")
            bot.wait_for("POSITION_OPENED", "POSITION_CLOSED", times=moments.randint(1, 8))
            threading.Event().wait(moments.uniform(0, 0.2))  # to a moment that no line marks
            if moments.random() < 1 / 3:
                bot.send(signal.SIGTERM)
                bot.wait_for("ENTRIES_CLOSED")
            bot.send(signal.SIGKILL)
            assert bot.process.wait(PATIENCE_S) in (-signal.SIGKILL, 0)
        Books(home, tmp_path / "audit").check()
    with Bot(tmp_path) as bot:
        bot.wait_for("RECOVERY_COMPLETED")
        bot.wait_for("POSITION_CLOSED")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    books = Books(home, tmp_path / "audit")
    books.check()
    books.check_end()
    assert len(books.planned) > KILLS
