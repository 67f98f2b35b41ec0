"""Is every fact told once, in its own file, in words, and counted?"""

from __future__ import annotations

import json
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pytest

from tradebot.config.sections.logging import Logging
from tradebot.domain.facts import (
    CATALOGUE,
    AccountOpened,
    CancelFailed,
    DriftAdopted,
    Fact,
    IntentEnded,
    IntentOpened,
    OrderDone,
    OrderFilled,
    OrderRejected,
    OrderSent,
    PositionClosed,
    ProfileTaken,
    VenueStateChanged,
    level_of,
)
from tradebot.domain.orders import Lot, OrderType, Position, Side, TimeInForce
from tradebot.domain.venue_facts import VenueState
from tradebot.telemetry.console import NoConsole
from tradebot.telemetry.log_files import SplitFiles
from tradebot.telemetry.logs import LogPipeline
from tradebot.telemetry.metrics import Metrics
from tradebot.telemetry.recorder import FactRecorder
from tradebot.telemetry.words import fact_words, said

WAIT_S = 20.0
NOW = 1_795_364_703_123


class Told:
    """Logs and metrics of a few recorded facts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = LogPipeline(folder, SplitFiles("x"), Logging(level="DEBUG"), NoConsole())
        self._log.start()
        self.metrics = Metrics(observations_kept=100)
        self.recorder = FactRecorder(self._log, self.metrics)

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """Stop the logs; return the records of each stream, the log's own left out."""
        assert self._log.stop(WAIT_S)
        return {
            stream: [
                record
                for path in self._folder.glob(f"{stream}*.jsonl")
                for record in map(json.loads, path.read_text().splitlines())
                if not record["event_type"].startswith("LOGGING_")
            ]
            for stream in ("events", "system", "engine", "orders")
        }


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def sample(kind: type[Fact]) -> Fact:
    """Return some fact of `kind`: the first allowed value of every field."""
    first: dict[Any, Any] = {str: "x", int: 3, float: 2.5, Decimal: "1.50", bool: True, tuple[str, ...]: ["A/USDT"]}
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.type in first:
            fields[field.encode_name] = first[field.type]
        elif isinstance(field.type, type) and issubclass(field.type, Enum):
            fields[field.encode_name] = next(iter(field.type)).value
        else:  # a Literal
            fields[field.encode_name] = field.type.__args__[0]
    return msgspec.convert(fields | {"fact": kind.__name__}, kind, strict=False)


def sent(kind: OrderType, tif: TimeInForce) -> OrderSent:
    return OrderSent(client_id="bot-1-1", symbol="BTC/USDT", side=Side.BUY, tif=tif, type=kind, wait_ms=2000)


def opened(number: int, side: Side) -> IntentOpened:
    return IntentOpened(intent_id=number, symbol="BTC/USDT", side=side, reason="drop", generation=1)


def ended(number: int, side: Side) -> Fact:
    fact = msgspec.structs.replace(sample(IntentEnded), intent_id=number, side=side)
    assert isinstance(fact, IntentEnded)
    return fact


def test_every_kind_of_fact_has_words_of_its_own() -> None:
    assert said() == frozenset(CATALOGUE)
    for kind in CATALOGUE:
        message, _ = fact_words(sample(kind))
        assert message
        assert "Decimal(" not in message
        assert "<" not in message


