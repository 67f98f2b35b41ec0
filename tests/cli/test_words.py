"""Is a long line cut so that it can be read, and what it tells to type be typed, on a narrow terminal?"""

from __future__ import annotations

import os
import pty
import termios
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.cli.words import fitted, price, show, span, table

LINE = "  waiting · loosens: budget.max_positions 8 → 12 · `tradebot reload --confirm` · still on generation 2"


def test_a_long_line_is_cut_between_words_and_never_within_a_command() -> None:
    assert fitted(LINE, 60, 4) == [
        "  waiting · loosens: budget.max_positions 8 → 12 ·",
        "      `tradebot reload --confirm` · still on generation 2",
    ]
    assert fitted(LINE, 200, 4) == fitted(LINE, 0, 4) == [LINE]


@given(st.text("ab c`→", max_size=300), st.integers(40, 100), st.integers(0, 12))
def test_no_word_is_lost_or_changed_by_cutting(line: str, width: int, hang: int) -> None:
    assert " ".join(fitted(line, width, hang)).split() == line.split()


def test_what_is_printed_to_no_terminal_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show(LINE)
    assert capsys.readouterr().out == f"{LINE}\n"


def test_what_is_printed_on_a_terminal_fits_it() -> None:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    with os.fdopen(theirs, "w") as terminal:
        termios.tcsetwinsize(theirs, (24, 60))
        show(LINE, file=terminal)
        terminal.flush()
        told = os.read(ours, 4096).decode()
    os.close(ours)
    assert max(map(len, told.splitlines())) <= 60


def test_a_table_says_where_its_texts_begin() -> None:
    assert table([("a", "x"), ("", "y"), ("long", "z")]) == (["a     x", "      y", "long  z"], 6)
    assert table([]) == ([], 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "–"),
        (1e-7, "0.0000001"),
        (83_676.820000001, "83,676.82"),
        (Decimal("0.0812"), "0.0812"),
        (1e9, "1,000,000,000"),
    ],
)
def test_a_price_is_written_as_people_read_it(value: float | Decimal, text: str) -> None:
    assert price(value) == text


def test_a_duration_is_written_as_a_clock() -> None:
    assert [span(seconds) for seconds in (-1, 59.9, 492, 9667)] == ["0:00", "0:59", "8:12", "2:41:07"]
