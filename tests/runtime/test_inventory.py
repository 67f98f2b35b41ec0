"""What is left is shown in a few lines, each order with its price, and in one record that leaves nothing out."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.runtime.telling import Told
from tests.runtime.test_live import Machine, Rig, Venue
from tradebot.config.sections.shutdown import Shutdown
from tradebot.domain.facts import Level, Stream
from tradebot.domain.inventory import Holding, Inventory, OpenOrder
from tradebot.runtime.inventory import MOST_SHOWN, as_record, lines, tell, wanted


def orders(count: int) -> tuple[OpenOrder, ...]:
    return tuple(
        OpenOrder(f"t-1-{number}", "BTC/USDT", "buy", Decimal("50000.10"), Decimal("0.002")) for number in range(count)
    )


HELD = (Holding("BTC/USDT", Decimal("0.5"), Decimal("25000.123")), Holding("GONE/USDT", Decimal(3), None))


def test_the_lines_are_few_however_much_is_left() -> None:
    found = Inventory("cancel", verified=True, orders=orders(40), unknown=("t-9-1",), positions=HELD)
    said = lines(found, "binance")
    assert said[0] == "left at binance: 2 positions worth 25000.12, 40 orders"
    assert said[1] == "  open: buy 0.002 BTC/USDT at 50000.10 (t-1-0)"
    assert said[1 + MOST_SHOWN] == f"  and {40 - MOST_SHOWN} more"
    assert said[-1] == "  its end is not known: t-9-1"
    assert len(said) == MOST_SHOWN + 3


def test_a_venue_that_could_not_be_asked_is_said_so_in_the_first_line() -> None:
    found = Inventory("leave", verified=False, cause="no answer within 5 s")
    assert lines(found, "kraken") == ["left at kraken: 0 positions, 0 orders (NOT verified: no answer within 5 s)"]


def test_the_record_holds_every_order_and_money_as_text() -> None:
    found = Inventory("cancel", verified=True, orders=orders(7), positions=HELD, reserved_quote=Decimal("100.20"))
    record: dict[str, Any] = as_record(found)
    assert len(record["orders"]) == 7
    assert record["orders"][0] == {
        "client_id": "t-1-0",
        "symbol": "BTC/USDT",
        "side": "buy",
        "price": "50000.10",
        "remaining": "0.002",
    }
    assert [one["worth_quote"] for one in record["positions"]] == ["25000.123", None]
    assert record["reserved_quote"] == "100.20"


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (Inventory("cancel", verified=True), "INFO"),
        (Inventory("leave", verified=True, orders=orders(1)), "WARNING"),
        (Inventory("leave", verified=False, cause="x"), "WARNING"),
        (Inventory("cancel", verified=True, orders=orders(1)), "ERROR"),
        (Inventory("cancel", verified=False, cause="x"), "ERROR"),
    ],
)
def test_the_level_says_whether_somebody_must_look(found: Inventory, level: Level) -> None:
    class Levels(Told):
        def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
            told.append((stream, level, event_type, fields["breach"]))

    told: list[tuple[str, str, str, str]] = []
    tell(Levels(), found)
    assert told == [("events", level, "FINAL_INVENTORY", found.breach)]


def test_what_is_wanted_in_the_end_is_the_policy_or_what_follows_the_wait() -> None:
    assert wanted(Shutdown()) == "cancel"
    assert wanted(Shutdown(open_orders="leave", after_wait="cancel")) == "leave"
    assert wanted(Shutdown(open_orders="wait")) == "cancel"
    assert wanted(Shutdown(open_orders="wait", after_wait="leave")) == "leave"


def test_every_stage_s_deadline_is_in_the_sum_that_the_supervisor_must_exceed() -> None:
    names = [name for name in Shutdown.model_fields if name.endswith("_deadline_s") and name != "supervisor_deadline_s"]
    assert len(names) == 5
    for name in names:
        longer = Shutdown.model_validate({name: 7.5})
        assert longer.stages_s - Shutdown().stages_s == pytest.approx(7.5 - float(getattr(Shutdown(), name))), name
    assert Shutdown().stages_s < Shutdown().supervisor_deadline_s


def test_an_engine_lives_when_it_finishes_another_cycle_and_not_once_it_is_over() -> None:
    async def main() -> None:
        rig = Rig(Machine(), Venue(), loop_sleep_s=60)
        task = asyncio.create_task(rig.shell.run())
        await rig.shell.until(lambda: rig.shell.cycles >= 1)
        before = rig.shell.cycles
        assert await rig.shell.lives() is True
        assert rig.shell.cycles > before, "it was woken for it"
        rig.shell.stop()
        await task
        assert await rig.shell.lives() is False

    asyncio.run(main())
