"""Does every check of `task check` fail when what it guards is broken? Each breach is made in a copy of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(sys.prefix)


@dataclass(frozen=True)
class Breach:
    """A file as it must not be, the check that must refuse it, and the words it must say."""

    check: str
    path: str
    text: str  # appended to what the file holds; a new file otherwise
    says: str  # a regular expression
    arguments: tuple[str, ...] = ()


BREACHES = {
    "a badly formatted file": Breach(
        "check:format",
        "tradebot/engine/injected.py",
        '"""Why?"""\nx = {  "a":1 }\n',
        r"(?s)unformatted.*engine/injected\.py",
    ),
    "an unused import": Breach(
        "check:lint", "tests/injected.py", '"""Why?"""\n\nimport json\n', r"(?s)F401.*injected\.py"
    ),
    "the time read in the engine": Breach(
        "check:lint",
        "tradebot/engine/injected.py",
        '"""Why?"""\n\nimport time\n\nNOW = time.time()\n',
        r"(?s)TID251.*`time` is banned: time is a parameter",
    ),
    "chance in the domain": Breach(
        "check:lint",
        "tradebot/domain/injected.py",
        '"""Why?"""\n\nfrom random import random\n\nLUCK = random()\n',
        r"(?s)TID251.*`random` is banned",
    ),
    "the time read by the profile": Breach(
        "check:lint",
        "tradebot/config/injected.py",
        '"""Why?"""\n\nfrom datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n',
        r"(?s)TID251.*`datetime\.datetime\.now` is banned",
    ),
    "a file read by a table of the profile": Breach(
        "check:lint",
        "tradebot/config/sections/injected.py",
        '"""Why?"""\n\nfrom pathlib import Path\n\nHERE = Path()\n',
        r"(?s)TID251.*`pathlib` is banned",
    ),
    "an error swallowed whole": Breach(
        "check:lint",
        "tradebot/storage/injected.py",
        '"""Why?"""\n\ntry:\n    VALUE = int("x")\nexcept Exception:\n    VALUE = 0\n',
        r"(?s)BLE001.*injected\.py",
    ),
    "an untyped function": Breach(
        "check:types",
        "tradebot/engine/injected.py",
        '"""Why?"""\n\n\ndef double(value):\n    """Return twice the value."""\n    return 2 * value\n',
        r"injected\.py:4: error: Function is missing a type annotation",
        ("tradebot/engine/injected.py",),
    ),
    "an untyped test": Breach(
        "check:types",
        "tests/injected.py",
        '"""Why?"""\n\n\ndef test_nothing(value):\n    assert value\n',
        r"injected\.py:4: error: Function is missing a type annotation",
        ("tests/injected.py",),
    ),
    "an import that points up": Breach(
        "check:imports",
        "tradebot/domain/injected.py",
        '"""Why?"""\n\nfrom tradebot import engine\n\n__all__ = ["engine"]\n',
        r"tradebot\.domain\.injected -> tradebot\.engine",
    ),
    "an import between siblings": Breach(
        "check:imports",
        "tradebot/venues/injected.py",
        '"""Why?"""\n\nfrom tradebot import storage\n\n__all__ = ["storage"]\n',
        r"tradebot\.venues\.injected -> tradebot\.storage",
    ),
    "pydantic outside the profile": Breach(
        "check:imports",
        "tradebot/engine/injected.py",
        '"""Why?"""\n\nfrom pydantic import BaseModel\n\n__all__ = ["BaseModel"]\n',
        r"tradebot\.engine\.injected -> pydantic",
    ),
    "pydantic in the domain": Breach(
        "check:imports",
        "tradebot/domain/injected.py",
        '"""Why?"""\n\nfrom pydantic import BaseModel\n\n__all__ = ["BaseModel"]\n',
        r"The nouns stand on the standard library and msgspec BROKEN",
    ),
    "ccxt in the engine": Breach(
        "check:imports",
        "tradebot/engine/injected.py",
        '"""Why?"""\n\nimport ccxt\n\n__all__ = ["ccxt"]\n',
        r"tradebot\.engine\.injected -> ccxt",
    ),
    "textual outside the dashboard": Breach(
        "check:imports",
        "tradebot/runtime/injected.py",
        '"""Why?"""\n\nimport textual\n\n__all__ = ["textual"]\n',
        r"tradebot\.runtime\.injected -> textual",
    ),
    "prometheus_client outside the exporters": Breach(
        "check:imports",
        "tradebot/telemetry/injected.py",
        '"""Why?"""\n\nimport prometheus_client\n\n__all__ = ["prometheus_client"]\n',
        r"tradebot\.telemetry\.injected -> prometheus_client",
    ),
    "the dashboard reaching inside": Breach(
        "check:imports",
        "tradebot/tui/injected.py",
        '"""Why?"""\n\nfrom tradebot import runtime\n\n__all__ = ["runtime"]\n',
        r"tradebot\.tui\.injected -> tradebot\.runtime",
    ),
    "the dashboard behind the door": Breach(
        "check:imports",
        "tradebot/tui/injected.py",
        '"""Why?"""\n\nfrom tradebot import control\n\n__all__ = ["control"]\n',
        r"tradebot\.tui\.injected -> tradebot\.control",
    ),
    "a room that has no floor": Breach(
        "check:imports", "tradebot/attic/__init__.py", '"""Why?"""\n', r"not listed as layers:\s+- tradebot\.attic"
    ),
    "a schema that has drifted": Breach("check:schema", "schemas/profile.schema.json", " \n", r"profile\.schema\.json"),
    "a setting the schema does not know": Breach(
        "check:schema",
        "tradebot/config/sections/intents.py",
        '\n    injected_s: Seconds = setting(1.0, gt=0)\n    """A setting."""\n',
        r"injected_s",
    ),
    "a reference of settings that has drifted": Breach("check:schema", "docs/profile.md", "x\n", r"docs/profile\.md"),
    "a base profile that has drifted": Breach("check:schema", "profiles/base.toml", "\n# x\n", r"profiles/base\.toml"),
    "a faulty profile": Breach(
        "check:profiles",
        "profiles/injected.toml",
        "[drop]\ntreshold_bps = 300\n",
        r"profiles/injected\.toml:2:1: drop\.treshold_bps: .*`threshold_bps`",
    ),
    "an event type that is told nowhere": Breach(
        "check:docs", "docs/event-types.md", "| `NOTHING` | events | INFO | |\n", r"is not what the code says"
    ),
    "an event type without a page": Breach(
        "check:docs",
        "tradebot/runtime/injected.py",
        '"""Why?"""\n\nfrom tradebot.ports import Log\n\n\ndef tell(log: Log) -> None:\n'
        '    """Tell."""\n    log.emit("system", "INFO", "NEVER_HEARD")\n',
        r"is not what the code says",
    ),
    "an address in the lock": Breach(
        "check:lock", "requirements.lock", "--index-url https://127.0.0.1/simple\n", r"an address: --index-url"
    ),
    "a requirement without a hash": Breach("check:lock", "requirements.lock", "somewhat==1.0\n", r"no hash: somewhat"),
    "a requirement without a pin": Breach("check:lock", "requirements.lock", "somewhat>=1.0\n", r"not pinned with =="),
    "a lock of another resolver": Breach("check:lock", "uv.lock", "version = 1\n", r"uv\.lock: holds the addresses"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree, a checkout of its own, with this environment behind it."""
    place = tmp_path_factory.mktemp("guards") / "tree"
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    (place / ".venv").symlink_to(ENVIRONMENT)
    subprocess.run(["git", "init", "--quiet"], cwd=place, check=True)
    subprocess.run(["git", "add", "--all"], cwd=place, check=True)
    return place


