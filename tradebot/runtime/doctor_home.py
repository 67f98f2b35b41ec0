"""Can this machine keep what the bot must not lose, and who else may touch it? Checks of `tradebot doctor`.

Folders, disks, limits of the process, files of secrets: everything that is asked of this machine alone.
"""

from __future__ import annotations

import os
import platform
import resource
import stat
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tradebot.domain.errors import StorageFailed
from tradebot.exchange.credentials import NAMES, file_fault
from tradebot.runtime.doctor import Case, Said
from tradebot.runtime.doctor_disk import LAYERED, REMOTE, VOLATILE, file_system, measure_commits, nearest, obstacle
from tradebot.storage.files import disk_bytes, reason
from tradebot.storage.history import History
from tradebot.storage.home import PROFILES, holder

MB: Final = 1_000_000
_LEAST_FREE_MB: Final = 100
"""Journal, checkpoint and history of a while, beside what sessions may take."""

_OWN_FILES: Final = 64
"""Files a run holds beside its sockets: logs, stores, libraries."""

_NOT_MINE: Final = 0o077


def valid(case: Case) -> Iterable[Said]:
    """Say that the profile was read; faults would have ended the examination before."""
    named = len(case.profile.market.symbols)
    symbols = f"{named} symbols named" if named else f"every symbol in {case.profile.market.quote}"
    yield Said("ok", f"{len(case.loaded.files)} files, {symbols}", figures={"symbols": named})


def profile_files(case: Case) -> Iterable[Said]:
    """Say whether anybody may write the profile, which is live."""
    open_to_all = [one.path for one in case.loaded.files if _mode(Path(one.path)) & stat.S_IWOTH]
    if open_to_all:
        yield Said(
            "fail",
            f"everybody on this machine may write {', '.join(open_to_all)}, and an edit takes effect while it trades",
            f"chmod o-w {' '.join(open_to_all)}",
        )
    else:
        yield Said("ok", "not everybody may write them")


def software(_case: Case) -> Iterable[Said]:
    """Tell which versions would run."""
    told = {"python": platform.python_version(), "ccxt": version("ccxt"), "tradebot": version("tradebot")}
    yield Said("ok", ", ".join(f"{name} {number}" for name, number in told.items()), figures=told)


def open_files(case: Case) -> Iterable[Said]:
    """Compare the limit of open files with what a run may hold."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    streams = len(case.profile.market.symbols) * (2 + bool(case.profile.feed.ccxt.depth_levels))
    sockets = 4 + streams // case.profile.feed.ccxt.streams_per_socket
    needed = _OWN_FILES + case.profile.control.max_clients + sockets
    figures = {"limit": soft, "needed": needed}
    if soft != resource.RLIM_INFINITY and soft < needed:
        yield Said("fail", f"{soft} may be open, a run may need {needed}", "raise `ulimit -n`, or LimitNOFILE", figures)
    else:
        told = "without limit" if soft == resource.RLIM_INFINITY else f"{soft:,} may be open"
        yield Said("ok", f"{told}, a run needs at most {needed}", figures=figures)


def disk(case: Case) -> Iterable[Said]:
    """Compare what is free with what sessions may still take, and with what the journal wants."""
    sessions = case.profile.sessions
    place, home = nearest(Path(sessions.dir)), nearest(case.home)
    if why := obstacle(Path(sessions.dir)):
        yield Said("fail", f"{sessions.dir} cannot be used: {why}: a start is refused", "mend sessions.dir")
        return
    used = disk_bytes(Path(sessions.dir)) // MB
    most = sessions.max_disk_mb + case.profile.logging.max_disk_mb
    free = _free_mb(place)
    figures = {"folder": str(place), "free_mb": free, "sessions_may_take_mb": most, "sessions_take_mb": used}
    text = f"{free:,} MB free below {place}; sessions take {used:,} MB and may take {most:,} MB"
    if free < _LEAST_FREE_MB:
        yield Said("fail", text, f"free {_LEAST_FREE_MB} MB at least", figures)
    elif free < max(0, most - used) + _LEAST_FREE_MB:
        yield Said("warn", text, "free some, or lower sessions.max_disk_mb and logging.max_disk_mb", figures)
    else:
        yield Said("ok", text, figures=figures)
    if place.stat().st_dev == home.stat().st_dev:
        return
    free = _free_mb(home)
    figures = {"folder": str(home), "free_mb": free}
    text = f"{free:,} MB free below {home}, for the journal"
    if free < _LEAST_FREE_MB:
        yield Said("fail", text, f"free {_LEAST_FREE_MB} MB at least: what cannot be kept is not sent", figures)
    else:
        yield Said("ok", text, figures=figures)


def _free_mb(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize // MB


def folder(case: Case) -> Iterable[Said]:
    """Say who owns the durable home, who may look into it, and whether it is an account's of another kind."""
    home = case.home
    place = nearest(home)
    found = place.stat()
    if found.st_uid != os.geteuid():
        yield Said(
            "fail", f"{place} belongs to user {found.st_uid}, and this is user {os.geteuid()}", "start it as its owner"
        )
        return
    if why := obstacle(home):
        yield Said("fail", f"{home} cannot be used: {why}: a start is refused", "mend bot.state_dir")
        return
    shared = [each for each in (home.parent, home) if each.is_dir() and _writable_by_others(each)]
    if shared:
        yield Said("fail", f"everybody on this machine may write {shared[0]}", f"chmod o-w {shared[0]}")
    elif home.is_dir() and _mode(home) & _NOT_MINE:
        yield Said("warn", f"{home} may be looked into by others", f"chmod 700 {home}; a start does it, too")
    else:
        yield Said("ok", f"{home} is its owner's alone" if home.is_dir() else f"{home} will be made by the first start")
    if case.trades and (home / "account.sqlite").exists():
        text = f"{home} holds a paper account: a start that trades at an exchange is refused there"
        yield Said("fail", text, "give this bot its own `bot.instance`")


