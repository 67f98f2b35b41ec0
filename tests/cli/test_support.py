"""Can what `tradebot support` bundles be posted? Nothing in it says who somebody is, or holds a key."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.integration.processes import write_profile
from tests.secrets.planting import ENVIRON, KEY, echo, found_in
from tests.storage.journals import WAIT_S, fact, fill, open_journal
from tradebot.cli.main import main
from tradebot.cli.support import FACTS, Hider
from tradebot.storage.session import Session

MAIL, ADDRESS, SIXTH = "ana.marsh@example.org", "203.0.113.77", "2001:db8::8a2e:370:7334"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a bot's profile, session and journal, in which everything is planted."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    write_profile(tmp_path, '\n[bot]\ninstance = "ask"\n')
    for number, (instance, text) in enumerate((("other", "not asked for"), ("ask", "older"), ("ask", "newest"))):
        session = Session.create(
            tmp_path / "sessions", "quick", 1_700_000_000_000 + 1_000 * number, kind="run", instance=instance,
            synthetic=True, money="paper money",
        )  # fmt: skip
        said = f"{text}: {echo()} mailed to {MAIL} from {ADDRESS} and {SIXTH} at 00:01:22, not from 127.0.0.1"
        (session.logs / "system.jsonl").write_text(json.dumps({"message": said}) + "\n")
        (session.folder / "stackdump.txt").write_text(f"-- task of {KEY} in {Path.home()}/bot\n")
        (session.folder / "profiles" / "p.toml").write_text(f"# {KEY}\n")
        session.close()
    (tmp_path / "state" / "ask").mkdir(parents=True)
    journal = open_journal(tmp_path / "state" / "ask" / "journal.sqlite")
    journal.append([fact(1), *(fill(number) for number in range(FACTS))], 1_700_000_000_000)
    assert journal.close(WAIT_S)
    return tmp_path


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


def test_a_bundle_holds_what_helps_and_nobody_s_secrets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "--profile", "quick.toml"]) == 0
    bundle = folder / "support-ask.zip"
    assert bundle.stat().st_mode & 0o777 == 0o600
    told = contents(bundle)
    assert set(told) == {
        "versions.json", "profile.toml", "session.json", "logs/system.jsonl", "stackdump.txt", "journal.jsonl",
    }  # fmt: skip
    assert {name: found for name, text in told.items() if (found := found_in(text))} == {}
    assert found_in(bundle.read_bytes()) == []
    everything = "".join(told.values())
    assert [word for word in (MAIL, "ana.marsh", ADDRESS, SIXTH, str(Path.home() / "bot")) if word in everything] == []
    assert "newest: ***" in told["logs/system.jsonl"]
    assert "at 00:01:22, not from 127.0.0.1" in told["logs/system.jsonl"]
    assert 'instance = "ask"' in told["profile.toml"]
    assert len(told["journal.jsonl"].splitlines()) == FACTS
    listed = capsys.readouterr().out
    assert all(name in listed for name in told)


def test_the_running_bot_s_records_are_in_it_beside_those_of_a_start_that_was_refused(folder: Path) -> None:
    def begun(now_ms: int, said: str) -> Session:
        session = Session.create(
            folder / "sessions", "quick", now_ms, kind="run", instance="ask", synthetic=True, money="paper money"
        )
        (session.logs / "system.jsonl").write_text(said)
        return session

    running = begun(1_700_000_100_000, "of the running bot")
    begun(1_700_000_101_000, "refused before").close(exit_code=1)
    begun(1_700_000_102_000, "refused last").close(exit_code=1)
    assert main(["support", "--profile", "quick.toml"]) == 0
    told = contents(folder / "support-ask.zip")
    assert told["logs/system.jsonl"] == "of the running bot"
    assert told["newest_start/logs/system.jsonl"] == "refused last"
    assert json.loads(told["newest_start/session.json"])["exit_code"] == 1
    assert json.loads(told["session.json"])["ended_ms"] is None
    running.close()


def test_the_list_is_told_without_writing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "--profile", "quick.toml", "--list"]) == 0
    assert "logs/system.jsonl" in capsys.readouterr().out
    assert list(folder.glob("*.zip")) == []


def test_no_file_is_written_over_and_keys_that_are_not_known_are_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "here.zip").write_text("mine")
    for name in ENVIRON:
        monkeypatch.delenv(name)
    assert main(["support", "--profile", "quick.toml", "--out", "here.zip"]) == 1
    assert (folder / "here.zip").read_text() == "mine"
    said = capsys.readouterr().err
    assert "no key is looked for" in said
    assert "here.zip: the bundle cannot be written (File exists)" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from 198.51.100.4:443 to ::1", "from <address>:443 to ::1"),
        ("ccxt 4.5.90 at 12:30:05.123", "ccxt 4.5.90 at 12:30:05.123"),
        ("2026-11-22T23:31:55Z", "2026-11-22T23:31:55Z"),
        ("fe80::1ff:fe23:4567:890a", "<address>"),
        ("on far-machine in /home/ana/x", "on <machine> in ~/x"),
    ],
)
def test_addresses_are_told_from_times_and_versions(text: str, told: str) -> None:
    assert Hider("/home/ana", "far-machine").text(text) == told
