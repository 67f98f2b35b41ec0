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
    """A component that is built anew, and started beside the old one, for an edit of a key that begins with `keys`."""

    def __init__(self, name: str, keys: tuple[str, ...], make: Make, current: Component) -> None:
        self.name = name
        self.current = current
        """The component in force."""
        self._keys = keys
        self._make = make

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
        """Make and start what `new` asks for. Raises CannotBuild; the old component runs on."""
        before, begun = self.current, time.monotonic()
        made: Component | None = None
        try:
            made = self._make(new)
            await made.start()
        except BaseException as error:
            left = "" if made is None else await _ended(made, old.reload.drain_timeout_s)
            if not isinstance(error, Exception):
                raise
            raise CannotBuild(f"{self.name}: {error}{left}") from error
        return StagedComponent(self, before, made, old, new, effect(made, time.monotonic() - begun))


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
        await stop_within(self._before, self._new.reload.drain_timeout_s)

    async def discard(self) -> None:
        """Stop the new component. Raises TimeoutError beyond `reload.drain_timeout_s`, or what stopping raises."""
        await stop_within(self._made, self._old.reload.drain_timeout_s)


async def _ended(begun: Component, limit_s: float) -> str:
    """End what was begun; return what of that failed, in words."""
    try:
        await stop_within(begun, limit_s)
    except Exception as error:  # noqa: BLE001 - whatever a half-started part says: told with why it failed
        return f"; what was begun did not end: {error}"
    return ""


def effect(made: Component, took_s: float) -> str:
    """Return in a few words what became of a component."""
    if isinstance(made, NullPart):
        return f"switched off ({made.why})" if made.why != "off" else "switched off"
    return f"started, {took_s:.2f} s"
