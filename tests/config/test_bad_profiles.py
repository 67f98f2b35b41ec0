"""Is every mistake a person makes told where it stands, in words that mend it? A folder of them, with what is said."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import load_profile

FOLDER = Path(__file__).parent / "bad_profiles"
EXPECTED: dict[str, list[str]] = tomllib.loads((FOLDER / "expected.toml").read_text(encoding="utf-8"))
PROFILES = sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != "expected")


@pytest.mark.parametrize("name", PROFILES)
def test_every_fault_is_told_exactly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile(f"{name}.toml", {})
    assert [str(fault) for fault in invalid.value.faults] == EXPECTED[name]


def test_every_bad_profile_is_expected_and_there_are_many() -> None:
    assert set(EXPECTED) == set(PROFILES)
    assert len(PROFILES) >= 120


@pytest.mark.parametrize("name", [name for name in PROFILES if name.startswith("secret_")])
def test_a_secret_is_never_repeated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    assert "sk-live-1234" in (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile(f"{name}.toml", {})
    assert "sk-live-1234" not in str(invalid.value)
