"""Is what one types after `tradebot sandbox` understood, or refused in words?"""

from __future__ import annotations

import argparse
import re
import signal
import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from tradebot.cli.main import main
from tradebot.cli.sandbox import MOST_HISTORY_MINUTES, add_arguments
from tradebot.config.sections.feed import SyntheticFeed
from tradebot.domain.errors import ExitCode
from tradebot.sandbox.market import SymbolMarket
from tradebot.sandbox.market_feed import SyntheticMarketFeed


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("--balance", "USDT"), "'USDT' is no balance: write USDT=10000"),
        (("--balance", "USDT=-1"), "'-1' is no amount"),
        (("--count", "0"), "'0' is no number of symbols from 1 to 2000"),
        (("--symbols", "BTCUSDT"), "'BTCUSDT' is not a symbol"),
        (("--maker-bps", "NaN"), "'NaN' is no amount"),
        (("--maker-bps", "20000"), "'20000' is no fee from 0 to 1000 basis points"),
        (("--taker-bps", "1001"), "'1001' is no fee from 0 to 1000 basis points"),
        (("--port", "80000"), "'80000' is no port from 0 to 65535"),
        (("--port", "-1"), "'-1' is no port from 0 to 65535"),
        (("--levels", "-1"), "'-1' is no number of levels from 1 to 50"),
        (("--levels", "51"), "'51' is no number of levels from 1 to 50"),
        (("--history", "99999999"), "'99999999' is no number of minutes from 0 to 4320"),
        (("--history", "-5"), "'-5' is no number of minutes from 0 to 4320"),
        (("--quote=",), "'' is no asset"),
        (("--quote", "''"), "is no asset: at most 20 capitals and digits, such as USDT"),
        (("--fee-asset", "bnb"), "'bnb' is no asset"),
        (("--balance", "US/DT=5"), "'US/DT' is no asset"),
    ],
)
def test_a_word_that_means_nothing_is_refused(
    typed: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", *typed])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_the_bounds_of_levels_and_history_are_those_of_what_they_set() -> None:
    assert SyntheticFeed(levels=50).levels == 50
    with pytest.raises(ValidationError):
        SyntheticFeed(levels=51)
    assert SymbolMarket("BTCUSDT", 1).minutes.maxlen == MOST_HISTORY_MINUTES


def test_an_interrupt_while_the_history_is_made_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[str] = []

    def interrupted(_: SyntheticMarketFeed, __: SymbolMarket, pair: str, *___: int) -> None:
        begun.append(pair)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SyntheticMarketFeed, "past", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert main(["sandbox", "--count", "3"]) == ExitCode.INTERRUPTED
    assert len(begun) == 1
    assert capsys.readouterr().err == "tradebot: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("length", ["0", "nan", "inf"])
def test_a_day_without_length_is_refused(length: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--scale-day", length]) == ExitCode.BAD_PROFILE
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
