"""Is the exchange held to be fit by its answers alone, and is each change told once, with its reason?"""

from __future__ import annotations

import pytest

from tests.exchange.walls import Wall
from tradebot.config.sections.exchange_health import Health as Settings
from tradebot.exchange.budget import Budget
from tradebot.exchange.evidence import Evidence, attach
from tradebot.exchange.health import Health, Verdict


class Desk:
    """A health, its clock, and what was told."""

    def __init__(self) -> None:
        self.wall = Wall()
        self.budget = Budget(self.wall)
        self.told: list[Verdict] = []
        self.health = Health(Settings(), self.budget, self.wall, self.told.append)

    @property
    def state(self) -> str:
        return self.health.verdict.state

    def fail(self, times: int = 1, status: int = 502, code: str = "", *, readable: bool = True) -> None:
        """Let requests fail: with an answer of this status, or without one at all (0)."""
        for _ in range(times):
            error = ConnectionResetError("cut")
            if status:
                attach(error, Evidence(status, code, "words", readable))
            self.health.fate(error)

    def answer(self, times: int = 1) -> None:
        for _ in range(times):
            self.health.fate(None)


def test_failures_in_a_row_make_it_degraded_then_down_and_answers_in_a_row_up_again() -> None:
    desk = Desk()
    desk.fail()
    assert desk.told == []
    desk.fail()
    assert desk.told == [Verdict("degraded", "2 failures, HTTP 502")]
    desk.fail(2)
    assert len(desk.told) == 1, "told once"
    desk.fail(status=0)
    assert desk.told[1:] == [Verdict("down", "5 failures, ConnectionResetError")]
    desk.wall.move_s(86_400)
    desk.health.judge()
    assert desk.state == "down", "time proves nothing"
    desk.answer()
    desk.fail()
    desk.answer()
    assert desk.state == "down"
    desk.answer()
    assert desk.told[2:] == [Verdict("up", "it answers")]


def test_an_answer_between_failures_of_a_fit_exchange_begins_the_count_anew() -> None:
    desk = Desk()
    for _ in range(20):
        desk.fail()
        desk.answer()
    assert desk.told == []


@pytest.mark.parametrize(
    ("status", "code", "readable", "fails"),
    [
        (400, "-2010", True, False),
        (401, "-2015", True, False),
        (429, "-1003", True, False),
        (418, "-1003", True, False),
        (403, "", False, True),
        (200, "", False, True),
        (408, "-1007", True, True),
        (500, "-1000", True, True),
        (504, "-1007", True, True),
        (0, "", True, True),
    ],
)
def test_a_refusal_is_an_answer_and_a_page_or_a_5xx_is_none(
    status: int, code: str, fails: bool, readable: bool
) -> None:
    desk = Desk()
    desk.fail(5, status, code, readable=readable)
    assert desk.state == ("down" if fails else "up")


@pytest.mark.parametrize(("status", "code"), [(503, "-1008"), (503, "-1016"), (400, "-1016")])
def test_an_exchange_that_says_so_is_in_maintenance(status: int, code: str) -> None:
    desk = Desk()
    desk.fail(2, status, code)
    assert desk.told == [Verdict("maintenance", f"2 failures, HTTP {status}, code {code}")]
    desk.answer(2)
    assert desk.state == "up"


def test_what_other_exchanges_say_of_maintenance_is_known_by_ccxts_class() -> None:
    class OnMaintenance(Exception):
        pass

    desk = Desk()
    for _ in range(2):
        error = OnMaintenance()
        attach(error, Evidence(200, "50001", "", readable=True))
        desk.health.fate(error)
    assert desk.state == "maintenance"


def test_a_ban_is_told_with_its_end_also_one_of_another_process_and_ends_by_an_answer() -> None:
    desk = Desk()
    until_ms = desk.wall.now_ms() + 120_000
    desk.budget.note(418, {"Retry-After": "120"})
    desk.health.judge()
    assert desk.told == [Verdict("banned", "this address is banned from asking", until_ms)]
    desk.budget.note(418, {"Retry-After": "240"})
    desk.health.judge()
    assert desk.told[1].until_ms == until_ms + 120_000
    desk.wall.move_s(240)
    desk.health.judge()
    assert desk.state == "banned", "over by time, not yet by an answer"
    desk.wall.move_s(0.1)
    desk.answer()
    assert desk.state == "up"


def test_a_pause_that_was_asked_for_is_waited_for() -> None:
    desk = Desk()
    desk.budget.note(429, {"Retry-After": "7"})
    desk.fail(1, 429, "-1003")
    assert desk.told == [Verdict("degraded", "it asked for a pause", desk.wall.now_ms() + 7_000)]
    desk.wall.move_s(8)
    desk.health.judge()
    assert desk.state == "degraded"
    desk.answer()
    assert desk.state == "up"


def test_orders_that_cannot_be_compared_make_it_degraded() -> None:
    desk = Desk()
    desk.health.compared("open orders: timeout")
    assert desk.told == []
    desk.health.compared("open orders: timeout")
    assert desk.told == [Verdict("degraded", "orders cannot be compared: open orders: timeout")]
    desk.health.compared("")
    assert desk.state == "up"


def test_a_user_stream_may_be_interrupted_for_a_while() -> None:
    desk = Desk()
    desk.health.stream(up=False)
    desk.wall.move_s(14)
    desk.health.stream(up=False)
    assert desk.told == []
    desk.wall.move_s(1)
    desk.health.judge()
    assert desk.told == [Verdict("degraded", "it tells of own orders no more, they are asked for")]
    desk.health.stream(up=True)
    assert desk.state == "up"


def test_an_account_whose_orders_are_used_up_is_told_until_the_window_ends() -> None:
    desk = Desk()
    desk.budget.note_limits([{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 10}])
    desk.budget.note(200, {"X-MBX-ORDER-COUNT-10S": "6"})
    desk.health.judge()
    (verdict,) = desk.told
    assert (verdict.state, verdict.reason) == ("degraded", "the account's number of orders is used up")
    desk.wall.move_s(10.1)
    desk.answer()
    assert desk.state == "up"
