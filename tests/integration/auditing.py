"""Did a run under many edits lose, change or mislabel anything? Read from its journal, account, history and logs.

Asked by the tests of many edits, after the run; every failure names the fact or the line.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tests.integration.proving import InForce
from tradebot.config.show import effective
from tradebot.domain import facts as f
from tradebot.domain.account import AccountOrder
from tradebot.domain.orders import Side
from tradebot.storage.history import History
from tradebot.storage.journal_file import read_facts

Lines = list[tuple[int, int, f.Fact]]

ENDS = (f.OrderDone, f.OrderRejected, f.OrderNeverSent)

CANCELS = {"wait", "exit", "shutdown", "stale", "paused", "leaving"}
"""Why an order may be cancelled: by its own wait, or for a reason that the bot announces."""

SLACK_MS = 2_000
"""How late a machine that is busy with other things may find that an order's wait is over."""

TURN_MS = 100
"""Longest time between the moment a new generation's event has and the end of its swap: other threads log meanwhile."""


def journal(home: Path) -> Lines:
    """Return (seq, time in ms, fact) of everything; a hole or a damage raises."""
    return list(read_facts(home / "journal.sqlite"))


def audit_generations(lines: Lines, generations: dict[int, InForce], home: Path) -> None:
    """Fail unless the engine took exactly these generations, in order, each kept in the history as it was in force."""
    taken = [fact.generation for _, _, fact in lines if isinstance(fact, f.ProfileTaken)]
    assert taken == sorted(generations), "each number once, rising"
    history = History.read_only(home / "profiles.sqlite")
    assert history is not None
    try:
        kept = 0
        for number, one in generations.items():
            found = history.generation(number)
            assert found is not None, number
            assert found.state in {"applied", "good", "condemned"}, (number, found.state)
            assert found.digest == one.loaded.digest, number
            assert {switch.feature: switch.on for switch in found.switches} == one.switches, number
            if found.files:
                kept += 1
                assert [file.source for file in found.files] == [one.version.base, one.version.top], number
                assert found.effective == effective(one.loaded), number
        last = history.in_force()
        assert last is not None
        assert last.number == max(generations)
        assert history.unfinished() == ()
        assert kept >= min(len(generations), 10)
    finally:
        history.close()


def audit_orders(lines: Lines) -> Counter[str]:
    """Fail where an order was not placed, kept, ended and told as it was planned; return what was seen."""
    planned: dict[str, f.OrderPlanned] = {}
    sent: dict[str, int] = {}
    waited: set[str] = set()
    ended: dict[str, f.Fact] = {}
    filled: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    in_force = 0
    for seq, at_ms, fact in lines:
        seen[type(fact).__name__] += 1
        client_id = getattr(fact, "client_id", "")
        if isinstance(fact, f.ProfileTaken):
            in_force = fact.generation
        elif isinstance(fact, f.OrderPlanned):
            assert client_id not in planned, (seq, fact)
            assert fact.generation == in_force, (seq, fact, in_force)
            planned[client_id] = fact
        elif isinstance(fact, f.IntentOpened | f.BuyBlocked):
            assert fact.generation == in_force, (seq, fact, in_force)
        elif client_id:
            plan = planned[client_id]
            assert getattr(fact, "generation", None) == plan.generation, (seq, fact)
            assert client_id not in ended, (seq, fact, ended[client_id])
            if isinstance(fact, f.OrderSent):
                assert (fact.wait_ms, fact.tif, fact.type) == (plan.wait_ms, plan.tif, plan.type), (seq, fact)
                sent[client_id] = at_ms
            elif isinstance(fact, f.OrderWaitEnded):
                late_ms = at_ms - sent[client_id] - plan.wait_ms
                assert fact.wait_ms == plan.wait_ms, (seq, fact)
                assert 0 <= late_ms <= SLACK_MS, (seq, fact, late_ms)
                waited.add(client_id)
            elif isinstance(fact, f.CancelAsked):
                seen[f"cancelled: {fact.reason}"] += 1
                assert fact.reason in CANCELS, (seq, fact)
                assert fact.reason != "wait" or client_id in waited, (seq, fact)
            elif isinstance(fact, f.OrderFilled):
                _audit_fill(seq, fact, plan, filled)
            elif isinstance(fact, ENDS):
                ended[client_id] = fact
                canceled = isinstance(fact, f.OrderDone) and fact.outcome == "canceled"
                assert not canceled or client_id in sent, (seq, fact)
                if isinstance(fact, f.OrderDone):
                    assert fact.filled == filled[client_id], (seq, fact, filled[client_id])
    assert sorted(ended) == sorted(planned), "every order has an end"
    return seen


