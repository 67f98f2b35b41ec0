"""Which profile is in force? Files, what they extend, the environment and overridden toggles, merged and validated.
Asked at start-up, by every reload and by `validate`: the same code for all three.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from tradebot.config.breach import Breach
from tradebot.config.covered import Covered, covered
from tradebot.config.env import Override, nested, overrides
from tradebot.config.extends import ProfileFile, Sources, gather
from tradebot.config.faults import Fault, Path, ProfileInvalid, dotted
from tradebot.config.kept import digest_of, gather_kept
from tradebot.config.leaves import leaves
from tradebot.config.merge import OVERRIDE, Origin, Origins, at, holds, merged, overlay
from tradebot.config.profile import Profile
from tradebot.config.rules import breaches
from tradebot.config.sections.features import Features
from tradebot.config.wording import Complaint, complaints

FEATURES = "features"


class Loaded(Struct, frozen=True):
    """A valid profile and where it comes from.

    `path` is the file as it was found, `name` its stem; `files` are all files read, the profile itself last;
    `origins` says for each setting's dotted key where its value comes from, `covered` what the files say where
    something else stands over them.
    """

    profile: Profile
    path: str
    name: str
    files: tuple[ProfileFile, ...]
    origins: dict[str, Origin]
    covered: dict[str, Covered] = {}

    @property
    def digest(self) -> str:
        """Identity of the text: of the files, not of the environment and the toggles laid over them."""
        return digest_of(self.files)


def load_profile(
    name_or_path: str,
    environ: Mapping[str, str] = os.environ,
    *,
    switches: Mapping[str, bool] = MappingProxyType({}),
    stored: Sequence[ProfileFile] = (),
) -> Loaded:
    """Load a profile, by its path or by its name in `profiles/` (with or without `.toml`).

    `switches` are toggles by name, laid over everything else. With `stored` (the profile last) the files are taken
    from there, and neither the disk nor `name_or_path` is looked at.

    Raises `ProfileInvalid` with every fault of every file, variable and toggle.
    """
    sources = gather_kept(stored) if stored else gather(name_or_path)
    tree, origins, faults = with_variables(sources, environ)
    profile, found = _validated(tree, readable=not sources.faults)
    faults = [*sources.faults, *faults, *(_placed(keys, message, origins, sources) for keys, message in found)]
    if switches:  # a text is sound by itself: the toggles laid over it go again some day
        tree, unknown = _with_switches(tree, origins, switches, len(sources.files) + 1)
        profile, found = _validated(tree, readable=not sources.faults)
        faults += [*unknown, *(_placed(keys, message, origins, sources) for keys, message in found)]
    if faults:
        raise ProfileInvalid(_in_order(faults, sources))
    by_key = {dotted(path): origins.get(path, Origin()) for path, _ in leaves(profile)}
    name = os.path.splitext(os.path.basename(sources.path))[0]
    over = covered(sources.tree, overrides(environ)[0], switches)
    return Loaded(profile, sources.path, name, sources.files, by_key, over)


def with_variables(sources: Sources, environ: Mapping[str, str]) -> tuple[dict[str, Any], Origins, list[Fault]]:
    """Return the files' tree with the environment laid over it, its origins, and the variables' faults."""
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


def _with_switches(
    tree: dict[str, Any], origins: Origins, switches: Mapping[str, bool], rank: int
) -> tuple[dict[str, Any], list[Fault]]:
    """Return `tree` with the toggles laid over it, and the faults of names that are none; enter their origins."""
    faults: list[Fault] = []
    for name, on in switches.items():
        path = (FEATURES, name)
        if name not in Features.model_fields:
            near = get_close_matches(name, Features.model_fields, 1, 0.6)
            hint = f"; did you mean {near[0]}?" if near else f"; the toggles are {', '.join(Features.model_fields)}"
            faults.append(Fault(OVERRIDE, 0, 0, dotted(path), f"names no toggle{hint}"))
            continue
        if not isinstance(tree.get(FEATURES, {}), dict):
            continue  # the table itself is refused
        tree = merged(tree, {FEATURES: {name: on}})
        origins[path] = Origin(rank=rank, switch=name)
    return tree, faults


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
    file = str(place) if place.variable or place.switch else place.file
    return Fault(file, place.line, place.column, dotted(keys[0]), message)


def _in_order(faults: Iterable[Fault], sources: Sources) -> list[Fault]:
    """Return the faults as they are mended: the profile's own first, then what it extends, then the environment."""
    ranks = {file.path: -rank for rank, file in enumerate(sources.files)}
    return sorted(set(faults), key=lambda fault: (ranks.get(fault.file, 1), fault))
