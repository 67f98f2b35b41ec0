"""Does the fault strike that was meant, as often as was said?"""

from __future__ import annotations

import pytest

from tradebot.config.faults_file import Fault, Step
from tradebot.sandbox.faults import MOST_FAULTS, Faults, Occasion

PLACE = Occasion("order.place", "BTCUSDT", "bot-1")


def struck(faults: Faults, occasion: Occasion, times: int) -> list[str]:
    """Return what is done on the same occasion, so many times in a row; "" where nothing is."""
    steps = [faults.strike(occasion) for _ in range(times)]
    return [step.action if step is not None else "" for step in steps]


def test_a_fault_strikes_from_its_nth_occasion_as_often_as_it_may() -> None:
    faults = Faults(1, [Fault(on="order.place", action="hang", nth=3, times=2)])
    assert struck(faults, PLACE, 6) == ["", "", "hang", "hang", "", ""]


def test_a_script_is_played_once_step_by_step() -> None:
    faults = Faults(1, [Fault(on="order.*", script=(Step(action="reset"), Step(action="pass"), Step(action="html")))])
    assert struck(faults, PLACE, 5) == ["reset", "pass", "html", "", ""]


@pytest.mark.parametrize(
    "meant",
    [
        Fault(on="order.cancel", action="hang"),
        Fault(on="*", symbol="ETHUSDT", action="hang"),
        Fault(on="*", client_id_prefix="other-", action="hang"),
        Fault(on="*", via="ws", action="hang"),
        Fault(on="*", probability=0.0, action="hang"),
    ],
)
def test_a_fault_leaves_alone_what_it_does_not_mean(meant: Fault) -> None:
    assert struck(Faults(1, [meant]), PLACE, 3) == ["", "", ""]


def test_every_request_is_no_event() -> None:
    faults = Faults(1, [Fault(on="*", action="maintenance")])
    assert faults.strike(Occasion("user.executionReport")) is None
    assert faults.strike(Occasion("connect.user")) is not None


def test_an_execution_report_is_told_by_its_kind() -> None:
    faults = Faults(1, [Fault(on="user.executionReport", execution="TRADE", action="drop")])
    assert faults.strike(Occasion("user.executionReport", execution="NEW")) is None
    assert faults.strike(Occasion("user.executionReport", execution="TRADE")) is not None


def test_chance_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def run(seed: int) -> list[str]:
        return struck(Faults(seed, [Fault(name="x", on="*", probability=0.5, action="hang")]), PLACE, 64)

    assert run(1) == run(1) != run(2)
    assert 16 < run(1).count("hang") < 48


def test_the_first_fault_that_is_due_strikes() -> None:
    faults = Faults(1, [Fault(on="*", action="reset", times=1), Fault(on="order.place", action="html")])
    assert struck(faults, PLACE, 2) == ["reset", "html"]


def test_faults_are_told_with_counts_replaced_by_name_and_removed() -> None:
    faults = Faults()
    assert faults.add(Fault(on="time", action="hang")) == "fault-1"
    faults.add(Fault(name="mine", on="*", action="reset", times=1))
    faults.strike(Occasion("time"))
    faults.strike(Occasion("ping"))
    told = {each["name"]: each for each in faults.told()}
    assert (told["fault-1"]["strikes"], told["fault-1"]["spent"]) == (1, False)
    assert (told["mine"]["strikes"], told["mine"]["spent"], told["mine"]["action"]) == (1, True, "reset")
    faults.add(Fault(name="mine", on="*", action="html"))
    assert [each["strikes"] for each in faults.told()] == [1, 0]
    assert faults.remove("mine")
    assert not faults.remove("mine")
    faults.clear()
    assert faults.none


def test_no_more_faults_stand_than_can_be_looked_through() -> None:
    faults = Faults(1, [Fault(on="time") for _ in range(MOST_FAULTS)])
    with pytest.raises(ValueError, match="stand already"):
        faults.add(Fault(on="time"))


def test_a_fault_that_strikes_no_more_makes_room_for_another() -> None:
    faults = Faults(
        1, [Fault(on="time", name="used", times=1), *(Fault(on="account.status") for _ in range(MOST_FAULTS - 1))]
    )
    assert faults.strike(Occasion("time")) is not None
    faults.add(Fault(on="time", name="new"))
    told = [each["name"] for each in faults.told()]
    assert (len(told), told[-1]) == (MOST_FAULTS, "new")
    assert "used" not in told
