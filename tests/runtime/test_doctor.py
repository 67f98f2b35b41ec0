"""Does every check have its own end, whatever it does, and is no key told?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tests.exchange.walls import Wall
from tradebot.config.loader import load_profile
from tradebot.domain.errors import CannotStart
from tradebot.exchange.credentials import Credentials
from tradebot.runtime.doctor import Case, Check, Finding, NotLearned, Said, examine, in_thread, looking
from tradebot.runtime.doctor_checks import checks_of
from tradebot.runtime.doctor_home import disk, durability, folder

Running = Callable[[Case], Awaitable[Iterable[Said]]]


def case(folder: Path, text: str = "", environ: Mapping[str, str] | None = None) -> Case:
    """Return the case of a profile that says `text`."""
    path = folder / "p.toml"
    path.write_text(text)
    return Case(load_profile(str(path), {}), environ or {}, Wall(), folder / "state" / "tradebot")


def examined(one: Case, *running: Running, limit_s: float = 5.0) -> list[Finding]:
    """Return what checks found that do `running`, named by their number."""
    checks = [Check("group", str(number), run, limit_s) for number, run in enumerate(running)]
    return asyncio.run(examine(one, checks))


async def fine(_case: Case) -> Iterable[Said]:
    return [Said("ok", "fine")]


def test_a_check_that_hangs_is_a_failure_with_its_name_and_the_others_go_on(tmp_path: Path) -> None:
    async def hangs(_case: Case) -> Iterable[Said]:
        await asyncio.Event().wait()
        return []

    found = examined(case(tmp_path), fine, hangs, fine, limit_s=0.05)
    assert [(one.check, one.verdict) for one in found] == [("0", "ok"), ("1", "fail"), ("2", "ok")]
    assert found[1].text == "did not end within 0.05 s"


def test_a_disk_that_hangs_holds_up_neither_the_others_nor_the_end(tmp_path: Path) -> None:
    disk = threading.Event()

    def stuck(_case: Case) -> Iterable[Said]:
        disk.wait()
        return []

    found = examined(case(tmp_path), looking(stuck), fine, limit_s=0.05)
    disk.set()
    assert [one.verdict for one in found] == ["fail", "ok"]


def test_a_check_that_breaks_or_is_cut_off_is_a_failure_and_the_others_go_on(tmp_path: Path) -> None:
    async def breaks(_case: Case) -> Iterable[Said]:
        raise KeyError("what")

    async def refuses(_case: Case) -> Iterable[Said]:
        raise CannotStart("no key: set it")

    async def cut_off(_case: Case) -> Iterable[Said]:
        raise asyncio.CancelledError

    found = examined(case(tmp_path), breaks, refuses, cut_off, fine)
    assert [one.verdict for one in found] == ["fail", "fail", "fail", "ok"]
    assert found[0].text == "broke: KeyError: 'what'"
    assert found[1].text == "no key: set it"


def test_what_a_thread_raises_reaches_whoever_awaits_it() -> None:
    def breaks() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        asyncio.run(in_thread(breaks))


def test_no_key_is_told_by_any_check(tmp_path: Path) -> None:
    async def leaks(_case: Case) -> Iterable[Said]:
        return [Said("fail", "signed with s3cr3t by k3y", "take k3y away")]

    one = case(tmp_path)
    one.credentials = Credentials("k3y", "s3cr3t")
    (found,) = examined(one, leaks)
    assert (found.text, found.todo) == ("signed with *** by ***", "take *** away")


def test_what_does_not_apply_is_left_out_with_its_reason(tmp_path: Path) -> None:
    check = Check("group", "name", fine, skips=lambda _case: "not here")
    (found,) = asyncio.run(examine(case(tmp_path), [check]))
    assert (found.verdict, found.text) == ("skip", "not here")


def test_what_was_not_learned_before_is_said_so(tmp_path: Path) -> None:
    one = case(tmp_path)
    with pytest.raises(NotLearned, match="could not be asked"):
        one.visited()
    with pytest.raises(NotLearned, match="no key"):
        one.signed()


def test_every_check_has_a_name_of_its_own_and_an_end(tmp_path: Path) -> None:
    checks = checks_of(case(tmp_path))
    names = [(check.group, check.name) for check in checks]
    assert len(set(names)) == len(names)
    assert all(0 < check.limit_s <= 60 for check in checks)
    groups = [group for group, _ in names]
    assert groups == sorted(groups, key=groups.index)


def test_a_home_or_sessions_that_no_start_can_make_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    one = case(tmp_path, f'[sessions]\ndir = "{tmp_path}/afile"\n')
    one.home = tmp_path / "afile" / "tradebot"
    found = examined(one, looking(folder), looking(durability), looking(disk))
    assert [each.verdict for each in found] == ["fail"] * 3
    assert all(f"{tmp_path}/afile is no folder" in each.text for each in found)
