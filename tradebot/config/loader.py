"""Which profile is in force? Files, what they extend and the environment, merged and validated. Asked at start-up,
by every reload and by `validate`: the same code for all three.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from tradebot.config.breach import Breach
from tradebot.config.env import Override, nested, overrides
from tradebot.config.extends import ProfileFile, Sources, gather
from tradebot.config.faults import Fault, Path, ProfileInvalid, dotted
from tradebot.config.leaves import leaves
from tradebot.config.merge import Origin, Origins, at, holds, merged, overlay
from tradebot.config.profile import Profile
from tradebot.config.rules import breaches
from tradebot.config.wording import Complaint, complaints


class Loaded(Struct, frozen=True):
    """A valid profile and where it comes from.

    `path` is the file as it was found, `name` its stem; `files` are all files read, the profile itself last;
    `origins` says for each setting's dotted key where its value comes from.
    """

    profile: Profile
    path: str
    name: str
    files: tuple[ProfileFile, ...]
    origins: dict[str, Origin]


def load_profile(name_or_path: str, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Load a profile, by its path or by its name in `profiles/` (with or without `.toml`).

    Raises `ProfileInvalid` with every fault of every file and variable.
    """
    sources = gather(name_or_path)
    tree, origins, faults = _with_variables(sources, environ)
    profile, found = _validated(tree, readable=not sources.faults)
    faults = [*sources.faults, *faults, *(_placed(keys, message, origins, sources) for keys, message in found)]
    if faults:
        raise ProfileInvalid(_in_order(faults, sources))
    by_key = {dotted(path): origins.get(path, Origin()) for path, _ in leaves(profile)}
    name = os.path.splitext(os.path.basename(sources.path))[0]
    return Loaded(profile, sources.path, name, sources.files, by_key)


def _with_variables(sources: Sources, environ: Mapping[str, str]) -> tuple[dict[str, Any], Origins, list[Fault]]:
    """Return the files' tree with the environment laid over it."""
    tree, origins = sources.tree, dict(sources.origins)
    found, faults = overrides(environ)
    for override in found:
        upper = nested(override.path, override.value)
        overlay(origins, tree, upper, partial(_origin, override, origins, len(sources.files)))
        tree = merged(tree, upper)
    return tree, origins, faults


def _origin(override: Override, origins: Origins, rank: int, path: Path) -> Origin:
    """Return the variable for what it sets; the tables that lead there stay where they were written."""
    variable = Origin(variable=override.variable, rank=rank)
    inside = path[: len(override.path)] == override.path
    return variable if inside else origins.get(path, variable)


def _validated(tree: dict[str, Any], readable: bool) -> tuple[Profile, list[tuple[Sequence[Path], str]]]:
    """Return the profile, and (the keys concerned, message) of everything wrong with it.

    Where the model refuses a value, the rules between settings are still asked, of all others: the refused ones
    are left out, and what a rule says of them is not believed.
    """
    found: list[tuple[Sequence[Path], str]] = []
    doubtful: set[Path] = set()
    tree = deepcopy(tree)
    profile: Profile | None = None
    while profile is None:
        try:
            profile = Profile.model_validate(tree)
        except ValidationError as error:
            said = complaints(error.errors(include_url=False))
            if not doubtful:
                found.extend(((complaint.path,), complaint.message) for complaint in said)
            removed = _without(tree, said)
            if not removed:
                raise  # nothing of the operator's is left to blame: a default of ours is refused
            doubtful |= removed
    if readable:
        found.extend((breach.keys, breach.message) for breach in breaches(profile) if not _touches(breach, doubtful))
    return profile, found


def _without(tree: dict[str, Any], said: Iterable[Complaint]) -> set[Path]:
    """Take the refused values out of `tree`; return the paths about which nothing is known now."""
    doubtful: set[Path] = set()
    for complaint in said:
        refused = complaint.path if holds(tree, complaint.path) else complaint.path[:-1]
        if not holds(tree, refused):
            continue  # inside a table that is out already
        while isinstance(refused[-1], int):
            refused = refused[:-1]  # an array lacks no element: it stands or falls as one
        del at(tree, refused[:-1])[refused[-1]]
        doubtful |= {complaint.path, refused}
        if complaint.meant is not None:
            doubtful.add(complaint.meant)
    return doubtful


def _touches(breach: Breach, doubtful: Iterable[Path]) -> bool:
    return any(key[: len(other)] == other or other[: len(key)] == key for key in breach.keys for other in doubtful)


def _placed(keys: Sequence[Path], message: str, origins: Origins, sources: Sources) -> Fault:
    """Return the fault at the written key of most authority among `keys`, or at the table that lacks it."""
    written = [origins[key] for key in keys if key in origins]
    if written:
        place = max(written, key=lambda origin: origin.rank)
    else:
        above = [keys[0][:length] for length in range(len(keys[0]) - 1, 0, -1)]
        place = next((origins[path] for path in above if path in origins), Origin(sources.path, 1, 1))
    file = f"${place.variable}" if place.variable else place.file
    return Fault(file, place.line, place.column, dotted(keys[0]), message)


def _in_order(faults: Iterable[Fault], sources: Sources) -> list[Fault]:
    """Return the faults as they are mended: the profile's own first, then what it extends, then the environment."""
    ranks = {file.path: -rank for rank, file in enumerate(sources.files)}
    return sorted(set(faults), key=lambda fault: (ranks.get(fault.file, 1), fault))
