"""What can be done about a start on a profile with faults? Asked by `run`, for the person who reads them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from tradebot.config.faults import ProfileInvalid
from tradebot.domain.errors import StorageFailed

if TYPE_CHECKING:
    from tradebot.domain.generation import Generation


def way_back(profile: str, invalid: ProfileInvalid) -> str:
    """Return how the generation that was in force comes back, "" where none would help.

    None does where only the environment is at fault, or where its text is what stands on the disk.
    """
    if all(fault.file.startswith("$") for fault in invalid.faults):
        return ""
    try:
        force = _in_force(profile)
    except (
        ProfileInvalid,
        StorageFailed,
    ):  # no profile, or a history nobody can read: the faults are told all the same
        return ""
    if force is None or _on_disk(force):
        return ""
    note = (
        f"generation {force.number} was in force: `tradebot rollback {force.number} --profile {profile}` "
        "brings its text back"
    )
    if tomllib.loads(force.effective).get("start", {}).get("on_faulty") != "exits_only":
        note += '; `start.on_faulty = "exits_only"` would have gone on selling'
    return note


def _in_force(profile: str) -> Generation | None:
    """Return the generation in force in the profile's home, None where it is of another one or was rolled back."""
    from tradebot.config.identity import identity
    from tradebot.runtime.generations import same_profile
    from tradebot.storage.history import History
    from tradebot.storage.home import PROFILES

    where = identity(profile)
    history = History.read_only(Path(where.state_dir) / where.instance / PROFILES)
    if history is None:
        return None
    try:
        force = history.in_force()
        if force is None or not force.files or force.state == "condemned" or not same_profile(force, where.path):
            return None
        verdict = history.verdict(force.digest)
    finally:
        history.close()
    return None if verdict is not None and verdict.kind == "condemned" else force


def _on_disk(force: Generation) -> bool:
    try:
        return all(Path(one.path).read_bytes() == one.source for one in force.files)
    except OSError:
        return False
