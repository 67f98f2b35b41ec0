"""Is requirements.lock fit to be installed anywhere? Asked by `task check` as a command, and by its own test."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_ADDRESS = re.compile(r"(https?|file|git\+\w+)://|--(extra-)?index-url|--find-links|--trusted-host")


def lock_faults(lock: str, project: str) -> list[str]:
    """Return one line per fault of the lock's text against the project's TOML text."""
    faults = [
        f"requirements.lock:{number}: an address: {line.strip()}"
        for number, line in enumerate(lock.splitlines(), 1)
        if _ADDRESS.search(line)
    ]
    pins: dict[str, str] = {}
    for block in _blocks(lock):
        match = _PIN.match(block)
        if match is None:
            faults.append(f"requirements.lock: not pinned with ==: {block.splitlines()[0]}")
            continue
        name = canonicalize_name(match["name"])
        pins[name] = match["version"]
        if "--hash=sha256:" not in block:
            faults.append(f"requirements.lock: no hash: {name}")
    for requirement in _wanted(project):
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None:
            faults.append(f"requirements.lock: lacks {requirement} of pyproject.toml; run `task lock`")
        elif not requirement.specifier.contains(pinned):
            faults.append(f"requirements.lock: {requirement.name}=={pinned} is not {requirement}; run `task lock`")
    return faults


def tracked_faults(tracked: list[str]) -> list[str]:
    """Return one line per tracked file that no other machine could use."""
    return [
        f"{path}: holds the addresses of one machine; only requirements.lock is committed"
        for path in tracked
        if Path(path).name == "uv.lock" or Path(path).name.startswith("pylock")
    ]


def _blocks(lock: str) -> list[str]:
    """Return each requirement with its continuation lines."""
    joined = lock.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _wanted(project: str) -> list[Requirement]:
    table = tomllib.loads(project)
    texts: list[str] = [*table["project"]["dependencies"], *table["build-system"]["requires"]]
    for extra in table["project"]["optional-dependencies"].values():
        texts += extra
    for group in table["dependency-groups"].values():
        texts += group
    return [Requirement(text) for text in texts]


def main() -> int:
    """Print the faults of this checkout; return 1 where there is any."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    faults = lock_faults(
        (ROOT / "requirements.lock").read_text(encoding="utf-8"), (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ) + tracked_faults(tracked.splitlines())
    for fault in faults:
        print(fault)
    print(f"lock: {len(faults)} faults" if faults else "lock: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
