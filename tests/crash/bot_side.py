"""How is the bot of a case run? The product's own start in a forked process, with taps around it; for `running`."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.crash.points import Kill, Points, written
from tests.crash.stage import Slot, Stage
from tradebot.domain.errors import CannotStart
from tradebot.engine.engine import Engine
from tradebot.runtime.generations import choose
from tradebot.runtime.leftovers import held
from tradebot.runtime.live import LiveShell
from tradebot.runtime.running import finish
from tradebot.runtime.signals import Signals
from tradebot.runtime.wiring import Makers, Options, wire

PROFILE: Final = "crash.toml"
OUTPUT: Final = "output.txt"
POINTS: Final = "points.json"
PATIENCE_S: Final = 1.5
"""How long a position that is left may keep a bot whose script is over: it may be dust."""


class Life(Struct, frozen=True):
    """One run of the bot in `folder`; `mutate` breaks a promise first."""

    folder: Path
    run: int
    kill: Kill | None = None
    mutate: Callable[[], None] | None = None


def live(life: Life, stage: Stage) -> None:
    """Be the bot, to the end of this process: by its point, or by the exit code of the product."""
    code = 70
    try:
        _redirect(life.folder / OUTPUT)
        points = Points(stage, life.run, life.kill)
        points.install()
        _watch_over(stage, life.run)
        if life.mutate is not None:
            life.mutate()
        code = _run(str(life.folder / PROFILE), stage, life.run)
        with (life.folder / POINTS).open("ab") as file:
            file.write(written(points))
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
        import traceback

        traceback.print_exception(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(profile: str, stage: Stage, run: int) -> int:
    """Do what `tradebot --profile P` does, without its report."""
    with Signals() as signals:
        before = held()
        try:
            wired = wire(choose(profile), Options(), signals, print, Makers())
        except CannotStart as error:
            print(f"cannot start: {error}")
            stage[Slot.REFUSED] = run
            return int(error.exit_code)
        gc.freeze()
        finished = finish(wired, before, print)
        if finished.ending.start_refused:
            stage[Slot.REFUSED] = run
        return int(finished.ending.code)


def _redirect(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _watch_over(stage: Stage, run: int) -> None:
    """Say when the bot trades, and ask it to end, as an operator does, once its script is over and nothing is open."""
    turn = LiveShell.turn
    asked = False
    over_s = 0.0

    def watched(shell: LiveShell) -> None:
        nonlocal asked, over_s
        turn(shell)
        engine = shell._dispatch.machine
        assert isinstance(engine, Engine)
        state = engine.state
        if stage[Slot.READY] != run:
            if state.trading and all(symbol.seen_ms >= 0 for symbol in engine.symbols.values()):
                stage[Slot.READY] = run
            return
        if asked:
            return
        leave = stage[Slot.LEAVE] == run
        if stage[Slot.OVER] and not state.orders and not state.intents:
            over_s = over_s or time.monotonic()
            leave = leave or not state.ledger.positions or time.monotonic() - over_s > PATIENCE_S
        if leave:
            asked = True
            os.kill(os.getpid(), signal.SIGTERM)

    LiveShell.turn = watched  # type: ignore[assignment,method-assign]  # from outside, in this process alone