def durability(case: Case) -> Iterable[Said]:
    """Measure durable writes where the journal will stand, and say whether they mean anything there."""
    if why := obstacle(case.home):
        yield Said("fail", f"not measured: {why}", "the journal has to be written before an order")
        return
    place = nearest(case.home)
    kind = file_system(place)
    try:
        took = measure_commits(place)
    except OSError as error:
        yield Said(
            "fail", f"{place} cannot be written ({reason(error)})", "the journal has to be written before an order"
        )
        return
    figures = {
        "folder": str(place),
        "file_system": kind,
        "commits": took.count,
        "p50_ms": round(took.p50_ms, 3),
        "p99_ms": round(took.p99_ms, 3),
    }
    text = (
        f"a durable write takes {took.p50_ms:.2f} ms (p50), {took.p99_ms:.2f} ms (p99) on {kind or 'an unknown disk'}"
    )
    deadline_ms = case.profile.execution.send_deadline_ms
    if kind in VOLATILE:
        text = f"{place} is in memory ({kind}): a loss of power takes the journal, and orders nobody remembers stay"
        yield Said("fail" if case.real else "warn", text, "put bot.state_dir on a disk", figures)
    elif took.p99_ms >= deadline_ms:
        text += f", longer than an order may wait (execution.send_deadline_ms is {deadline_ms})"
        yield Said("fail", text, "put bot.state_dir on a faster disk", figures)
    elif kind in LAYERED:
        yield Said("warn", f"{text}, which goes with the container", "mount a volume at bot.state_dir", figures)
    elif kind in REMOTE:
        yield Said("warn", f"{text}: its durability is another machine's", "put bot.state_dir on a local disk", figures)
    elif took.p99_ms * 10 >= deadline_ms:
        yield Said("warn", f"{text}: prices move on meanwhile", "put bot.state_dir on a faster disk", figures)
    else:
        yield Said("ok", text, figures=figures)


def second_instance(case: Case) -> Iterable[Said]:
    """Say whether a bot runs in the home already; one of this profile is only told."""
    pid = holder(case.home)
    if pid is None:
        yield Said("ok", f"nobody uses {case.home}")
        return
    who = f"process {pid}" if pid else "a process that is just starting"
    figures = {"pid": pid}
    if _runs_this(case):
        yield Said("warn", f"this bot runs already ({who}): a second start is refused", figures=figures)
    else:
        todo = "stop it, or give this bot its own `bot.instance`"
        yield Said("fail", f"{case.home} is in use by another tradebot ({who}): a start is refused", todo, figures)


def secret_files(case: Case) -> Iterable[Said]:
    """Say whether keys can be read from their files, and nobody else may read them."""
    named = {name: place for name in NAMES if (place := case.environ.get(f"{name}_FILE", ""))}
    if not named:
        yield Said("ok", "the keys are in no file")
    for name, place in named.items():
        lead = f"{name}_FILE: {place}"
        fault, figures = file_fault(place), {}
        with suppress(OSError):
            figures = {"mode": f"{_mode(Path(place)):04o}"}
        if fault:
            yield Said("fail", f"{lead}: {fault}", "mend it: a start is refused", figures)
        else:
            yield Said("ok", f"{lead} is its owner's alone", figures=figures)


def _runs_this(case: Case) -> bool:
    """Whether the generation in force in the home came from this very profile."""
    try:
        history = History.read_only(case.home / PROFILES)
        if history is None:
            return False
        try:
            force = history.in_force()
        finally:
            history.close()
    except StorageFailed:
        return False
    return force is not None and os.path.realpath(force.path) == os.path.realpath(case.loaded.path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _writable_by_others(path: Path) -> bool:
    mode = _mode(path)
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
