"""Does a change loosen a risk limit? Asked by the diff; which settings are limits is declared beside each."""

from __future__ import annotations

from typing import Any

from tradebot.config.catalogue import find
from tradebot.config.faults import Path
from tradebot.config.profile import Profile
from tradebot.config.sections.execution import Step


class Absent:
    """The value of a setting that one of two profiles does not have at all."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()

MEANING = "waits for a confirmation"
"""What an edit does that moves a limit towards its looser side."""


def looser(path: Path, old: Any, new: Any) -> bool:
    """Whether the setting at `path` is a risk limit and `new` is looser than `old`: either may be `ABSENT`.

    To be without a value is the loosest of all.
    """
    setting = find(path)
    if setting is None or not setting.looser:
        return False
    before, after = _limit(old), _limit(new)
    if before is None or after is None:
        return before is not None and after is None
    match setting.looser:
        case "higher":
            return bool(setting.table is None and after > before)
        case "lower":
            return bool(setting.table is None and after < before)
    return word(after) == setting.looser != word(before)


def to_market(path: Path, old: Profile, new: Profile) -> bool:
    """Whether `path` is the step of a buy's ladder that is a market order now, where the ladder had none before."""
    if path[:2] != ("execution", "steps") or path[-1] != "type" or any(map(_is_market, old.execution.steps)):
        return False
    index = path[2]
    steps = new.execution.steps
    return isinstance(index, int) and index < len(steps) and _is_market(steps[index])


def word(value: Any) -> str:
    """Return a flag or a choice as `looser` names it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _limit(value: Any) -> Any:
    return None if value is ABSENT else value


def _is_market(step: Step) -> bool:
    return step.type == "market"
