"""What does a file or a variable get that no person would write? One line of refusal, never a traceback or a hang."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from tradebot.config.extends import MOST_FILES
from tradebot.config.faults import MOST, ProfileInvalid, shown
from tradebot.config.loader import load_profile
from tradebot.config.reading import LARGEST_BYTES
from tradebot.config.wording import HINTS

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
        ("[budget]\nper_trade_quote = 1e-999999\n", "p.toml:2:1: budget.per_trade_quote: 1E-999999 has more than 40"),
        (f"{'k' * 900_000} = 1\n", "p.toml:1:1: kkkk"),
        (f"a = {{ {'k' * 400_000} = 1, {'k' * 400_000} = 2 }}\n", "p.toml:1:"),
        (f'extends = "{"a/" * 400_000}"\n', 'p.toml:1:1: extends: "a/a/'),
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
    (line,) = told()
    assert line.startswith(fault)
    assert len(line) < 1_300 if "kkk" in text else len(line) < 300
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
    assert told("pipe.toml") == ["pipe.toml: is no file, but a pipe or a device"]
    assert told("folder.toml") == ["folder.toml: is a folder"]


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
    assert len(shown(1e-300)) < 70


# -- too much of it ------------------------------------------------------------------------------------


def test_a_file_too_large_for_a_profile_is_refused_unread() -> None:
    with open("large.toml", "wb") as file:
        file.truncate(1_500_000_000)
    Path("p.toml").write_text('extends = "large.toml"\n')
    tracemalloc.start()
    begun = time.monotonic()
    try:
        assert told() == ["p.toml:1:1: extends: large.toml is larger than 1 MiB: a profile is a few kilobytes"]
        assert told("large.toml") == ["large.toml: is larger than 1 MiB: a profile is a few kilobytes"]
        assert tracemalloc.get_traced_memory()[1] < 16 * LARGEST_BYTES
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < 2


def test_the_largest_profile_is_read() -> None:
    Path("p.toml").write_bytes(b"#" * LARGEST_BYTES)
    assert load_profile("p.toml", {}).files[0].source == b"#" * LARGEST_BYTES
    Path("p.toml").write_bytes(b"#" * (LARGEST_BYTES + 1))
    assert len(told()) == 1


def test_of_very_many_unknown_keys_the_first_are_told_soon_and_the_others_counted() -> None:
    keys = [f"per_trade_qote_{number}" for number in range(10_000)]
    Path("p.toml").write_text("[budget]\n" + "".join(f"{key} = 1\n" for key in keys))
    begun = time.process_time()
    lines = told()
    assert time.process_time() - begun < 3
    assert [line.partition(": unknown key")[0] for line in lines[:-1]] == [
        f"p.toml:{number + 2}:1: budget.{keys[number]}" for number in range(MOST)
    ]
    hints = ["did you mean `per_trade_quote`?" in line for line in lines[:-1]]
    assert hints == [True] * HINTS + [False] * (MOST - HINTS)
    assert lines[-1] == "p.toml: and 9,900 more"


def test_as_many_faults_as_are_told_are_all_told() -> None:
    Path("p.toml").write_text("".join(f"k{number} = 1\n" for number in range(MOST)))
    assert "more" not in told()[-1]
    assert len(told()) == MOST


def test_a_profile_of_very_many_files_is_refused_where_it_goes_on() -> None:
    for number in range(MOST_FILES + 10):
        Path(f"{number}.toml").write_text(f'extends = "{number + 1}.toml"\n')
    assert told("0.toml") == [f"{MOST_FILES - 1}.toml:1:1: extends: more than 100 files make up this profile"]
    Path("p.toml").write_text(f"extends = {[f'none{number}' for number in range(5_000)]}\n")
    assert len(told()) == MOST_FILES


# -- names and links -----------------------------------------------------------------------------------


def test_a_name_that_is_not_utf_8_is_refused_in_a_line_that_can_be_written() -> None:
    name = os.fsdecode(b"caf\xe9.toml")
    Path(name).write_text("")
    (line,) = told(name)
    assert (
        line.encode()
        == b'"caf\\udce9.toml": its name is not UTF-8, and could not be told in records and logs: rename it'
    )


def test_a_link_that_leads_to_no_file_is_told_as_such() -> None:
    for link, target in (("own.toml", "own.toml"), ("one.toml", "two.toml"), ("two.toml", "one.toml")):
        Path(link).symlink_to(target)
    Path("lost.toml").symlink_to("gone.toml")
    assert told("own.toml") == ["own.toml: is a link to itself"]
    assert told("own") == ["own: own.toml is a link to itself"]
    assert told("one.toml") == ["one.toml: is a link to two.toml, which leads to no file"]
    Path("p.toml").write_text('extends = ["own.toml", "lost.toml"]\n')
    assert told() == [
        "p.toml:1:12: extends: own.toml is a link to itself",
        "p.toml:1:24: extends: lost.toml is a link to gone.toml, which leads to no file",
    ]


def test_a_link_that_leads_to_no_file_does_not_hide_the_profile_of_that_name() -> None:
    Path("demo.toml").symlink_to("gone.toml")
    Path("profiles").mkdir()
    Path("profiles/demo.toml").write_text("")
    assert load_profile("demo", {}).path == "profiles/demo.toml"
