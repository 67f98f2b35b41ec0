"""When does a start pass each of its stages? The real bot, as a program that takes stamps.

`python -m tests.benchmarks.recovery_stamps FILE BEGUN_NS …` runs `tradebot …` and writes to FILE of each stage how
many seconds since BEGUN_NS (of CLOCK_MONOTONIC, when the process was asked for) it was over, and how many of them the
process had computed. Asked by the recovery's benchmark.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tradebot.cli import main as command

STAGES: Final = ("python", "session", "stores", "prices", "state", "wired", "connected", "fresh", "trading")
"""Over in this order, but the last two: the interpreter stands; the session is open; home, journal and lease are;
the markets are known; checkpoint and tail are taken back; all is wired; the venue has checked key and account and
hears of its orders; every symbol has a price; every order is reconciled and the bot trades."""


class Stamps:
    """The stages that are over, in s since the process was asked for; written once the last one is."""

    def __init__(self, path: Path, begun_ns: int) -> None:
        self._path = path
        self._begun_ns = begun_ns
        self.over: dict[str, tuple[float, float]] = {}

    def stamp(self, stage: str) -> None:
        """Note that a stage is over, the first time."""
        if stage not in self.over:
            self.over[stage] = ((time.monotonic_ns() - self._begun_ns) / 1e9, time.process_time())
            if len(self.over) == len(STAGES):
                whole = self._path.with_suffix(".whole")
                whole.write_text(json.dumps(self.over))
                whole.replace(self._path)


def _after(owner: Any, name: str, then: Callable[[str], None], stage: str) -> None:
    real = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        found = real(*given, **named)
        then(stage)
        return found

    setattr(owner, name, call)


def stamped(stamps: Stamps) -> None:
    """Let the bot's parts stamp their stages."""
    from tradebot.runtime import bot, wiring
    from tradebot.runtime.live import LiveShell
    from tradebot.venues.ccxt_spot import CcxtSpot

    for name, stage in (("open_session", "session"), ("make_lease", "stores"), ("feed_for", "prices")):
        _after(wiring, name, stamps.stamp, stage)
    _after(wiring, "restore", stamps.stamp, "state")
    _after(bot.Bot, "__init__", stamps.stamp, "wired")
    start = CcxtSpot.start

    async def started(venue: CcxtSpot) -> None:
        await start(venue)
        stamps.stamp("connected")

    setattr(CcxtSpot, "start", started)  # noqa: B010 - mypy lets nothing be assigned to a method
    turn = LiveShell.turn

    def turned(shell: LiveShell) -> None:
        turn(shell)
        if len(stamps.over) < len(STAGES):
            machine: Any = shell._dispatch.machine
            if machine.state.trading:
                stamps.stamp("trading")
            if all(symbol.bid for symbol in machine.symbols.values()):
                stamps.stamp("fresh")

    setattr(LiveShell, "turn", turned)  # noqa: B010 - as above


def main(file: str, begun_ns: str, *words: str) -> int:
    """Run the bot; write what was stamped."""
    stamps = Stamps(Path(file), int(begun_ns))
    stamps.stamp("python")
    stamped(stamps)
    return command.main(words)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
