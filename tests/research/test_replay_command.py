"""Does `tradebot replay` say what it did, in the one form a script reads, and leave behind only what it should?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.oracle.market import MINUTE_MS, T0_MS, market, write_csv
from tests.oracle.replaying import ROOT, replay, run, trades_of

KEYS = [
    "candles", "seconds", "cpu_seconds", "load_seconds", "candles_per_s", "trades", "fills", "orders", "intents",
    "fill_rate", "pending_intents_max", "fees_quote", "initial_quote", "final_quote", "pnl_quote", "max_drawdown_pct",
    "conservation_error", "peak_rss_mb", "journal_sha256",
]  # fmt: skip
PROFILE = str(ROOT / "profiles/the-work.toml")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the candles of two symbols."""
    folder = tmp_path_factory.mktemp("candles")
    for seed, base in enumerate(("AAA", "BBB"), 1):
        write_csv(folder, f"{base}-USDT", market(seed, 2_000))
    return folder


def test_json_has_exactly_the_promised_keys_and_its_sums_hold(data: Path, tmp_path: Path) -> None:
    told = replay("the-work", data, tmp_path, "--no-session")
    assert list(told) == KEYS
    trades = [row for rows in trades_of(tmp_path / "trades.csv").values() for row in rows]
    assert len(trades) == told["trades"] > 10
    assert told["pnl_quote"] == sum(Decimal(row["pnl"]) for row in trades)
    held = told["final_quote"] - told["initial_quote"] - told["pnl_quote"]
    assert held <= 0, "what is missing in the balance is what open positions cost"
    assert told["conservation_error"] == 0
    assert 0 < told["max_drawdown_pct"] < 100


