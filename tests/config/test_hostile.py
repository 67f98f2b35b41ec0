"""What does a file or a variable get that no person would write? One line of refusal, never a traceback or a hang."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tradebot.config.faults import ProfileInvalid, shown
from tradebot.config.loader import load_profile

NINES = "9" * 5_000


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(name: str = "p.toml", environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile(name, environ or {})
    return [str(fault) for fault in invalid.value.faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"[bot]\nseed = {NINES}\n", "p.toml:2:8: a number of 5,000 digits is no quantity"),
        (f"[bot]\nseed = 0x{'f' * 5_000}\n", "p.toml:2:1: bot.seed: 3980276840"),
        ("[drop]\nthreshold_bps = 1e9999999999999999999\n", "p.toml:2:1: drop.threshold_bps: nan is no quantity"),
        (f"[drop]\nthreshold_bps = 0.{'1' * 5_000}\n", "p.toml:2:1: drop.threshold_bps: 0.1111"),
        (f"[drop]\nthreshold_bps = {'1' * 4_000}.5\n", "p.toml:2:1: drop.threshold_bps: 1111"),
        (f"a = {'[' * 20_000}{']' * 20_000}", "p.toml:1:1: arrays or tables are nested too deeply"),
        (f"[{'a.' * 50_000}b]\nx = 1", "p.toml:1:1: arrays or tables are nested too deeply"),
        ('[bot]\nstate_dir = "a\\u0000b"', 'p.toml:2:1: bot.state_dir: "a\\u0000b" is no folder\'s name'),
        (
            '[market]\nsymbols = ["\\u001b[31m/USDT"]',
            'p.toml:2:12: market.symbols[0]: "\\u001b[31m/USDT" is not a symbol',
        ),
        ('[market]\nsymbols = ["A B/USDT"]', 'p.toml:2:12: market.symbols[0]: "A B/USDT" is not a symbol'),
        ('"a\\u009bb" = 1', 'p.toml:1:1: "a\\u009bb": unknown key'),
    ],
)
def test_what_no_person_would_write_is_refused_in_a_short_line(text: str, fault: str) -> None:
    Path("p.toml").write_text(text)
    if not fault:
        assert load_profile("p.toml", {}).profile.drop.threshold_bps < 1
        return
    (line,) = told()
    assert line.startswith(fault)
    assert len(line) < 300
    assert line.isprintable()


def test_a_pipe_a_device_and_a_folder_are_no_profiles() -> None:
    os.mkfifo("pipe.toml")
    Path("folder.toml").mkdir()
    Path("p.toml").write_text('extends = ["pipe.toml", "/dev/zero", "folder.toml"]')
    assert told() == [
        "p.toml:1:12: extends: pipe.toml is no file, but a pipe or a device",
        "p.toml:1:25: extends: /dev/zero is no file, but a pipe or a device",
        "p.toml:1:38: extends: folder.toml is a folder",
    ]
    assert told("pipe.toml") == ["pipe.toml: pipe.toml is no file, but a pipe or a device"]
    assert told("folder.toml") == ["folder.toml: folder.toml is a folder"]


@pytest.mark.parametrize("value", [NINES, "1e9999999999999999999", "[" * 20_000])
def test_a_variable_that_no_person_would_write_is_refused_too(value: str) -> None:
    Path("p.toml").write_text("")
    (line,) = told(environ={"TRADEBOT__BUDGET__PER_TRADE_QUOTE": value})
    assert line.startswith("$TRADEBOT__BUDGET__PER_TRADE_QUOTE: budget.per_trade_quote: ")
    assert len(line) < 300


def test_a_variable_of_two_lines_is_one_text() -> None:
    Path("p.toml").write_text("")
    (line,) = told(environ={"TRADEBOT__BOT__STATE_DIR": "a\nb = 1"})
    assert line.startswith('$TRADEBOT__BOT__STATE_DIR: bot.state_dir: "a\\nb = 1" is no folder\'s name')


def test_a_state_folder_in_the_sessions_folder_is_found_by_any_name() -> None:
    for name in ("sessions/state", "./sessions", "x/../sessions/state", str(Path("sessions/state").absolute())):
        Path("p.toml").write_text(f'[bot]\nstate_dir = "{name}"\n')
        assert "which is emptied of old runs" in told()[0]


def test_values_are_shown_short_and_printable() -> None:
    assert shown("\x1b]0;title\x07") == '"\\u001b]0;title\\u0007"'
    assert shown("Zürich") == '"Zürich"'
    assert len(shown(10**6_000)) < 70
