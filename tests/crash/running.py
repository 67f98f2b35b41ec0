"""How does one case go? An exchange and one bot after the other, forked from a process that has loaded everything and
runs neither loop nor thread; asked by the matrix and by its tests.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import ccxt.pro  # type: ignore[import-untyped]
import msgspec
from msgspec import Struct

from tests.crash import bot_side
from tests.crash.exchange_side import KEY, SECRET, Verdict, serve
from tests.crash.points import Kill
from tests.crash.scenes import SCENES, Away
from tests.crash.stage import Slot, Stage
from tradebot.config.loader import load_profile
from tradebot.config.show import effective
from tradebot.domain.errors import ExitCode
from tradebot.exchange import shared_budget
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, needs_password, public_taps
from tradebot.feeds import ccxt_clock, ccxt_live
from tradebot.runtime.clock import WallClock
from tradebot.venues import ccxt_spot

LONGEST_S: Final = 45.0
"""A run that lasts longer has hung: it is killed, and that is a difference."""
MOST_RUNS: Final = 8
DURABILITIES: Final = "power", "process"
"""In turn, by a case's number: a plan is committed in the journal's thread, or in the engine's own."""
_LONGEST_WORDS: Final = 600
_AGAIN_S: Final = 0.4
"""How long after a start that could not be made another one is tried, longer with each run, as a supervisor does."""

LOADED: Final = (ccxt.pro.binance, ccxt_clock, ccxt_live, ccxt_spot, shared_budget)
"""What a bot at an exchange imports late; here it is there before the first one is forked."""
_TRUST: Final = ssl.create_default_context()


class Case(Struct, frozen=True):
    """One case: the play, the exchange's faults, and where each run dies (a run without a kill lives)."""

    number: int
    scene: str
    faults: tuple[Mapping[str, Any], ...] = ()
    kills: tuple[Kill, ...] = ()
    away: Away = "nothing"
    again: bool = False
    kind: str = ""
    family: str = ""


class Outcome(Struct, frozen=True):
    """What became of a case: how often the bot was killed, and every difference afterwards."""

    number: int
    kills: int
    runs: int
    differences: list[str]
    orders: int
    fills: int
    strikes: int
    took_s: float
    cpu_s: float


def run_case(
    case: Case, folder: Path, mutate: Callable[[], None] | None = None, *, level: str = "ERROR", keep: bool = False
) -> Outcome:
    """Run a case in `folder`, which is made, and removed where nothing differs unless it is to be kept."""
    folder.mkdir(parents=True)
    began, cpu = time.monotonic(), _cpu_s()
    stage = Stage()
    mine, its = socket.socketpair()
    home = folder / "state" / "crash"
    exchange = os.fork()
    if exchange == 0:
        mine.close()
        _be_exchange(case, its, stage, home)
    its.close()
    try:
        port = int(_line(mine))
        scene = SCENES[case.scene]
        durability = DURABILITIES[case.number % 2]
        text = scene.profile(folder, f"http://127.0.0.1:{port}", level=level, durability=durability)
        (folder / bot_side.PROFILE).write_text(text)
        words, kills, runs = _lives(case, folder, stage, mutate)
        mine.sendall(b"?")
        verdict = msgspec.json.decode(_line(mine), type=Verdict)
    finally:
        mine.close()
        _reap(exchange, 5.0)
        stage.close()
    differences = words + verdict.differences
    if not differences and not keep:
        shutil.rmtree(folder)
    return Outcome(
        case.number,
        kills,
        runs,
        differences,
        verdict.orders,
        verdict.fills,
        verdict.strikes,
        round(time.monotonic() - began, 3),
        round(_cpu_s() - cpu, 3),
    )


def _lives(case: Case, folder: Path, stage: Stage, mutate: Callable[[], None] | None) -> tuple[list[str], int, int]:
    """Let the bot live, die and live again until it has ended by itself; return what was wrong, kills and runs."""
    kills = 0
    for run in range(1, MOST_RUNS + 1):
        kill = case.kills[run - 1] if run <= len(case.kills) else None
        stage[Slot.RUN] = run
        bot = os.fork()
        if bot == 0:
            bot_side.live(bot_side.Life(folder, run, kill, mutate), stage)
        code = _reap(bot, LONGEST_S)
        stage[Slot.RUN] = 0
        end = time.monotonic() + 5
        while stage[Slot.AWAY] != run and time.monotonic() < end:
            time.sleep(0.01)
        if code == -signal.SIGKILL and stage[Slot.KILLED] == run:
            kills += 1
        elif code is None:
            return [f"run {run} did not end within {LONGEST_S:g} s"], kills, run
        elif stage[Slot.REFUSED] == run:
            time.sleep(_AGAIN_S * run)
        elif code != 0 and not (code == ExitCode.ORDERS_LEFT and case.faults and stage[Slot.LEAVE] == run):
            return [f"run {run} ended with code {code}: {_last_words(folder)}"], kills, run
        elif code == 0 and stage[Slot.LEAVE] != run:
            return [], kills, run
    return [f"{MOST_RUNS} runs, and none ended well"], kills, MOST_RUNS


def _last_words(folder: Path) -> str:
    """Return what the bot said last, and the errors of its logs."""
    said = (folder / bot_side.OUTPUT).read_text(errors="replace").splitlines()[-3:]
    for path in sorted((folder / "sessions").glob("*/logs/*.jsonl"))[-2:]:
        said += [line for line in path.read_text(errors="replace").splitlines() if '"level":"ERROR"' in line][-3:]
    return " | ".join(line[:_LONGEST_WORDS] for line in said)


def _be_exchange(case: Case, pipe: socket.socket, stage: Stage, home: Path) -> None:
    code = 1
    try:
        pipe.setblocking(False)
        script = SCENES[case.scene].script(case.away, again=case.again)
        asyncio.run(serve(pipe, stage, script, {"fault": list(case.faults)}, home))
        code = 0
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
        import traceback

        traceback.print_exception(error)
    finally:
        os._exit(code)


def _reap(pid: int, within_s: float) -> int | None:
    """Wait for a child; return its exit code, negative for a signal, None where it had to be killed for its time."""
    handle = os.pidfd_open(pid)
    try:
        ended = select.select([handle], [], [], within_s)[0]
        if not ended:
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if ended else None
    finally:
        os.close(handle)


def _line(pipe: socket.socket) -> bytes:
    """Return the next line of the exchange. Raises AssertionError where it ended without one."""
    pipe.settimeout(20)
    data = b""
    while not data.endswith(b"\n"):
        more = pipe.recv(65536)
        assert more, "the exchange ended by itself"
        data += more
    return data


def _cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def warm() -> None:
    """Do once here what every bot does alike at its start, so that its children find it done; then hold it still."""
    with TemporaryDirectory() as name:
        path = Path(name) / bot_side.PROFILE
        path.write_text(SCENES["ladder"].profile(Path(name), "http://127.0.0.1:1"))
        loaded = load_profile(str(path))
        effective(loaded)
    settings = loaded.profile.exchange
    needs_password(settings.name)

    async def once() -> None:
        await disconnect(connect(settings, public_taps(settings, Budget(WallClock()))))

    asyncio.run(once())
    gc.collect()
    gc.freeze()


def _one_trust(*_args: object, **_kwargs: object) -> ssl.SSLContext:
    """Return the certificates read once: ccxt would read them for each exchange, 25 ms a time."""
    return _TRUST


ssl.create_default_context = _one_trust
os.environ.update(TRADEBOT_API_KEY=KEY, TRADEBOT_API_SECRET=SECRET)
