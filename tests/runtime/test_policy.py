"""Does an edit that loosens a limit wait, and does nothing else?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradebot.config.diff import Change, diff
from tradebot.config.loader import load_profile
from tradebot.runtime.policy import reason_to_wait


def changes(folder: Path, before: str, after: str) -> tuple[Change, ...]:
    loaded = []
    for name, text in (("a.toml", before), ("b.toml", after)):
        (folder / name).write_text(text)
        loaded.append(load_profile(str(folder / name), {}))
    return diff(*loaded)


LOOSER = [
    ("[budget]\nmax_positions = 10\n", "[budget]\nmax_positions = 40\n", "budget.max_positions"),
    ("[exits]\nstop_loss_bps = 400\n", '[exits]\nstop_loss_bps = "off"\n', "exits.stop_loss_bps"),
    ("[drop]\nthreshold_bps = 250\n", "[drop]\nthreshold_bps = 200\n", "drop.threshold_bps"),
    ("[features]\nexits = true\n", "[features]\nexits = false\n", "features.exits"),
    ('[reload]\nmode = "confirm"\n', '[reload]\nmode = "auto"\n', "reload.mode"),
]


@pytest.mark.parametrize(("before", "after", "key"), LOOSER)
def test_an_edit_that_loosens_a_limit_waits_and_names_it(tmp_path: Path, before: str, after: str, key: str) -> None:
    waits, reason = reason_to_wait(changes(tmp_path, before, after), "auto")
    assert waits == (key,)
    assert reason.startswith(f"loosens: {key} ")


@pytest.mark.parametrize(("after", "before", "key"), LOOSER)
def test_the_same_edit_the_other_way_does_not_wait(tmp_path: Path, before: str, after: str, key: str) -> None:
    found = changes(tmp_path, before, after)
    assert [change.key for change in found] == [key]
    assert reason_to_wait(found, "auto") == ((), "")


def test_a_tightening_beside_a_loosening_waits_with_it_and_only_the_loosening_is_named(tmp_path: Path) -> None:
    found = changes(
        tmp_path,
        "[budget]\nmax_positions = 10\n[exits]\nstop_loss_bps = 400\n",
        "[budget]\nmax_positions = 11\n[exits]\nstop_loss_bps = 300\n",
    )
    assert len(found) == 2
    assert reason_to_wait(found, "auto") == (("budget.max_positions",), "loosens: budget.max_positions 10 → 11")


def test_in_mode_confirm_every_edit_of_a_setting_waits(tmp_path: Path) -> None:
    found = changes(tmp_path, "[exits]\nstop_loss_bps = 400\n", "[exits]\nstop_loss_bps = 300\n")
    waits, reason = reason_to_wait(found, "confirm")
    assert waits == ("exits.stop_loss_bps",)
    assert 'reload.mode = "confirm"' in reason


def test_an_edit_of_comments_alone_waits_for_nobody(tmp_path: Path) -> None:
    found = changes(tmp_path, "# one\n", "# two\n")
    assert found == ()
    assert reason_to_wait(found, "confirm") == ((), "")


def test_a_text_that_was_rolled_back_waits_whatever_it_changes(tmp_path: Path) -> None:
    found = changes(tmp_path, "[exits]\nstop_loss_bps = 400\n", "[exits]\nstop_loss_bps = 300\n")
    waits, reason = reason_to_wait(found, "auto", "errors a minute 9 (≤ 5)")
    assert waits == ("exits.stop_loss_bps",)
    assert reason == "it was rolled back before: errors a minute 9 (≤ 5)"
