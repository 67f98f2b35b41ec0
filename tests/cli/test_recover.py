"""Does `tradebot recover` tell the truth of what it finds, without a process of its own?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradebot.cli.main import main


@pytest.mark.parametrize(
    ("place", "why"), [("{}/afile", "{}/afile is no folder"), ("/proc/x", "nothing can be written")]
)
def test_a_home_that_cannot_be_one_is_told_and_not_called_a_new_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, why: str
) -> None:
    (tmp_path / "afile").touch()
    (tmp_path / "p.toml").write_text(f'[bot]\nstate_dir = "{place.format(tmp_path)}"\n')
    assert main(["recover", "--profile", str(tmp_path / "p.toml"), "--dry-run"]) == 1
    assert why.format(tmp_path) in capsys.readouterr().err
