"""Does `tradebot reload --confirm` apply what the person has seen, and nothing else?"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control.little_bot import DIGEST
from tests.control.serving import ROOT, bot_process
from tradebot.cli.main import main

SHOWN = ["waiting · ID 1a2b3c4d · loosens: budget.max_positions 10 → 40", "  budget.max_positions  10 → 40"]
APPLIED = ["generation 1 → 2 · prod.toml · applied in 14 ms", "  budget.max_positions 10 → 40"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tradebot(*words: str, typed: str | None = None) -> tuple[int, list[str], str]:
    """Return (exit code, lines of stdout, stderr) of a command; `typed` is what a person at the terminal types."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "tradebot.cli.main", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL if typed is None else theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asking:
        if typed is not None:
            os.write(ours, f"{typed}\n".encode())
        out, err = asking.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    return asking.returncode, out.splitlines(), err


def in_force(home: str = "state/prod") -> str:
    """Return the generation in force, as the status' first line names it."""
    _, out, _ = tradebot("status", "--home", home)
    return next(part for part in out[0].split(" · ") if part.startswith("gen "))


def test_where_nobody_can_be_asked_what_waits_at_that_moment_is_shown_and_applied() -> None:
    with bot_process(Path("state/prod").resolve(), "waiting"):
        assert tradebot("reload", "--confirm") == (0, [*SHOWN, *APPLIED], "")


@pytest.mark.parametrize(("reply", "done"), [("yes", True), ("y", False), ("\x04", False)])
def test_at_a_terminal_it_is_shown_and_asked_for(reply: str, done: bool) -> None:
    with bot_process(Path("state/prod").resolve(), "waiting"):
        code, out, err = tradebot("reload", "--confirm", typed=reply)
        assert out[:2] == SHOWN
        assert out[2].startswith("Apply this? Type yes: ")
        assert (code, err) == ((0, "") if done else (1, "tradebot: not done\n"))
        assert in_force() == ("gen 2" if done else "gen 1")


@pytest.mark.parametrize("given", [DIGEST[:8], DIGEST[:8].upper(), DIGEST])
def test_with_its_id_it_is_applied_without_asking(given: str) -> None:
    with bot_process(Path("state/prod").resolve(), "waiting"):
        assert tradebot("reload", "--confirm", given, typed="no") == (0, [*SHOWN, *APPLIED], "")


def test_with_another_id_nothing_is_applied() -> None:
    with bot_process(Path("state/prod").resolve(), "waiting"):
        code, out, err = tradebot("reload", "--confirm", "99887766")
        assert (code, out) == (1, SHOWN)
        assert err == "tradebot: not applied: what waits has the ID 1a2b3c4d, not 99887766\n"
        assert in_force() == "gen 1"


@pytest.mark.parametrize("words", [[], [DIGEST[:8]]], ids=["shown", "by its ID"])
def test_an_edit_saved_after_the_one_that_was_shown_goes_on_waiting(words: list[str]) -> None:
    with bot_process(Path("state/prod").resolve(), "replaced"):
        code, out, err = tradebot("reload", "--confirm", *words, typed="yes")
        assert code == 1
        assert out[:2] == SHOWN
        assert err.startswith("tradebot: not applied: another edit waits by now")
        assert in_force() == "gen 1"


def test_where_nothing_waits_the_text_on_the_disk_is_judged_first(capsys: pytest.CaptureFixture[str]) -> None:
    with bot_process(Path("state/prod").resolve(), "same"):
        assert main(["reload", "--confirm"]) == 0
        assert capsys.readouterr().out == "nothing waits for a confirmation\nunchanged · prod.toml\n"
        assert main(["reload", "--confirm", DIGEST]) == 1
        assert capsys.readouterr().err == f"tradebot: nothing waits that has the ID {DIGEST[:8]}\n"


def test_an_edit_that_was_not_noticed_yet_is_shown_before_it_is_confirmed() -> None:
    with bot_process(Path("state/prod").resolve(), "looser"):
        code, out, _ = tradebot("reload", "--confirm", typed="no")
        assert (code, out[:2]) == (1, SHOWN)
        assert in_force() == "gen 1"


@pytest.mark.parametrize(
    ("typed", "last"), [("yes", "accepted: the next start runs it"), ("no", ""), (None, "accepted")]
)
def test_an_edit_that_needs_a_restart_is_shown_and_accepted_for_the_next_start(typed: str | None, last: str) -> None:
    with bot_process(Path("state/prod").resolve(), "restart"):
        code, out, err = tradebot("reload", "--confirm", typed=typed)
        assert code == 1  # nothing changes in the running bot
        assert out[:2] == ["refused · prod.toml · needs a restart: engine.band", "  engine.band  true → false"]
        assert last in out[-1]
        assert err == ("tradebot: not done\n" if typed == "no" else "")


@pytest.mark.parametrize("word", ["", "1a2b3c", "nonsense", "1a2b3c4d" * 9])
def test_what_is_no_id_is_refused_before_anything_is_asked(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["reload", "--confirm", word])
    assert end.value.code == 2
    assert "`tradebot status` shows that of what waits" in capsys.readouterr().err
