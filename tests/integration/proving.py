"""Does a bot under many edits run on exactly what was asked for? Edits, foretells and checks each; asked by the tests.

What an edit must lead to is worked out here from the texts alone: loaded, compared, judged; the bot is asked after.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.integration.driving import Probed
from tests.integration.edits import BASE, Edit, Operator, Written
from tests.integration.probed import digest as digest_of_text
from tradebot.config.diff import diff
from tradebot.config.extends import ProfileFile
from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.show import as_toml
from tradebot.control.client import Client, Refused
from tradebot.domain.views import OutcomeView

Switches = dict[str, bool]


class Version(Struct, frozen=True):
    """A text of the profile: what it says, its two files byte for byte."""

    written: Written
    base: bytes
    top: bytes

    def loaded(self, switches: Switches) -> Loaded:
        """Return what these files mean. Raises ProfileInvalid."""
        stored = (ProfileFile("base.toml", self.base), ProfileFile("p.toml", self.top))
        return load_profile("p.toml", {}, switches=switches, stored=stored)


class InForce(Struct, frozen=True):
    """One generation as it has to be."""

    number: int
    version: Version
    switches: Switches
    loaded: Loaded


class Proof:
    """Drives one bot through edits of one seed. `generations` are all that were in force, `done` counts the edits."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.operator = Operator(seed)
        self.path, self.base = folder / "p.toml", folder / "base.toml"
        first = self._version(Written(BASE, {}), 0)
        self.base.write_bytes(first.base)
        self.path.write_bytes(first.top)
        self.force = InForce(1, first, {}, first.loaded({}))
        self.generations: dict[int, InForce] = {1: self.force}
        self.by_digest: dict[str, Version] = {self.force.loaded.digest: first}
        self.on_disk = self.before = first
        self.waits = ""  # digest of the text that waits
        self.done: Counter[str] = Counter()
        self.became: Counter[str] = Counter()
        self.number = 0
        self.paused = False
        self.last: dict[str, Any] = {}
        self.facts: Counter[str] = Counter()

    # -- one edit ---------------------------------------------------------------------------------------

    def step(self, bot: Probed) -> None:
        """Make the next edit, wait until the bot has told what became of it, and compare."""
        self._no_strays(bot)
        if self.paused and self.operator.draw.random() < 0.2:
            self._pause(bot, on=False)
        edit = self.operator.next(self.force.version.written)
        self.number += 1
        self.done[edit.kind] += 1
        match edit.kind:
            case "switch":
                self._switch(bot, edit)
            case "rollback":
                self._roll_back(bot, edit)
            case "reload":
                self._reload(bot, confirm=edit.confirm)
            case "pause":
                self._pause(bot, on=not self.paused)
            case "door" if self.force.loaded.profile.reload.mode == "auto":  # else only the door could confirm it
                self._edit(bot, self._said(edit, {"features.control_door": "false"}))
                self._edit(bot, self._said(edit, {}))
            case "burst":
                self._burst(bot, edit)
            case _:
                self._edit(bot, edit)

    def settle(self, bot: Probed) -> None:
        """Come to rest on where the edits began, with nothing waiting and nothing paused."""
        self._no_strays(bot)
        if self.paused:
            self._pause(bot, on=False)
        self._edit(bot, Edit("live", Written(BASE, {}), confirm=True))
        for feature in list(self.force.switches):
            self._ask_switch(bot, feature, None)
        self._no_strays(bot)
        assert self._reload(bot, confirm=False) == "unchanged"

    def _said(self, edit: Edit, more: dict[str, str]) -> Edit:
        now = self.force.version.written
        top = {key: value for key, value in now.top.items() if key != "features.control_door"}
        return Edit(edit.kind, Written(now.base, {**top, **more}), confirm=True)

    def _edit(self, bot: Probed, edit: Edit) -> None:
        """Write one text and see what becomes of it."""
        version = self._version(edit.after, self.number, edit.tail)
        between = Version(Written(version.written.base, self.on_disk.written.top), version.base, self.on_disk.top)
        begun = time.monotonic()
        self._write(version, edit)
        self._hint(bot)
        slow = time.monotonic() - begun > 0.01
        halves = edit.kind in {"half", "deleted"} or (edit.in_place and slow)
        told, wanted = self._told(bot, version, between, halves=halves)
        self._compare(told, version, wanted, edit)
        self.waits = told["disk"] if told["kind"] == "pending" else ""
        if self.waits and edit.confirm:
            self._reload(bot, confirm=True)

    def _foretold(self, version: Version) -> str:
        """Return what has to become of a text."""
        try:
            loaded = version.loaded(self.force.switches)
        except ProfileInvalid:
            return "rejected"
        if loaded.digest == self.force.loaded.digest:
            return "unchanged"
        changes = diff(self.force.loaded, loaded)
        if any(change.reload == "restart" for change in changes):
            return "refused"
        confirm = self.force.loaded.profile.reload.mode == "confirm"
        return "pending" if any(change.looser or confirm for change in changes) else "applied"

    def _told(self, bot: Probed, version: Version, between: Version, *, halves: bool) -> tuple[dict[str, Any], str]:
        """Return the outcome of a text, and what it has to be.

        None of another kind may come before it, but of a text half-written, and of the one that stood on the disk
        `between` the writing of its two files.
        """
        wanted = self._foretold(version)
        while True:
            told = bot.outcome()
            self.became[told["kind"]] += 1
            digest = "" if wanted == "rejected" else version.loaded(self.force.switches).digest
            if told["disk"] == digest and (told["kind"] != "unchanged" or wanted == "unchanged"):
                return told, wanted
            if between.base != self.before.base and told["disk"] == _digest(between):
                if told["kind"] == "applied":
                    self._in_force(told, between, self.force.switches)
                    wanted = self._foretold(version)
                continue
            stale = told["kind"] == "unchanged" or (told["kind"] == "pending" and told["disk"] == self.waits)
            half = halves and told["kind"] in {"rejected", "refused", "pending"}
            assert stale or half, f"edit {self.number}: {wanted} expected, not {told}"

    def _compare(self, told: dict[str, Any], version: Version, wanted: str, edit: Edit) -> None:
        head = told["head"]
        if wanted == "applied" and told["kind"] in {"rejected", "rolled_back"} and "bought while" in head:
            return  # a symbol that was to leave was bought while the edit was prepared
        assert told["kind"] == wanted, f"edit {self.number} ({edit.kind}): {wanted} expected, not {told}"
        if wanted == "applied":
            self._in_force(told, version, self.force.switches)
        else:
            assert told["generation"] == self.force.number, told
            assert told["force"] == self.force.loaded.digest, told

    def _in_force(self, told: dict[str, Any], version: Version, switches: Switches) -> None:
        number = told["generation"]
        assert number > max(self.generations), "numbers only rise"
        self.force = InForce(number, version, switches, version.loaded(switches))
        assert told["force"] == self.force.loaded.digest, told
        self.generations[number] = self.force

    # -- writing ------------------------------------------------------------------------------------------

    def _version(self, written: Written, number: int, tail: str = "") -> Version:
        return Version(written, *written.texts(number, tail))

    def _write(self, version: Version, edit: Edit) -> None:
        self.before = self.on_disk
        if version.base != self.on_disk.base:
            self._replace(self.base, version.base)
        match edit.kind:
            case "half":
                self._in_pieces(self.path, version.top)
            case "link":
                self._link(version.top)
            case "deleted":
                self.path.unlink()
                self._replace(self.path, version.top)
            case _ if edit.in_place:
                self.path.write_bytes(version.top)
            case _:
                self._replace(self.path, version.top)
        self.on_disk = version

    def _replace(self, path: Path, text: bytes) -> None:
        beside = path.with_name(f".{path.name}.new")
        beside.write_bytes(text)
        beside.replace(path)

    def _in_pieces(self, path: Path, text: bytes) -> None:
        cuts = sorted(self.operator.draw.sample(range(1, len(text)), 3))
        with path.open("wb", buffering=0) as file:
            for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
                file.write(text[begin:end])
                time.sleep(0.004)  # what is proven is about the time between the pieces

    def _link(self, text: bytes) -> None:
        """Let the profile be a link from here on, to a file of another folder."""
        real = self.folder / "real" / f"{self.number}.toml"
        real.parent.mkdir(exist_ok=True)
        real.write_bytes(text)
        link = self.folder / ".link"
        link.symlink_to(real)
        link.replace(self.path)

    def _hint(self, bot: Probed) -> None:
        """Say that there is an edit, where nobody watches."""
        if not self.force.loaded.profile.features.watcher:
            bot.process.send_signal(signal.SIGHUP)

    def _burst(self, bot: Probed, edit: Edit) -> None:
        """Write twenty texts as fast as it goes; the last one has to come into force, any before it may."""
        versions = []
        for at, written in enumerate((*edit.before, edit.after)):
            version = self._version(written, self.number * 100 + at)
            versions.append(version)
        known = {one.loaded(self.force.switches).digest: one for one in versions}
        last = versions[-1].loaded(self.force.switches).digest
        wanted = self._foretold(versions[-1])
        for version in versions:
            self._write(version, Edit("burst", version.written))
        self._hint(bot)
        told: dict[str, Any] = {}
        for _ in range(len(versions) * 2 + 2):
            told = bot.outcome()
            self.became[told["kind"]] += 1
            if told["kind"] == "applied":
                self._in_force(told, known[told["force"]], self.force.switches)
            if told["kind"] == "pending":
                self.waits = told["disk"]
            if told["disk"] == last and (told["kind"] != "unchanged" or told["force"] == last):
                break
        assert told["kind"] in {wanted, "unchanged"}, told
        assert wanted != "applied" or self.force.version is known[last]

    # -- at the door ----------------------------------------------------------------------------------------

    def _pause(self, bot: Probed, *, on: bool) -> None:
        """Pause buying, or let it go on."""
        bot.ask(lambda door: door.pause() if on else door.resume())
        self.paused = on

    def _switch(self, bot: Probed, edit: Edit) -> None:
        self._ask_switch(bot, edit.feature, edit.on)

    def _ask_switch(self, bot: Probed, feature: str, on: bool | None) -> None:
        others = {name: value for name, value in self.force.switches.items() if name != feature}
        switches = others if on is None else {**others, feature: on}
        told = bot.ask(lambda door: door.switch(feature, on))
        self._answered(bot, told.outcome)
        same = switches == self.force.switches
        assert told.outcome == ("unchanged" if same else "applied"), (feature, on, told)
        if not same:
            self._in_force(self.last, self.force.version, switches)

    def _roll_back(self, bot: Probed, edit: Edit) -> None:
        numbers = sorted(number for number, one in self.generations.items() if one.loaded.profile.features.control_door)
        wanted = self.generations[numbers[max(0, len(numbers) - 1 - edit.back)]]
        told, refused = bot.ask(lambda door: _perhaps_rolled_back(door, wanted.number))
        if told is None:
            assert wanted is self.force or "not kept" in refused or "files" in refused
            return
        self._answered(bot, told.outcome)
        same = wanted.loaded.digest == self.force.loaded.digest
        switches = wanted.switches if same else self.force.switches
        if told.outcome == "unchanged":  # the last edit was not in force: only its files went back
            assert wanted.number == self.force.number, told
            self._files_are(wanted.version)
            return
        if told.outcome != "applied":
            gone = "kept" in told.lines[-1] or "bought while" in told.lines[0]
            faulty = not _is_valid(wanted.version, switches)
            assert told.outcome in {"rejected", "rolled_back"}, told
            assert gone or faulty, told
            return
        self._in_force(self.last, wanted.version, switches)
        self._files_are(wanted.version)

    def _files_are(self, version: Version) -> None:
        assert self.path.read_bytes() == version.top
        assert self.base.read_bytes() == version.base
        self.on_disk = version

    def _reload(self, bot: Probed, *, confirm: bool) -> str:
        """Ask for a reading of what is on the disk."""
        version, wanted = self.on_disk, self._foretold(self.on_disk)
        told = bot.ask(lambda door: door.reload(confirm=confirm))
        self._answered(bot, told.outcome)
        if confirm and wanted == "pending" and told.outcome == "applied":
            self._in_force(self.last, version, self.force.switches)
        elif told.outcome == "applied":
            assert wanted == "applied", told  # what could not be built before
            self._in_force(self.last, version, self.force.switches)
        else:
            may = {wanted, "rejected", "rolled_back"} if "bought while" in told.lines[0] else {wanted}
            assert told.outcome in may, (wanted, told)
        return told.outcome

    def _answered(self, bot: Probed, outcome: str) -> None:
        """Take the outcome that the door has answered with from what the bot told."""
        while True:
            self.last = bot.outcome()
            self.became[self.last["kind"]] += 1
            if self.last["who"] == "tests":
                assert self.last["kind"] == outcome
                return
            self._is_stray(self.last)

    def _no_strays(self, bot: Probed) -> None:
        for told in bot.outcomes_so_far():
            self._is_stray(told)

    def _is_stray(self, told: dict[str, Any]) -> None:
        """Fail where something was told that no edit was made for."""
        again = told["kind"] == "pending" and told["disk"] == self.waits
        assert told["kind"] == "unchanged" or again, f"after edit {self.number}: {told}"

    # -- what the bot reports ---------------------------------------------------------------------------------

    def compare_view(self, bot: Probed) -> None:
        """Fail where the bot shows another generation, text or toggle than is in force."""
        if not self.force.loaded.profile.features.control_door:
            return
        seen = bot.ask(lambda door: door.snapshot())
        profile = seen.status.profile
        assert (profile.generation, profile.digest) == (self.force.number, self.force.loaded.digest)
        features = self.force.loaded.profile.features
        assert {one.feature: one.on for one in seen.features} == features.model_dump()
        assert {one.feature: one.on for one in profile.overrides} == self.force.switches

    def compare_engine(self, bot: Probed) -> None:
        """Fail where the engine took another profile than the generation's, field by field, or one that was none."""
        assert set(bot.effective) == set(self.generations)
        for number, one in self.generations.items():
            assert bot.effective[number] == digest_of_text(as_toml(one.loaded.profile)), number


async def _perhaps_rolled_back(door: Client, number: int) -> tuple[OutcomeView | None, str]:
    """Ask for a rollback; return its outcome, or None and why there is none."""
    try:
        return await door.rollback(number), ""
    except Refused as refused:
        return None, str(refused)


def _digest(version: Version) -> str:
    """Return what the bot calls this text by, "" where it is faulty."""
    return version.loaded({}).digest if _is_valid(version, {}) else ""


def _is_valid(version: Version, switches: Switches) -> bool:
    try:
        version.loaded(switches)
    except ProfileInvalid:
        return False
    return True
