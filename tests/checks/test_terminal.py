"""Does the small screen show what a terminal would?"""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.live import Live

from tests.checks.terminal import Screen


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("one\r\ntwo", "one\ntwo"),
        ("first\rsec", "secst"),
        ("one\n\x1b[2Ktwo\x1b[1A\r\x1b[2Kuno", "uno\ntwo"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("a\nb\nc\x1b[2A\x1b[J", "a"),
        ("abcdef\x1b[3G\x1b[K", "ab"),
        ("gone\x1b[2J\x1b[Hnew", "new"),
    ],
)
def test_control_sequences_are_obeyed(written: str, seen: str) -> None:
    screen = Screen(80)
    screen.feed(written)
    assert screen.text() == seen


def test_a_long_line_goes_on_below() -> None:
    screen = Screen(4)
    screen.feed("abcdef")
    assert screen.text() == "abcd\nef"


def test_an_unknown_sequence_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="does not know"):
        Screen(80).feed("\x1b[5X")


def test_a_live_display_is_seen_as_it_stood_last() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=40, height=10, legacy_windows=False)
    with Live("one\ntwo\nthree", console=console, auto_refresh=False) as live:
        live.update("four\nfive", refresh=True)
        live.update("six\nseven\neight", refresh=True)
        screen = Screen(40)
        screen.feed(written.getvalue())
        assert screen.text() == "six\nseven\neight"
