"""Is what one types after `tradebot sandbox` understood, or refused in words?"""

from __future__ import annotations

import argparse
import re
import socket
from pathlib import Path

import pytest

from tradebot.cli.main import main
from tradebot.cli.sandbox import add_arguments
from tradebot.domain.errors import ExitCode


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("--balance", "USDT"), "'USDT' is no balance: write USDT=10000"),
        (("--balance", "USDT=-1"), "'-1' is no amount"),
        (("--count", "0"), "'0' is no number of symbols from 1 to 2000"),
        (("--symbols", "BTCUSDT"), "'BTCUSDT' is not a symbol"),
        (("--maker-bps", "NaN"), "'NaN' is no amount"),
    ],
)
def test_a_word_that_means_nothing_is_refused(
    typed: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", *typed])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_day_without_length_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--scale-day", "0"]) == ExitCode.BAD_PROFILE
    assert "--scale-day" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["sandbox", "--port", str(port), "--count", "1"]) == ExitCode.CRASHED
    assert f"port {port} of 127.0.0.1 cannot be listened on" in capsys.readouterr().err


def test_a_market_that_is_not_there_and_a_faults_file_that_is_wrong_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", "--market", str(tmp_path / "nothing")]) == ExitCode.CRASHED
    assert "nothing" in capsys.readouterr().err
    faults = tmp_path / "faults.toml"
    faults.write_text('[market]\nhalted = ["NOPEUSDT"]\n', encoding="utf-8")
    assert main(["sandbox", "--faults", str(faults), "--count", "1"]) == ExitCode.BAD_PROFILE
    assert "NOPEUSDT" in capsys.readouterr().err
    faults.write_text("nonsense = 1\n", encoding="utf-8")
    assert main(["sandbox", "--faults", str(faults), "--count", "1"]) == ExitCode.BAD_PROFILE
    assert "faults.toml:1" in capsys.readouterr().err


def test_the_page_names_every_option() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    options = {action.option_strings[0] for action in parser._actions}
    rows = {
        option for row in re.findall(r"^\| (.*?) \|", page, re.MULTILINE) for option in re.findall(r"--[a-z-]+", row)
    }
    assert rows == options
