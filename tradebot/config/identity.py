"""Where is the durable home of a profile, sound or not? Asked by a start on a faulty one, and by clients of the bot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from tradebot.config.extends import Disk, Sources, resolve, walked
from tradebot.config.faults import Fault
from tradebot.config.loader import with_variables
from tradebot.config.profile import Profile
from tradebot.config.reading import Read, read
from tradebot.config.salvage import salvaged
from tradebot.config.sections.bot import Bot
from tradebot.config.wording import complaints


class Identity(Struct, frozen=True):
    """Which bot a profile is of: the file as it was found, the folder of its homes, and its name there.

    `certain` is whether it is what the profile says: no file is broken or missing, no variable is faulty, and nothing
    that is wrong in the rest concerns `[bot]`. Where it is not, it is the best that can be made out.
    """

    path: str
    state_dir: str
    instance: str
    certain: bool


def identity(name_or_path: str, environ: Mapping[str, str] = os.environ) -> Identity:
    """Return whose profile it is, though it may have any fault; raises `ProfileInvalid` only where it is not there."""
    broken: list[Fault] = []

    def parse(path: str, source: bytes) -> Read:
        parsed = read(path, source)
        if isinstance(parsed, Read):
            return parsed
        broken.append(parsed)
        return salvaged(path, source)

    sources = walked(resolve(name_or_path), Disk(), parse)
    tree, _, faults = with_variables(sources, environ)
    said = tree.get("bot")
    own = said if isinstance(said, dict) else {}
    return Identity(
        path=sources.path,
        state_dir=_sound("state_dir", own),
        instance=_sound("instance", own),
        certain=not broken and not faults and _clear(sources, tree),
    )


def _sound(name: str, said: Mapping[str, Any]) -> str:
    """Return a text of `[bot]` where it may stand there, else its default."""
    default = str(Bot.model_fields[name].default)
    if name not in said:
        return default
    try:
        value = str(getattr(Bot.model_validate({name: said[name]}), name))
    except ValidationError:
        return default
    return value if value.isprintable() else default


def _clear(sources: Sources, tree: dict[str, Any]) -> bool:
    """Whether no fault of the files is about `[bot]`, nor may have meant it."""
    if sources.faults:
        return False
    try:
        profile = Profile.model_validate(tree)
    except ValidationError as error:
        found = complaints(error.errors(include_url=False))
        return not any("bot" in (each.path[0], each.meant[0] if each.meant else None) for each in found)
    return profile.bot.state_dir.isprintable()
