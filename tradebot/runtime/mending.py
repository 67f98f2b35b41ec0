"""May a start write a damaged journal anew by itself? Asked by wiring, once what was left cannot be taken back.

Only what files and venue prove together is written, by the same proof as `tradebot recover --rebuild`; all else ends
the start with exit code 5 and every file in its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from tradebot.config.profile import Profile
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.ports import Clock, Log
from tradebot.runtime.opening import Mendable, tell_rebuilt
from tradebot.runtime.patience import Patience
from tradebot.runtime.rebuilding import Proof, prove_at_exchange, prove_on_paper, settle_s, unexplained, write
from tradebot.runtime.recovering import Files, exchange_of, look_into, paper_instruments
from tradebot.storage.home import STARTING, Home

T = TypeVar("T")

PAPER: Final = "the paper account"


class Mending:
    """What a start does with damage; `say` reaches the terminal where no record does."""

    def __init__(
        self, profile: Profile, log: Log, clock: Clock, patience: Patience, say: Callable[[str], None]
    ) -> None:
        self._profile = profile
        self._log = log
        self._clock = clock
        self._patience = patience
        self._say = say
        self._settled_s = 0.0

    def taken(self, attempt: Callable[[ExitStack], T], stack: ExitStack, *, may_rebuild: bool = True) -> T:
        """Return what `attempt` takes back, a second time once the journal is rebuilt; `stack` closes what it opened.

        Raises what `attempt` raises, CannotStart with exit code 5 where nothing is proven.
        """
        try:
            return _attempted(attempt, stack)
        except Mendable as damage:
            if self._profile.journal.rebuild == "ask" or not may_rebuild:
                raise
            self._rebuild(damage)
        return _attempted(attempt, stack)

    def _rebuild(self, damage: Mendable) -> None:
        home = Home.open(Path(self._profile.bot.state_dir), self._profile.bot.instance)
        try:
            files = look_into(home.folder, self._profile)
            if files.sound.empty:  # nothing here tells how the home came to be: a person judges that
                raise damage
            self._tell_begin(damage)
            self._patience.show(home.tell)
            home.tell(f"{STARTING}: its damaged journal is rebuilt, {self._how}")
            try:
                proof = self._proven(files)
            except CannotStart as error:
                if error.exit_code is not ExitCode.RECOVERY_REFUSED:
                    raise
                raise CannotStart(f"{damage}; {error}", error.exit_code) from error
            if not proof.sound.damage and not proof.added:
                raise damage
            write(home, proof, self._profile, self._clock.now_ms(), self._source, self._tell_rebuilt)
        finally:
            home.close()

    @property
    def _source(self) -> str:
        return PAPER if self._profile.venue.kind == "paper" else self._profile.exchange.name

    @property
    def _wait_s(self) -> float:
        return 0.0 if self._profile.venue.kind == "paper" else settle_s(self._profile)

    @property
    def _how(self) -> str:
        """How it is rebuilt, and what is waited for first."""
        how = f"where {self._source} proves what was lost"
        if not self._wait_s:
            return how
        return f"{how}; it is asked in {self._wait_s:g} s, when nothing that was under way can become an order any more"

    def _proven(self, files: Files) -> Proof:
        profile = self._profile
        if profile.venue.kind == "paper":
            return prove_on_paper(profile, files, paper_instruments(profile, offline=False), self._clock.now_ms())
        proof = self._patience.make(partial(self._asked, files))
        if strange := unexplained(proof):
            raise CannotStart(f"nothing is rebuilt: {strange}", ExitCode.RECOVERY_REFUSED)
        return proof

    async def _asked(self, files: Files) -> Proof:
        """Ask the exchange, once what was sent before this start can no longer become an order that nobody knows."""
        await asyncio.sleep(max(0.0, self._settled_s - time.monotonic()))
        async with exchange_of(self._profile, self._clock, log=self._log) as venue:
            return await prove_at_exchange(self._profile, files, venue, self._clock.now_ms())

    def _tell_begin(self, damage: Mendable) -> None:
        text = f"{damage}. It is rebuilt by this start {self._how}"
        self._settled_s = time.monotonic() + self._wait_s
        self._log.emit("events", "ERROR", "STATE_DAMAGED", text, cause=str(damage), wait_s=self._wait_s)
        self._say(text)

    def _tell_rebuilt(self, text: str, told: dict[str, Any]) -> None:
        tell_rebuilt(self._log, text, told)
        self._say(text)


def _attempted(attempt: Callable[[ExitStack], T], stack: ExitStack) -> T:
    with ExitStack() as opened:
        found = attempt(opened)
        stack.push(opened.pop_all())
        return found
