"""Where the profile's folder cannot be written, is a rollback in force all the same, and over restarts?"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.integration.generations_kit import Nursery, Place, put

CALM = """
[reload]
sweep_s = 60
probation_s = 0
"""

FILES = ("common.toml", "quick.toml")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


class ConfigMap:
    """A folder of links as Kubernetes mounts one: all files change by the swap of a single link."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.turn = 0
        self.write(place.texts()[1])
        for name in FILES:
            beside = place.folder / f"{name}.new"
            beside.symlink_to(f"..data/{name}")
            os.replace(beside, place.folder / name)

    def write(self, text: bytes) -> None:
        """Mount another version of the profile."""
        self.turn += 1
        version = self.place.folder / f"..version_{self.turn}"
        version.mkdir()
        (version / FILES[0]).write_bytes(self.place.texts()[0])
        (version / FILES[1]).write_bytes(text)
        link = self.place.folder / "..data_tmp"
        link.symlink_to(version.name)
        os.replace(link, self.place.folder / "..data")


class ReadOnly:
    """A disk that is mounted read-only; whoever administers it may write."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.disk = place.folder / "disk"
        for name in FILES:
            put(self.disk / name, (place.folder / name).read_bytes())
            (place.folder / name).unlink()
            (place.folder / name).symlink_to(f"disk/{name}")
        (self.disk / "lib").symlink_to("../lib")
        self._mount("ro")

    def write(self, text: bytes) -> None:
        """Change the profile from outside."""
        self._mount("rw")
        put(self.disk / FILES[1], text)
        self._mount("ro")

    def _mount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.disk)], check=True)


@pytest.fixture(params=["config-map", "read-only"])
def unwritable(request: pytest.FixtureRequest, nursery: Nursery, tmp_path: Path) -> Iterator[ConfigMap | ReadOnly]:
    place = Place(nursery, tmp_path, CALM)
    if request.param == "config-map":
        yield ConfigMap(place)
        return
    with mounted(tmp_path / "disk", "1m"):
        yield ReadOnly(place)


def text(more: str) -> bytes:
    return f'extends = "common.toml"\n# {more}\n'.encode()


def test_a_rollback_is_an_override_that_is_pinned_over_restarts_until_the_next_edit(
    unwritable: ConfigMap | ReadOnly,
) -> None:
    place = unwritable.place
    with place.trading() as bot:
        place.settled()
        first = place.in_force()
        unwritable.write(text("second"))
        bot.wait_for("PROFILE_RELOADED")
        outcome = place.ask(lambda asked: asked.rollback(first.number))
        assert outcome.outcome == "applied"
        assert "the files are not restored" in "\n".join(outcome.lines)
        assert place.texts()[1] == text("second")
        assert place.status().profile.pinned
        pinned = place.in_force()
        assert (pinned.digest, pinned.pinned) == (first.digest, True)
    for _ in range(2):
        with place.trading():
            assert place.in_force().number == pinned.number
            place.until(lambda: place.status().profile.pending is not None)
    with place.trading() as bot:
        unwritable.write(text("third"))
        bot.wait_for("PROFILE_RELOADED")
        assert not place.status().profile.pinned
    with place.trading():
        assert place.in_force().files[-1].source == text("third")


@pytest.mark.parametrize("step", ["after begin_restore 1", "after commit 1", "before judge 1", "before end_restore 1"])
def test_a_kill_within_such_a_rollback_loses_it_not(unwritable: ConfigMap | ReadOnly, step: str) -> None:
    place = unwritable.place
    with place.start() as bot:
        place.up(bot)
        place.settled()
        first = place.in_force()
        unwritable.write(text("second"))
        bot.wait_for("PROFILE_RELOADED")
        place.settled()
        place.arm(step)
        with pytest.raises(Exception, match="broke the connection off"):
            place.ask(lambda asked: asked.rollback(first.number))
        assert bot.end() == -signal.SIGKILL
        place.disarm()
    for _ in range(2):
        with place.trading():
            assert place.in_force().digest == first.digest
            assert place.texts()[1] == text("second")
