"""Is a component that fails again and again told once, and is one that works in between left alone?"""

from __future__ import annotations

from tradebot.config.profile import Profile
from tradebot.runtime.failures import TOGGLES, ComponentFailures


def book(limit: int) -> tuple[ComponentFailures, list[tuple[str, int, str]]]:
    told: list[tuple[str, int, str]] = []
    return ComponentFailures(limit, lambda *tired: told.append(tired)), told


def test_the_failure_that_reaches_the_limit_is_told_and_no_other() -> None:
    failures, told = book(3)
    for number in range(5):
        failures.failed("metrics", OSError(f"no space {number}"))
    assert told == [("metrics", 3, "OSError: no space 2")]
    assert (failures.of("metrics").in_a_row, failures.of("metrics").in_all, failures.total) == (5, 5, 5)
    assert failures.of("metrics").last == "OSError: no space 4"


def test_a_success_begins_the_row_anew_and_keeps_the_count_of_all() -> None:
    failures, told = book(2)
    for _ in range(3):
        failures.failed("metrics", "it failed")
        failures.well("metrics")
    failures.well("never heard of")
    assert told == []
    assert (failures.of("metrics").in_a_row, failures.of("metrics").in_all) == (0, 3)


def test_components_are_counted_apart_and_one_that_recovered_is_told_again() -> None:
    failures, told = book(2)
    for name in ("metrics", "watcher", "metrics"):
        failures.failed(name, "it failed")
    failures.well("metrics")
    failures.failed("metrics", "it failed")
    failures.failed("metrics", "it failed")
    assert [name for name, _, _ in told] == ["metrics", "metrics"]
    assert failures.total == 5


def test_a_lower_limit_holds_from_the_next_failure_on() -> None:
    failures, told = book(10)
    failures.failed("metrics", "it failed")
    failures.failed("metrics", "it failed")
    failures.retune(2)
    assert told == []
    failures.failed("metrics", "it failed")
    assert told == [("metrics", 3, "it failed")]


def test_every_toggle_named_for_a_component_is_a_toggle() -> None:
    assert set(TOGGLES.values()) <= set(type(Profile().features).model_fields)
