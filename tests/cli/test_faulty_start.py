"""Is a start on a profile with faults told how the version that was in force comes back?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradebot.cli.main import main
from tradebot.config.loader import load_profile
from tradebot.config.show import effective
from tradebot.domain.generation import Generation, ProfileText
from tradebot.storage.history import History

SOUND = '[bot]\ninstance = "my"\n'
FAULTY = f"{SOUND}[drop]\ntreshold_bps = 3\n"
FAULT = "my.toml:4:1: drop.treshold_bps: unknown key; did you mean `threshold_bps`?"
BACK = "generation 1 was in force: `tradebot rollback 1 --profile my.toml` brings its text back"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ran(text: str, path: str = "my.toml") -> History:
    """Leave a home in which generation 1 with this text was in force; return its history."""
    Path("my.toml").write_text(text)
    loaded = load_profile("my.toml", {})
    home = Path("state/my")
    home.mkdir(parents=True)
    history = History.open(home / "profiles.sqlite", 1.0)
    history.begin(
        Generation(
            number=1,
            at_ms=1,
            cause="start",
            who="start",
            path=path,
            digest=loaded.digest,
            files=tuple(ProfileText(path, one.source) for one in loaded.files),
            effective=effective(loaded),
        )
    )
    history.commit(1, 1)
    return history


def start(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what a start on `my.toml` says, which ends with exit code 2."""
    assert main(["--profile", "my.toml"]) == 2
    return capsys.readouterr().err.splitlines()


def test_the_faults_are_told_and_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    ran(SOUND).close()
    Path("my.toml").write_text(FAULTY)
    on_faulty = '`start.on_faulty = "exits_only"` would have gone on selling'
    assert start(capsys) == [FAULT, f"{BACK}; {on_faulty}"]


def test_what_would_have_gone_on_selling_is_not_told_to_who_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    ran(f'{SOUND}[start]\non_faulty = "exits_only"\n').close()
    Path("my.toml").write_text(f"{SOUND}[drop]\ntreshold_bps = 3\n")
    assert start(capsys)[-1] == BACK


def test_a_first_start_has_no_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.toml").write_text(FAULTY)
    assert start(capsys) == [FAULT]


@pytest.mark.parametrize("why", ["condemned", "another profile", "damaged", "the environment", "the same text"])
def test_where_it_would_not_help_it_is_not_told(
    why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    history = ran(SOUND, path="other.toml" if why == "another profile" else "my.toml")
    if why == "condemned":
        history.condemn(1, 2, "it crashed", "guard")
    history.close()
    if why == "damaged":
        Path("state/my/profiles.sqlite").write_bytes(b"no database at all" * 100)
    if why == "the environment":
        monkeypatch.setenv("TRADEBOT__DROP__TRESHOLD_BPS", "3")
    elif why != "the same text":
        Path("my.toml").write_text(FAULTY)
    if why == "the same text":
        Path("base.toml").write_text("[drop]\ntreshold_bps = 3\n")
        Path("my.toml").write_text(f'extends = "base.toml"\n{SOUND}')
        _rewrite(Path("my.toml"))
    assert all("was in force" not in line for line in start(capsys))


def _rewrite(path: Path) -> None:
    """Let generation 1 have the faulty files that stand on the disk, as after a newer version refuses a setting."""
    files = tuple(ProfileText(one, Path(one).read_bytes()) for one in ("base.toml", str(path)))
    history = History.open(Path("state/my/profiles.sqlite"), 1.0)
    force = history.in_force()
    assert force is not None
    history.begin(
        Generation(
            number=2,
            at_ms=2,
            cause="start",
            who="start",
            path=str(path),
            digest="f" * 64,
            files=files,
            effective=force.effective,
        )
    )
    history.commit(2, 2)
    history.close()
