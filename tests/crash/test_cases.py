"""Are the cases of the matrix always the same, do they reach every command and fault, and is their table true?"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Struct

from tests.crash.cases import Cases, targets
from tests.crash.points import label_of
from tests.crash.table import BEGIN, END, table_of, write_table

PASSED = [
    ("leaving", "place IOC BUY ETHUSDT"),
    ("sent", "place IOC BUY ETHUSDT"),
    ("write", "OrderFilled"),
    ("leaving", "place IOC BUY ETHUSDT"),
    ("leaving", "place GTC BUY ETHUSDT"),
    ("heard", "ETHUSDT NEW"),
    ("leaving", "cancel ETHUSDT"),
    ("leaving", "place IOC SELL ETHUSDT"),
    ("leaving", "place MARKET SELL ETHUSDT"),
]


class Result(Struct):
    """A case that was run."""

    kind: str
    family: str
    kills: int
    differences: list[str]


def test_a_number_is_always_the_same_case() -> None:
    one, other = Cases({"ladder": PASSED}, 3), Cases({"ladder": PASSED}, 3)
    assert [one[number] for number in range(50)] == [other[number] for number in range(50)]
    assert one[7] != Cases({"ladder": PASSED}, 4)[7]


def test_every_command_is_struck_by_every_fault_before_one_comes_again() -> None:
    cases = Cases({"ladder": PASSED}, 1)
    first = [cases[number] for number in range(cases.cells)]
    faults = {repr(case.faults) for case in first}
    assert {case.kind for case in first} >= {
        "IOC buy",
        "IOC buy, escalated",
        "GTC buy",
        "cancel",
        "market sell",
        "query",
    }
    assert len(faults) == len({repr(cases[number + cases.cells].faults) for number in range(cases.cells)})


def test_a_command_and_fault_come_back_with_another_kill() -> None:
    cases = Cases({"ladder": PASSED}, 1)
    again = cases[5 + cases.cells]
    assert (cases[5].kind, cases[5].family) == (again.kind, again.family)
    assert cases[5].kills[0] != again.kills[0]


def test_a_request_is_known_by_its_place_among_those_of_its_symbol() -> None:
    found = [(each.kind, each.nth) for each in targets(PASSED) if each.on == "order.place"]
    assert found == [
        ("IOC buy", 1),
        ("IOC buy, escalated", 2),
        ("GTC buy", 3),
        ("exit sell", 4),
        ("market sell", 5),
    ]


@pytest.mark.parametrize(
    ("method", "url", "data", "label"),
    [
        ("POST", "http://h/api/v3/order", "symbol=X&side=BUY&type=LIMIT&timeInForce=IOC", "place IOC BUY X"),
        ("POST", "http://h/api/v3/order", "symbol=X&side=SELL&type=MARKET", "place MARKET SELL X"),
        ("GET", "http://h/api/v3/order?symbol=X&origClientOrderId=a", None, "query X"),
        ("DELETE", "http://h/api/v3/order?symbol=X", None, "cancel X"),
        ("GET", "http://h/api/v3/account?timestamp=1", None, "balances"),
    ],
)
def test_a_request_is_labelled_by_what_it_is_for(method: str, url: str, data: str | None, label: str) -> None:
    assert label_of(method, url, data) == label


def test_the_table_counts_cases_kills_and_differences(tmp_path: Path) -> None:
    lines = [
        Result("cancel", "hang before", 1, []),
        Result("cancel", "hang after", 2, ["lost"]),
        Result("IOC buy", "none", 0, []),
    ]
    table = table_of(lines).splitlines()
    assert table[-1] == "| all | 1 / 0 / 0 | 1 / 1 / 0 | 1 / 2 / 1 | 0 / 0 / 0 | 0 / 0 / 0 | 3 / 3 / 1 |"
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table(page, lines)
    assert page.read_text().count("| cancel |") == 1
    assert "old" not in page.read_text()
    write_table(page, lines)
    assert page.read_text().count("| cancel |") == 1


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="marks"):
        write_table(page, [])
