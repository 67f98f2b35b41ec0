"""What does a profile to start from look like? Asked by `init`; `profiles/base.toml` is exactly this."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tradebot.config.base import Table
from tradebot.config.catalogue import Setting, loosening, settings_of, wanted
from tradebot.config.profile import Profile
from tradebot.config.sections.bot import Bot
from tradebot.config.toml_text import block, header, key, literal

LONGEST_INSTANCE = 8
"""Most characters of a bot's name."""

_EXAMPLE = "BTC/USDT"

_HEAD = """\
#:schema ../schemas/profile.schema.json

# A profile: every setting of the bot with its default. Change what should differ, or write a small file
# of your own that begins with
#   extends = "base.toml"
# and says only that. The comment above a setting is its meaning, what may be written, and what an edit needs:
#   live      takes effect at the next decision
#   rebuild   its component is built anew
#   restart   the bot must be started again
#   looser    marks a risk limit: an edit towards the looser side waits for a confirmation
# Check a profile with `tradebot validate`, see what is in force with `tradebot profile show --origin`.
"""


def template(instance: str = "") -> str:
    """Return a profile that says every setting with its sentence, unit, bounds, default and reload class.

    `instance` is the bot's name, "" the default.
    """
    text = _HEAD + "\n".join(_table(Profile, (), "")) + "\n"
    default = literal(settings_of(Bot)["instance"].default)
    return text.replace(f"\ninstance = {default}\n", f"\ninstance = {literal(instance)}\n", 1) if instance else text


def instance_for(name: str) -> str:
    """Return the name of a bot whose profile's file has this name, "" where nothing of it may stand there."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_INSTANCE].rstrip("-")


def about(setting: Setting) -> str:
    """Return what may be written and what an edit needs and which side of a limit is looser, in one line."""
    loose = loosening(setting)
    return f"{wanted(setting)} · {setting.reload}" + (f" · looser: {loose}" if loose else "")


def _table(table: type[Table], path: tuple[str, ...], mute: str) -> Iterator[str]:
    """Yield the lines of a table; with `mute` ("# ") as an example that is not in force."""
    known = settings_of(table)
    if any(setting.leaf or _optional(setting) for setting in known.values()):
        yield f"\n{mute}{header(path)}  # {(table.__doc__ or '').splitlines()[0]}"
    for name, setting in known.items():
        if setting.leaf:
            yield from _setting(name, setting, mute)
        elif _optional(setting):
            yield f"\n# {setting.sentence}"
            yield f"# {about(setting)}"
            yield f"{key(name)} = {literal(None, setting)}"
    for name, setting in known.items():
        if setting.table is None or setting.leaf:
            continue
        if setting.kind == "named":
            yield from _table(setting.table, (*path, name, _EXAMPLE), "# ")
        elif _optional(setting):
            yield f"\n# instead of {key(name)} = {literal(None, setting)}:"
            yield from _table(setting.table, (*path, name), "# ")
        else:
            yield from _table(setting.table, (*path, name), mute)


def _optional(setting: Setting) -> bool:
    return setting.kind == "table" and setting.unset is not None


def _setting(name: str, setting: Setting, mute: str) -> Iterator[str]:
    yield f"\n# {setting.sentence}"
    yield f"# {about(setting)}"
    if setting.kind == "tables" and setting.table is not None:
        for inner, own in settings_of(setting.table).items():
            yield f"#   {inner}: {own.sentence} ({wanted(own)})"
        yield f"{mute}{key(name)} = {block(setting.default)}"
    elif setting.required:
        yield f"{mute}{key(name)} = {_EXAMPLES[name]}"
    else:
        yield f"{mute}{key(name)} = {literal(setting.default, setting)}"


_EXAMPLES = {"threshold_bps": "120", "activate_bps": "120", "distance_bps": "60"}
"""What an example shows where a setting has no default; a test holds it complete."""
