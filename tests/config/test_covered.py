"""Is an edit told to have no effect exactly where something else stands over what the files say?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradebot.config.covered import without_effect
from tradebot.config.loader import Loaded, load_profile

STEPS = "[execution.wait_ms]\nIOC = {ioc}\nGTC = {gtc}\n"


def loaded(folder: Path, text: str, environ: dict[str, str], **switches: bool) -> Loaded:
    path = folder / "p.toml"
    path.write_text(text)
    return load_profile(str(path), environ, switches=switches)


@pytest.mark.parametrize(
    ("old", "new", "environ", "told"),
    [
        ("drop.threshold_bps = 30", "drop.threshold_bps = 35", {}, []),
        (
            "drop.threshold_bps = 30",
            "drop.threshold_bps = 35",
            {"TRADEBOT__DROP__THRESHOLD_BPS": "40"},
            ["drop.threshold_bps is set by TRADEBOT__DROP__THRESHOLD_BPS, the edit has no effect"],
        ),
        ("drop.threshold_bps = 30", "drop.threshold_bps = 30 # so", {"TRADEBOT__DROP__THRESHOLD_BPS": "40"}, []),
        ("", "drop.threshold_bps = 30", {"TRADEBOT__DROP__THRESHOLD_BPS": "30"},
         ["drop.threshold_bps is set by TRADEBOT__DROP__THRESHOLD_BPS, the edit has no effect"]),
        (
            STEPS.format(ioc=5_001, gtc=5_002),
            STEPS.format(ioc=5_003, gtc=5_004),
            {"TRADEBOT__EXECUTION__WAIT_MS": "{ IOC = 5_009 }"},
            ["execution.wait_ms.IOC is set by TRADEBOT__EXECUTION__WAIT_MS, the edit has no effect"],
        ),
    ],
    ids=["free", "hidden", "unchanged", "new-key", "within-a-table"],
)  # fmt: skip
def test_a_variable_hides_what_it_sets_and_nothing_else(
    tmp_path: Path, old: str, new: str, environ: dict[str, str], told: list[str]
) -> None:
    before, after = (loaded(tmp_path, text, environ) for text in (old, new))
    assert list(without_effect(before.covered, after.covered)) == told


def test_a_toggle_set_by_hand_hides_what_the_files_say_of_it(tmp_path: Path) -> None:
    before = loaded(tmp_path, "", {}, metrics=False)
    after = loaded(tmp_path, "features.metrics = true", {}, metrics=False)
    (told,) = without_effect(before.covered, after.covered)
    assert told == (
        "features.metrics is set over the profile, the edit has no effect: `tradebot feature clear metrics`"
    )
