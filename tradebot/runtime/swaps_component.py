"""How is one component exchanged for another while the bot runs? Asked by the reload, for each of its components.

A component swap stands in the coordinator's list in place of the component: to stop it is to stop the present one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from tradebot.config.profile import Profile
from tradebot.ports import Component
from tradebot.runtime.component import NullPart, stop_within
from tradebot.runtime.swapping import CannotBuild, Staged

Make = Callable[[Profile], Component]
"""Makes the component a profile asks for, or its null part; not started. Raises CannotBuild or what is foreign."""


class ComponentSwap:
    """A component that is built anew for an edit of one of the keys that begin with `keys`.

    The new one is started beside the old one. With `exclusive` both need the same thing (a socket, a port): then the
    old one is stopped before the new one is started, and started again where the edit does not come to stand. That
    costs the time between: from the stop on nobody is served until the new one is up, or the old one is back; and
    if the old one cannot be started again, `discard` (or `stage`) says so and the part is off.
    """

    def __init__(
        self, name: str, keys: tuple[str, ...], make: Make, current: Component, *, exclusive: bool = False
    ) -> None:
        self.name = name
        self.current = current
        """The component in force."""
        self._keys = keys
        self._make = make
        self._exclusive = exclusive

    async def start(self) -> None:
        """Start the component in force."""
        await self.current.start()

    async def stop(self) -> None:
        """Stop the component in force."""
        await self.current.stop()

    def concerned(self, keys: Collection[str]) -> bool:
        """Whether one of `keys` is ours."""
        return any(key.startswith(self._keys) for key in keys)

    async def stage(self, old: Profile, new: Profile) -> Staged:
        """Make and start what `new` asks for. Raises CannotBuild; the old component then runs on, or again."""
        before, begun = self.current, time.monotonic()
        made: Component | None = None
        if self._exclusive:
            await self._stop_old(before, old.reload.drain_timeout_s)
        try:
            made = self._make(new)
            await made.start()
        except BaseException as error:
            left = await self._take_back(before, made, old.reload.drain_timeout_s)
            if not isinstance(error, Exception):
                raise
            raise CannotBuild(f"{self.name}: {error}{left}") from error
        return StagedComponent(self, before, made, old, new, effect(made, time.monotonic() - begun, self._exclusive))

    async def _take_back(self, before: Component, made: Component | None, limit_s: float) -> str:
        """End what was begun and have the old component run; return what of that failed, in words."""
        left = ""
        if made is not None:
            try:
                await stop_within(made, limit_s)
            except Exception as error:  # noqa: BLE001 - whatever a half-started part says: told with why it failed
                left = f"; what was begun did not end: {error}"
        if self._exclusive:
            try:
                await before.start()
            except Exception as error:  # noqa: BLE001 - as above
                left += f"; the old one could not be started again: {error}"
        return left

    async def _stop_old(self, before: Component, limit_s: float) -> None:
        try:
            await stop_within(before, limit_s)
        except BaseException as error:
            left = await self._take_back(before, None, limit_s)
            if not isinstance(error, Exception):
                raise
            raise CannotBuild(f"{self.name}: the one that runs did not stop: {error}{left}") from error

    @property
    def exclusive(self) -> bool:
        """Whether the old one is stopped before the new one is started."""
        return self._exclusive


class StagedComponent:
    """The share of a component swap."""

    def __init__(
        self, swap: ComponentSwap, before: Component, made: Component, old: Profile, new: Profile, effect: str
    ) -> None:
        self.name = swap.name
        self.effect = effect
        self._swap = swap
        self._before = before
        self._made = made
        self._old = old
        self._new = new

    def commit(self) -> None:
        """Put the new component in force."""
        self._swap.current = self._made

    def revert(self) -> None:
        """Put the old component in force again."""
        self._swap.current = self._before

    async def retire(self) -> None:
        """Stop the old component. Raises TimeoutError beyond `reload.drain_timeout_s`, or what stopping raises."""
        if not self._swap.exclusive:
            await stop_within(self._before, self._new.reload.drain_timeout_s)

    async def discard(self) -> None:
        """Stop the new component, and start the old one again where it had to make room. Raises what either raises."""
        try:
            await stop_within(self._made, self._old.reload.drain_timeout_s)
        finally:
            if self._swap.exclusive:
                await self._before.start()


def effect(made: Component, took_s: float, exclusive: bool = False) -> str:
    """Return in a few words what became of a component."""
    if isinstance(made, NullPart):
        return f"switched off ({made.why})" if made.why != "off" else "switched off"
    return f"{'started anew' if exclusive else 'started'}, {took_s:.2f} s"
