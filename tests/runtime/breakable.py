"""Which part of a bot breaks where a test wants it to? One that takes edits like any other, and keeps a diary."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from tradebot.config.profile import Profile
from tradebot.domain.market import Instrument
from tradebot.runtime.swapping import CannotBuild, Staged


class Breakable:
    """A part concerned with keys that begin with `prefix`; `breaks` are the steps that raise, or hang (`hang:stage`).

    `diary` is shared: every step of every part is noted in it. What it runs by is `on`.
    """

    def __init__(
        self,
        diary: list[str],
        name: str = "part",
        prefix: str = "",
        breaks: Collection[str] = (),
        effect: str = "swapped",
    ) -> None:
        self.name = name
        self.diary = diary
        self.breaks = set(breaks)
        self.effect = effect
        self.on: Profile | None = None
        self.held = 0
        self.hanging = asyncio.Event()
        self.instruments: tuple[Instrument, ...] | None = None
        self._prefix = prefix

    def concerned(self, keys: Collection[str]) -> bool:
        return any(key.startswith(self._prefix) for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        self.diary.append(f"stage {self.name}")
        await self._break("stage")
        self.held += 1
        return _Share(self, old, new)

    async def _break(self, step: str) -> None:
        if f"hang:{step}" in self.breaks:
            self.hanging.set()
            await asyncio.Event().wait()
        self.broken(step)

    def broken(self, step: str) -> None:
        if step in self.breaks:
            raise ConnectionError(f"{self.name} breaks in {step}")
        if f"cannot:{step}" in self.breaks:
            raise CannotBuild(f"{self.name} cannot {step}")

    async def end(self, step: str) -> None:
        self.diary.append(f"{step} {self.name}")
        self.held -= 1
        await self._break(step)


class _Share:
    def __init__(self, part: Breakable, old: Profile, new: Profile) -> None:
        self.name = part.name
        self.effect = part.effect
        self.instruments = part.instruments
        self._part = part
        self._old = old
        self._new = new

    def commit(self) -> None:
        self._part.diary.append(f"commit {self.name}")
        self._part.on = self._new
        self._part.broken("commit")

    def revert(self) -> None:
        self._part.diary.append(f"revert {self.name}")
        self._part.broken("revert")
        self._part.on = self._old

    async def retire(self) -> None:
        await self._part.end("retire")

    async def discard(self) -> None:
        await self._part.end("discard")