def _audit_fill(seq: int, fact: f.OrderFilled, plan: f.OrderPlanned, filled: Counter[str]) -> None:
    if plan.price:
        better = fact.price <= plan.price if plan.side is Side.BUY else fact.price >= plan.price
        assert better, (seq, fact, plan)
    filled[fact.client_id] += fact.amount  # type: ignore[assignment]  # amounts are exact
    assert not plan.amount or filled[fact.client_id] <= plan.amount, (seq, fact, plan)


def audit_account(lines: Lines, home: Path) -> None:
    """Fail where the venue holds an order otherwise than it was planned, or one that was not."""
    planned = {fact.client_id: fact for _, _, fact in lines if isinstance(fact, f.OrderPlanned)}
    database = sqlite3.connect(f"file:{home}/account.sqlite?mode=ro", uri=True)
    try:
        bodies = database.execute("SELECT body FROM orders").fetchall()
    finally:
        database.close()
    assert bodies
    for (body,) in bodies:
        order = msgspec.json.decode(body, type=AccountOrder)
        plan = planned[order.client_id]
        assert (order.price, order.amount, order.quote_amount) == (plan.price, plan.amount, plan.quote_amount), plan
        assert (order.side, order.type, order.tif, order.symbol) == (plan.side, plan.type, plan.tif, plan.symbol), plan


def audit_logs(lines: Lines, session: Path) -> int:
    """Fail where a record carries another generation than the one in force at its time, or its order's; count them."""
    facts = {seq: fact for seq, _, fact in lines}
    taken = [(at_ms, fact.generation) for _, at_ms, fact in lines if isinstance(fact, f.ProfileTaken)]
    seqs = [seq for seq, _, fact in lines if isinstance(fact, f.ProfileTaken)]
    numbers = [number for _, number in taken]
    times = [at_ms for at_ms, _ in taken]
    count = 0
    for record in _records(session):
        count += 1
        number, seq = record["generation"], record.get("seq")
        if isinstance(seq, int) and seq in facts and facts[seq].event_type == record["event_type"]:
            own = getattr(facts[seq], "generation", None)
            before = numbers[bisect_right(seqs, seq) - 1] if seq >= seqs[0] else 0
            # the fact of a new generation is told under the number before it, its own stands beside
            assert number in ({own} if own is not None else {before}), record
        elif not _of_an_order(record):
            at_ms = _ms(record["time"])
            first = max(0, bisect_right(times, at_ms - TURN_MS) - 1)
            possible = set(numbers[first : bisect_right(times, at_ms + TURN_MS)]) or {0}
            assert number in possible | ({0} if at_ms <= times[0] + TURN_MS else set()), (record, possible)
    return count


def _of_an_order(record: dict[str, Any]) -> bool:
    return "client_id" in record or record["event_type"] in ("ORDER_PLACED", "POSITION_INCREASED")


def _records(session: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((session / "logs").glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                yield json.loads(line)


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(Decimal(str(moment.timestamp())) * 1000)


def audit_end(folder: Path, said: Sequence[str]) -> None:
    """Fail where the run left something behind, lost money, or told of anything that failed."""
    session = json.loads((folder / "latest_session" / "session.json").read_text())
    assert session["exit_code"] == 0
    left = session["shutdown"]["left"]
    assert not any(left[what] for what in ("threads", "tasks", "children", "files")), left
    assert any("conserved" in line and "yes" in line for line in said), said[-60:]
    failed = [line for line in said if "Traceback" in line or "was never" in line or "COMPONENT_NOT_RETIRED" in line]
    assert not failed, failed
