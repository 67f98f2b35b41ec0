"""Which profiles do the tests of a live edit begin with? One made of dotted keys, and a way through the transaction."""

from __future__ import annotations

from typing import Any

from tradebot.config.profile import Profile
from tradebot.runtime.swapping import Staged, Swappable


def profile(**settings: Any) -> Profile:
    """Return a profile with these settings, each named by its dotted key with `__` for the dots."""
    tables: dict[str, Any] = {}
    for key, value in settings.items():
        *path, name = key.split("__")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[name] = value
    return Profile.model_validate(tables)


async def applied(part: Swappable, old: Profile, new: Profile) -> Staged:
    """Take `part` from `old` to `new` all the way; return what was staged."""
    staged = await part.stage(old, new)
    staged.commit()
    await staged.retire()
    return staged


async def taken_back(part: Swappable, old: Profile, new: Profile) -> Staged:
    """Take `part` from `old` to `new` and back again; return what was staged."""
    staged = await part.stage(old, new)
    staged.commit()
    staged.revert()
    await staged.discard()
    return staged
