"""Where is the durable home of a profile, sound or not? Asked by a start on a faulty one, and by clients of the bot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from tradebot.config.extends import Disk, resolve, walked
from tradebot.config.loader import with_variables
from tradebot.config.reading import Read, read
from tradebot.config.salvage import salvaged
from tradebot.config.sections.bot import Bot


class Identity(Struct, frozen=True):
    """Which bot a profile is of: the file as it was found, the folder of its homes, and its name there.

    Where files are broken or missing, or `[bot]` is faulty, it is the best that can be made out.
    """

    path: str
    state_dir: str
    instance: str


def identity(name_or_path: str, environ: Mapping[str, str] = os.environ) -> Identity:
    """Return whose profile it is, though it may have any fault; raises `ProfileInvalid` only where it is not there."""

    def parse(path: str, source: bytes) -> Read:
        parsed = read(path, source)
        return parsed if isinstance(parsed, Read) else salvaged(path, source)

    sources = walked(resolve(name_or_path), Disk(), parse)
    tree, _, _ = with_variables(sources, environ)
    said = tree.get("bot")
    own = said if isinstance(said, dict) else {}
    return Identity(
        path=sources.path,
        state_dir=_sound("state_dir", own),
        instance=_sound("instance", own),
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
