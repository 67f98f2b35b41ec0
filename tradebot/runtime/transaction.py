"""How do all parts come from one generation to the next, or not at all? Asked when an edit is applied.

Staged in the order of the bench, swapped together without giving way to anything else, flipped back in reverse order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from tradebot.config.profile import Profile
from tradebot.domain.market import Instrument
from tradebot.ports import Log
from tradebot.runtime.swapping import CannotBuild, Staged, Swappable


class FlipFailed(Exception):
    """What was swapped could not be swapped back: the parts stand on different generations."""


class SwapFailed(Exception):
    """A part could not be swapped; every part is on the old generation again."""


@runtime_checkable
class Watching(Protocol):
    """A staged part that changes which symbols are watched."""

    instruments: tuple[Instrument, ...] | None


class Transaction:
    """One way from `old` to `new`: `stage`, then `swap` and `retire`, or `discard`. `flip` undoes a swap."""

    def __init__(self, bench: Sequence[Swappable], keys: Sequence[str], old: Profile, new: Profile, log: Log) -> None:
        self._concerned = [part for part in bench if part.concerned(keys)]
        self._keys = keys
        self._old = old
        self._new = new
        self._log = log
        self._staged: list[tuple[Swappable, Staged]] = []
        self._swapped: list[Staged] = []

    @property
    def instruments(self) -> tuple[Instrument, ...] | None:
        """The symbols watched after the swap, None where they stay as they are."""
        for _, staged in self._staged:
            if isinstance(staged, Watching) and staged.instruments is not None:
                return staged.instruments
        return None

    async def stage(self, limit_s: float) -> None:
        """Build, start and prove every part concerned. Raises CannotBuild; nothing is left behind then."""
        under_way = ""
        timeout = asyncio.timeout(limit_s)
        try:
            async with timeout:
                for part in self._concerned:
                    under_way = part.name
                    self._staged.append((part, await part.stage(self._old, self._new)))
        except BaseException as error:
            await self.discard(self._old.reload.drain_timeout_s)
            if timeout.expired():
                raise CannotBuild(f"{under_way} was not ready within {limit_s:g} s") from error
            if isinstance(error, Exception) and not isinstance(error, CannotBuild):
                raise CannotBuild(f"{under_way}: {_words(error)}") from error
            raise

    def effects(self) -> dict[str, str]:
        """Return by key when its change takes effect; keys that no staged part is concerned with are left out."""
        found: dict[str, str] = {}
        for key in self._keys:
            words = dict.fromkeys(staged.effect for part, staged in self._staged if part.concerned([key]))
            if words:
                found[key] = ", ".join(words)
        return found

    def swap(self, tell_engine: Callable[[], None]) -> None:
        """Swap every part and let the engine take the new generation, in one go.

        Raises SwapFailed once everything is back, FlipFailed where something cannot be taken back.
        """
        try:
            for _, staged in self._staged:
                self._swapped.append(staged)  # first: one that fails halfway is reverted as well
                staged.commit()
            tell_engine()
        except Exception as error:
            self.flip(error)
            raise SwapFailed(_words(error)) from error

    def flip(self, cause: Exception) -> None:
        """Swap back, the last one first. Raises FlipFailed, after every part has been tried."""
        failed = []
        for staged in reversed(self._swapped):
            try:
                staged.revert()
            except Exception as error:  # noqa: BLE001 - the others are swapped back all the same; then told
                failed.append(f"{staged.name}: {_words(error)}")
        self._swapped.clear()
        if failed:
            raise FlipFailed(f"{'; '.join(failed)} (swapped back since {_words(cause)})") from cause

    async def retire(self, limit_s: float) -> None:
        """End what was swapped out; one that does not end cleanly is told, and the rest goes on."""
        await self._end("retire", [staged for _, staged in self._staged], limit_s)
        self._staged.clear()

    async def discard(self, limit_s: float) -> None:
        """End what was built, the last one first."""
        await self._end("discard", [staged for _, staged in reversed(self._staged)], limit_s)
        self._staged.clear()

    async def _end(self, how: str, parts: Sequence[Staged], limit_s: float) -> None:
        end = time.monotonic() + limit_s
        for staged in parts:
            try:
                async with asyncio.timeout(max(0.01, end - time.monotonic())):
                    await (staged.retire() if how == "retire" else staged.discard())
            except Exception as error:  # noqa: BLE001 - the supervision border of the end of a part: told, gone on
                which = "old" if how == "retire" else "new"
                text = f"the {which} {staged.name} did not end cleanly: {_words(error)}"
                self._log.emit("system", "ERROR", "COMPONENT_NOT_RETIRED", text, component=staged.name)


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