def test_every_kind_of_fact_becomes_one_record_in_its_own_file(told: Told) -> None:
    facts = [sample(kind) for kind in CATALOGUE]
    told.recorder.record(facts, NOW, len(facts))
    found = told.read()
    for seq, fact in enumerate(facts, 1):
        (record,) = (line for line in found[fact.stream] if line.get("seq") == seq)
        assert record["event_type"] == fact.event_type
        assert record["level"] == level_of(fact)
        assert record["time"] == "2026-11-22T16:25:03.123Z"
        for name in fact.__struct_fields__:
            assert (name if name != "message" else "venue_message") in record
    assert sum(len(records) for records in found.values()) == len(facts) + 1  # a sent order is told twice


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (sent(OrderType.LIMIT, TimeInForce.IOC), "IOC order placed"),
        (sent(OrderType.LIMIT, TimeInForce.GTC), "GTC order placed"),
        (sent(OrderType.LIMIT, TimeInForce.FOK), "FOK order placed"),
        (sent(OrderType.LIMIT, TimeInForce.PO), "PO order placed"),
        (sent(OrderType.MARKET, TimeInForce.IOC), "MARKET order placed"),
    ],
)
def test_a_sent_order_is_told_in_the_words_scripts_look_for_with_its_timeout(
    told: Told, fact: OrderSent, words: str
) -> None:
    told.recorder.record([fact], NOW)
    found = told.read()
    (placed,) = found["system"]
    assert placed["message"] == words
    assert placed["timeout_ms"] == 2000
    assert placed["client_id"] == "bot-1-1"
    (audit,) = found["orders"]
    assert audit["event_type"] == "ORDER_SENT"
    assert "seq" not in audit


def test_a_refused_order_carries_the_venues_code_and_message(told: Told) -> None:
    told.recorder.record(
        [
            OrderRejected(
                client_id="bot-1-1",
                symbol="BTC/USDT",
                side=Side.BUY,
                code="-2010",
                message="Account has insufficient balance for requested action.",
            ),
            CancelFailed(client_id="bot-1-1", symbol="BTC/USDT", code="-2011", message="Unknown order sent."),
        ],
        NOW,
        9,
    )
    refused, cancel = told.read()["orders"]
    assert (refused["level"], refused["seq"], refused["code"]) == ("ERROR", 8, "-2010")
    assert refused["venue_message"] == "Account has insufficient balance for requested action."
    assert "-2010 Account has insufficient balance" in refused["message"]
    assert (cancel["level"], cancel["seq"], cancel["venue_message"]) == ("WARNING", 9, "Unknown order sent.")
    counters = told.metrics.snapshot()["counters"]
    assert counters["orders_failed"] == 1
    assert counters['orders_failed{code="-2010",side="buy",symbol="BTC/USDT"}'] == 1


@pytest.mark.parametrize("code", ["HeldBack", "NeverSent"])
def test_an_order_that_was_not_sent_is_not_told_as_a_rejected_one(code: str, told: Told) -> None:
    why = "the exchange asked for a pause until 2026-11-22 23:59:10 UTC"
    held = OrderRejected(client_id="c-2", symbol="A/USDT", side=Side.BUY, code=code, message=why)
    assert fact_words(held)[0] == f"c-2: buy A/USDT not sent: {why}"
    told.recorder.record([held], NOW, 1)
    (record,) = told.read()["orders"]
    level = "WARNING" if code == "HeldBack" else "ERROR"
    assert (record["event_type"], record["level"], record["code"]) == ("ORDER_NOT_SENT", level, code)


@pytest.mark.parametrize(("outcome", "level"), [("absent", "WARNING"), ("expired", "INFO"), ("filled", "INFO")])
def test_an_order_that_never_reached_the_venue_is_told_louder_than_one_that_ended(
    told: Told, outcome: Literal["absent", "expired", "filled"], level: str
) -> None:
    done = OrderDone("bot-1-1", "BTC/USDT", Side.BUY, outcome, Decimal(0), "")
    told.recorder.record([done], NOW, 1)
    (record,) = told.read()["orders"]
    assert (record["event_type"], record["level"]) == ("ORDER_DONE", level)


def test_records_carry_the_generation_in_force_from_the_fact_that_brought_it(told: Told) -> None:
    told.recorder.record([sample(AccountOpened), ProfileTaken(generation=4), sample(AccountOpened)], NOW)
    assert [record["generation"] for record in told.read()["events"]] == [0, 4]


