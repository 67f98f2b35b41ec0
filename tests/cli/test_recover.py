"""Does `tradebot recover` tell the truth of what it finds, without a process of its own?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradebot.cli.main import main


def test_a_home_that_cannot_be_one_is_told_and_not_called_a_new_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "afile").touch()
    (tmp_path / "p.toml").write_text(f'[bot]\nstate_dir = "{tmp_path}/afile"\n')
    assert main(["recover", "--profile", str(tmp_path / "p.toml"), "--dry-run"]) == 1
    assert f"{tmp_path}/afile is no folder" in capsys.readouterr().err