def check(copy: Path, name: str, *arguments: str) -> tuple[int, str]:
    """Run a task of the copy; return its exit code and all it said."""
    ran = subprocess.run(
        [copy / ".venv/bin/task", name, "--", *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout


@contextmanager
def broken(copy: Path, breach: Breach) -> Iterator[None]:
    """Make the breach in the copy, and mend it afterwards."""
    path = copy / breach.path
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((before or b"") + breach.text.encode())
    subprocess.run(["git", "add", "--force", breach.path], cwd=copy, check=True)
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
        subprocess.run(["git", "add", "--all"], cwd=copy, check=True)


@pytest.mark.parametrize("what", BREACHES)
def test_a_breach_is_refused(copy: Path, what: str) -> None:
    breach = BREACHES[what]
    with broken(copy, breach):
        code, said = check(copy, breach.check, *breach.arguments)
    assert code != 0, said
    assert re.search(breach.says, said), said


@pytest.mark.parametrize("name", sorted({breach.check for breach in BREACHES.values()} - {"check:types"}))
def test_the_tree_as_it_is_passes(copy: Path, name: str) -> None:
    code, said = check(copy, name)
    assert code == 0, said


def test_the_whole_check_runs_every_check(copy: Path) -> None:
    taskfile = (copy / "Taskfile.yml").read_text(encoding="utf-8")
    whole = taskfile.split("  check:\n", 1)[1].split("\n\n", 1)[0]
    declared = set(re.findall(r"^  (check:\w+):$", taskfile, re.MULTILINE))
    assert set(re.findall(r"task: (check:\w+)", whole)) == declared
    assert {breach.check for breach in BREACHES.values()} == declared