def test_pending_intents_are_counted_from_what_recovery_found(told: Told) -> None:
    told.recorder.restore(buys=[1, 2], sells=[3], venue="up", positions=[])
    told.recorder.record([opened(4, Side.BUY), ended(1, Side.BUY), ended(3, Side.SELL), ended(99, Side.BUY)], NOW)
    assert [record["pending_buy_intents"] for record in told.read()["engine"]] == [3, 2, 2, 2]
    assert told.metrics.value("pending_buy_intents") == 2
    assert told.metrics.value("pending_intents") == 2
    assert told.metrics.value("pending_intents_max") == 4


def test_orders_fills_latencies_and_pnl_are_counted(told: Told) -> None:
    fill = msgspec.structs.replace(sample(OrderFilled), symbol="BTC/USDT", side=Side.BUY, latency_ms=41)
    closed = msgspec.structs.replace(sample(PositionClosed), pnl=Decimal("-2.5"), fees=Decimal("0.4"))
    done = msgspec.structs.replace(sample(OrderDone), outcome="filled")
    expired = msgspec.structs.replace(sample(OrderDone), outcome="expired")
    told.recorder.record([sent(OrderType.LIMIT, TimeInForce.IOC), fill, fill, done, expired, closed, closed], NOW)
    told.read()
    snapshot = told.metrics.snapshot()
    counters, gauges = snapshot["counters"], snapshot["gauges"]
    assert counters["orders_sent"] == counters['orders_sent{side="buy",symbol="BTC/USDT"}'] == 1
    assert (counters["fills"], counters["orders_filled"], counters["orders_done"]) == (2, 1, 2)
    assert (counters["trades"], counters["trades_lost"], gauges["session_pnl_quote"]) == (2, 2, -5.0)
    assert snapshot["histograms"]["fill_latency_ms"]["count"] == 2
    assert snapshot["histograms"]["fill_latency_ms"]["p50"] == 41


def test_what_no_fact_tells_of_a_position_stands_beside_the_facts(told: Told) -> None:
    lot = Lot(1, Decimal(1), Decimal(100), Decimal(1), Decimal(100), 0)
    before = Position("BTC/USDT", 0, [lot], bought=Decimal(1), gross_bought=Decimal(1), gross_spent=Decimal(100))
    fill = OrderFilled(
        "bot-1-1", 2, "BTC/USDT", Side.BUY, "9", Decimal(90), Decimal(1), Decimal(0), "USDT", maker=False, latency_ms=0
    )
    told.recorder.restore([], [], "up", [before])
    told.recorder.record([opened(2, Side.BUY), fill], NOW, 2)
    told.recorder.record([msgspec.structs.replace(ended(2, Side.BUY), symbol="BTC/USDT")], NOW, 3)
    gone = DriftAdopted("BTC", "BTC/USDT", Decimal("-2.5"), Decimal(80), estimate=False, who="ana")
    told.recorder.record([gone], NOW, 4)
    increased, adopted, dust = told.read()["events"]
    assert (increased["event_type"], increased["level"], increased["generation"]) == ("POSITION_INCREASED", "INFO", 3)
    assert increased["message"] == "BTC/USDT: 1 more at 90, the position is 2 at 95 on average"
    assert (adopted["event_type"], dust["event_type"]) == ("DRIFT_ADOPTED", "DUST_ADOPTED")
    assert (Decimal(dust["amount"]), Decimal(dust["worth"])) == (Decimal("0.5"), Decimal(40))


def test_every_counter_of_the_catalogue_stands_at_zero_from_the_start(told: Told) -> None:
    told.read()
    counters = told.metrics.snapshot()["counters"]
    assert counters["orders_sent"] == 0
    assert {kind.metric for kind in CATALOGUE if kind.metric} <= set(counters)


def test_one_state_of_the_venue_is_gauged_as_the_present_one(told: Told) -> None:
    def present() -> list[str]:
        return [state for state in get_args(VenueState) if told.metrics.value("venue_state", state=state) == 1]

    assert present() == ["up"]
    told.recorder.record([VenueStateChanged("banned", "up", "HTTP 418", NOW + 60_000)], NOW)
    assert present() == ["banned"]
    told.recorder.restore([], [], "down", [])
    assert present() == ["down"]