def test_without_a_session_nothing_is_left_behind(data: Path, tmp_path: Path) -> None:
    done = run("replay", "--profile", PROFILE, "--data", str(data), "--no-session", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "candles/s of CPU" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_replay_leaves_a_session_that_report_tells_again(data: Path, tmp_path: Path) -> None:
    done = run("replay", "--profile", PROFILE, "--data", str(data), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "sessions").iterdir()
    assert not (tmp_path / "latest_session").exists(), "the latest session is the bot's"
    assert {"report.txt", "report.json", "trades.csv", "journal.sqlite3"} <= {path.name for path in folder.iterdir()}
    again = run("report", folder.name, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert done.stdout.startswith(again.stdout.rstrip("\n"))
    assert (folder / "report.txt").read_text() == again.stdout


def test_a_replays_journal_alone_gives_the_same_figures(data: Path, tmp_path: Path) -> None:
    told = replay("the-work", data, tmp_path)
    (folder,) = (tmp_path / "sessions").iterdir()
    (folder / "report.json").unlink()
    again = run("report", str(folder), "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout, parse_float=Decimal)["sessions"][0]["summary"]
    for name in ("initial_quote", "final_quote", "pnl_quote", "fees_quote", "conservation_error"):
        assert summary[name] == told[name], name
    for name in ("trades", "fills", "orders", "intents"):
        assert summary["counts"][name] == told[name], name


def test_from_and_to_cut_the_recording(data: Path, tmp_path: Path) -> None:
    words = ("--no-session", "--from", "2024-01-01T01:00", "--to", "2024-01-01T02:00:00+00:00")
    assert replay("the-work", data, tmp_path, *words)["candles"] == 2 * 60
    assert T0_MS % (60 * MINUTE_MS) == 0
    assert replay("the-work", data, tmp_path, "--no-session", "--to", "2024-01-02")["candles"] == 2 * 24 * 60


def test_a_recording_that_warms_no_window_or_has_no_volume_says_so(data: Path, tmp_path: Path) -> None:
    words = ("replay", "--profile", PROFILE, "--no-session", "--data")
    short = run(*words, str(data), "--from", "2024-01-01T01:00", "--to", "2024-01-01T01:05", cwd=tmp_path)
    assert "no symbol's price window was ever warm: it needs " in short.stdout, short.stdout + short.stderr
    assert " s of prices, the recording has 240 s; a cold one buys nothing" in short.stdout
    whole = run(*words, str(data), cwd=tmp_path).stdout
    assert "window was" not in whole
    assert "no volume" not in whole
    silent = tmp_path / "silent"
    silent.mkdir()
    for path in data.iterdir():
        header, *rows = path.read_text().splitlines()
        assert header.endswith(",volume")
        emptied = [f"{row.rpartition(',')[0]},0" for row in rows]
        (silent / path.name).write_text("\n".join([header, *emptied, ""]))
    assert "no volume" not in run(*words, str(silent), cwd=tmp_path).stdout, "this profile asks for no volume"
    (tmp_path / "p.toml").write_text(f'extends = "{PROFILE}"\n[feed.recorded]\nshown_size = "volume_share"\n')
    told = run("replay", "--profile", "p.toml", *words[3:], str(silent), cwd=tmp_path).stdout
    assert "no volume was recorded of AAA/USDT, BBB/USDT: nothing was there to be bought or sold" in told


def test_symbols_are_chosen(data: Path, tmp_path: Path) -> None:
    assert replay("the-work", data, tmp_path, "--no-session", "--symbols", "BBB/USDT")["candles"] == 2_000


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--profile", PROFILE, "--data", "nowhere"), 1, "nowhere"),
        (("--profile", PROFILE, "--data", "{data}", "--symbols", "CCC/USDT"), 1, "CCC/USDT"),
        (("--profile", PROFILE, "--data", "{data}", "--symbols", "CCC"), 2, "'CCC' is not a symbol"),
        (("--profile", PROFILE, "--data", "{data}", "--from", "yesterday"), 2, "'yesterday' is no time"),
        (("--profile", PROFILE, "--data", "{data}", "--from", "2030-01-01"), 1, "no symbol has a candle"),
        (
            ("--profile", PROFILE, "--data", "{data}", "--from", "2021-02-02", "--to", "2021-02-01"),
            1,
            "not before --to",
        ),
        (("--profile", "bad.toml", "--data", "{data}"), 2, "bad.toml:2:1: drop.treshold_bps"),
    ],
)
def test_what_cannot_be_replayed_is_said_with_its_exit_code(
    words: tuple[str, ...], code: int, said: str, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text("[drop]\ntreshold_bps = 3\n")
    done = run("replay", *(word.replace("{data}", str(data)) for word in words), cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "sessions").exists()


def test_an_interrupted_replay_says_so_in_one_line(tmp_path: Path) -> None:
    """The recording is a pipe: once it is open on both ends, the command is known to be inside its work."""
    pipe = tmp_path / "AAA-USDT.1m.csv"
    os.mkfifo(pipe)
    words = [sys.executable, "-m", "tradebot.cli.main", "replay", "--profile", "replay", "--data", str(pipe)]
    out_of = subprocess.PIPE
    with (
        subprocess.Popen(words, cwd=ROOT, stdout=out_of, stderr=out_of, text=True) as child,
        pipe.open("w") as recording,
    ):
        recording.write("ts,open,high,low,close,volume\n")
        recording.flush()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=50)
    assert child.returncode == 130
    assert out == ""
    assert err == "tradebot replay: interrupted, nothing is reported\n"


def test_a_replay_loads_neither_ccxt_nor_textual_nor_asyncio(data: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from tradebot.cli.main import main; "
        f"code = main(['replay', '--profile', {PROFILE!r}, '--data', {str(data)!r}, '--no-session', '--json']); "
        "print(sorted({'ccxt', 'textual', 'asyncio'} & sys.modules.keys()), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_an_outage_of_the_recording_is_named(tmp_path: Path) -> None:
    row = "{},100,101,99,100,5\n"
    minutes = [*range(5), *range(65, 70)]
    for name in ("AAA-USDT.1m.csv", "BBB-USDT.1m.csv"):
        rows = "".join(row.format(1_704_067_200_000 + 60_000 * minute) for minute in minutes)
        (tmp_path / name).write_text("ts,open,high,low,close,volume\n" + rows)
    words = ["replay", "--profile", str(ROOT / "profiles/replay.toml"), "--data", str(tmp_path), "--no-session"]
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "outages in the recording, nothing is made up for them: 01-01 00:05 to 01-01 01:05" in done.stdout
