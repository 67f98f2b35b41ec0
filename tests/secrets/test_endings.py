"""Does a process that breaks, or is asked wrongly, show a key? Each is a real process with real keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE_S, ROOT
from tests.secrets.planting import ENVIRON, KEY, PASSWORD, SECRET, found_below, found_in

PROFILE = """
[bot]
instance = "planted"
[venue]
kind = "ccxt"
[feed]
kind = "ccxt"
[exchange]
base_url = "http://127.0.0.1:9"
request_timeout_s = 2
start_patience_s = 0
[market]
symbols = ["SYN001/USDT"]
"""


def run(
    folder: Path, *words: str, env: Mapping[str, str] = ENVIRON, program: tuple[str, ...] = ("-m", "tradebot.cli.main")
) -> subprocess.CompletedProcess[str]:
    """Run the command line with planted keys in `folder`; return how it ended."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRADEBOT")}
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        check=False,
    )


def broken(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with one thing broken."""
    return run(folder, how, "validate", "x.toml", program=(str(Path(__file__).with_name("breaking.py")),))


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("uncaught", 1, "SignedAway: GET https://x/?key=***"),
        ("in_thread", 0, "Exception in thread signs with ***"),
        ("unraisable", 0, "SignedAway"),
        ("logged", 0, "with ***"),
        ("forgotten", 0, "Task exception was never retrieved"),
    ],
)
def test_no_error_that_nobody_caught_shows_a_key(tmp_path: Path, how: str, code: int, says: str) -> None:
    ended = broken(tmp_path, how)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr
    assert "Traceback" in ended.stderr
    assert found_in(ended.stdout + ended.stderr) == []


def test_a_process_that_holds_keys_leaves_no_core_file(tmp_path: Path) -> None:
    assert "CORE 1" in broken(tmp_path, "limits").stdout or "CORE 0" in broken(tmp_path, "limits").stdout
    ended = broken(tmp_path, "aborted")
    assert ended.returncode == -signal.SIGABRT
    assert found_in(ended.stdout + ended.stderr) == []
    assert [path for path in tmp_path.rglob("*") if "core" in path.name] == []


def written(folder: Path, name: str, text: bytes, mode: int = 0o600) -> str:
    """Write a file of a key; return its name."""
    place = folder / name
    place.write_bytes(text)
    place.chmod(mode)
    return str(place)


WRONG: Mapping[str, tuple[Mapping[str, str], str]] = {
    "a key with a line end": ({"TRADEBOT_API_KEY": f"{KEY}\n{SECRET}"}, "holds several lines"),
    "a secret with a blank": ({"TRADEBOT_API_SECRET": f"{SECRET} {PASSWORD}"}, "holds a blank"),
    "both ways": ({"TRADEBOT_API_KEY_FILE": "there"}, "are both set"),
    "an override": ({"TRADEBOT__EXCHANGE__API_KEY": KEY}, "no setting is a secret"),
    "an override of the secret": ({"TRADEBOT__EXCHANGE__SECRET": SECRET}, "no setting is a secret"),
    "an override of another": ({"TRADEBOT__EXCHANGE__REQUEST_TIMEOUT_S": SECRET}, "exchange.request_timeout_s"),
    "an unknown override": ({"TRADEBOT__EXCHANGE__APPKEY": KEY}, "names no setting"),
    "nobody there": ({}, "ExchangeNotAvailable"),
}


BOT, DOCTOR = ("--headless",), ("doctor", "--json", "--offline")
DIFFERENT = ("a key with a line end", "an unknown override", "nobody there")
"""Wrong ways that the doctor meets elsewhere than a start does; the others are read by the code they share."""


@pytest.mark.parametrize(
    ("words", "case"),
    [
        *((BOT, case) for case in WRONG),
        *(pytest.param(DOCTOR, case, marks=() if case in DIFFERENT else pytest.mark.soak) for case in WRONG),
    ],
)
def test_no_wrong_way_to_hand_keys_over_shows_one(tmp_path: Path, case: str, words: tuple[str, ...]) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    more, says = WRONG[case]
    typed = words if "--headless" not in words else ("--headless",)
    ended = run(tmp_path, *typed, "--profile", "p.toml", env={**ENVIRON, **more})
    told = ended.stdout + ended.stderr
    offline_cannot_know = case == "nobody there" and "doctor" in words
    assert ended.returncode in ({0, 1} if offline_cannot_know else {1, 2, 7}), told
    assert says in told or offline_cannot_know
    assert "Traceback" not in told
    assert found_in(told) == []
    assert found_below(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (SECRET.encode(), 0o644, "has mode 0644"),
        (b"", 0o600, "is empty"),
        (b"\xff" + SECRET.encode(), 0o600, "is not text"),
        (SECRET.encode() + b"\0", 0o600, "holds a character that no key has"),
    ],
)
def test_no_file_that_is_refused_is_quoted(tmp_path: Path, text: bytes, mode: int, says: str) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    (tmp_path / "keys").mkdir()
    place = written(tmp_path / "keys", "secret", text, mode)
    ended = run(
        tmp_path, "--headless", "--profile", "p.toml", env={"TRADEBOT_API_KEY": KEY, "TRADEBOT_API_SECRET_FILE": place}
    )
    assert says in ended.stdout + ended.stderr or "markets cannot be had" in ended.stderr
    assert found_in(ended.stdout + ended.stderr) == []
    assert found_below(tmp_path, but=[Path(place)]) == {}


MISTAKES: Mapping[str, str] = {
    "api_key": f'[exchange]\napi_key = "{KEY}"\n',
    "apiKey": f'[exchange]\napiKey = "{KEY}"\n',
    "secret": f'[exchange]\nsecret = """{SECRET}"""\n',
    "a table": f'[credentials]\nkey = "{KEY}"\n',
    "deep": f'[exchange.auth]\ninner = {{ password = "{KEY}" }}\n',
    "unfinished": f'[exchange]\napi_key = "{KEY}\n',
    "no value": f"[exchange]\napi_key = {KEY}\n",
    "a wrong place": f'[exchange]\nrequest_timeout_s = "{KEY}"\n',
    "an address": f'[exchange]\nbase_url = "https://{KEY}@example.org"\n',
    "a name": f'[exchange]\nname = "{KEY}"\n',
    "a table's name": f"[{KEY}]\nx = 1\n",
}


KNOWN_BY_ITS_PLACE = {"api_key", "apiKey", "secret", "a table", "deep", "unfinished", "no value"}
"""Mistakes of which nothing is echoed, though the process does not know the key."""


@pytest.mark.parametrize("keyed", [True, False])
def test_no_key_in_any_of_many_profiles_is_echoed(tmp_path: Path, keyed: bool) -> None:
    names = [mistake for mistake in MISTAKES if keyed or mistake in KNOWN_BY_ITS_PLACE]
    files = {f"p{number}.toml": MISTAKES[mistake] for number, mistake in enumerate(names)}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ended = run(tmp_path, "validate", *files, env=ENVIRON if keyed else {})
    told = ended.stdout + ended.stderr
    assert ended.returncode in {1, 2}, told
    silent = [mistake for mistake, name in zip(names, files, strict=True) if name not in told]
    assert silent in ([], ["an address"]), "an address with a key in it is one that a profile may name"
    assert "Traceback" not in told
    assert found_in(told) == []


@pytest.mark.soak
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("keyed", [True, False])
def test_a_key_in_a_profile_is_not_echoed(tmp_path: Path, mistake: str, keyed: bool) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text(MISTAKES[mistake])
    ended = run(tmp_path, "validate", "p.toml", env=ENVIRON if keyed else {})
    told = ended.stdout + ended.stderr
    assert ended.returncode in {1, 2} or mistake == "an address", told
    assert "Traceback" not in told
    if keyed or mistake in KNOWN_BY_ITS_PLACE:
        assert found_in(told) == []


@pytest.mark.parametrize(
    "typed",
    [
        ("--profile", KEY, "--headless"),
        ("--headless", "--profile", "p.toml", "--api-key", KEY),
        ("--headless", "--profile", "p.toml", f"--secret={KEY}"),
        (KEY,),
        ("--for", KEY, "--profile", "p.toml"),
        ("doctor", "--profile", KEY),
        ("validate", KEY),
        ("status", KEY),
        ("sandbox", "--balance", KEY),
    ],
)
def test_a_key_that_is_typed_in_the_wrong_place_is_not_echoed(tmp_path: Path, typed: tuple[str, ...]) -> None:
    ended = run(tmp_path, *typed, env={})
    assert ended.returncode != 0
    assert "***" in ended.stdout + ended.stderr
    assert found_in(ended.stdout + ended.stderr) == []
