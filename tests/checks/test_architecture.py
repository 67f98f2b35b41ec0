"""Does the tree keep the rules of the house that no linter knows?"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "tradebot").rglob("*.py"))
PURE = [ROOT / "tradebot" / room for room in ("domain", "engine", "config/sections")]
TOP_LEVEL = {
    *("tradebot", "profiles", "schemas", "tests", "docs", ".ci"),
    *("Taskfile.yml", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "requirements.lock"),
}
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60


def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of every module or member imported anywhere in the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(paths: list[Path]) -> list[str]:
    """Return the paths as seen from the top folder, as test ids."""
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", SOURCES, ids=named(SOURCES))
def test_a_file_says_which_question_it_answers_and_stays_one_room(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    first = (ast.get_docstring(tree) or "").splitlines()
    assert first, "no docstring"
    if path.name != "__init__.py":
        assert "?" in first[0], "the first line asks no question"
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MOST_LINES_OF_A_FUNCTION, node.name


@pytest.mark.parametrize("room", PURE, ids=named(PURE))
def test_a_pure_room_opens_no_file_and_asks_nobody(room: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.func.id}"
        for path in sorted(room.rglob("*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"open", "input", "print", "exec", "eval", "__import__", "globals"}
    ]
    assert found == []


@pytest.mark.parametrize("room", PURE, ids=named(PURE))
def test_a_pure_room_has_no_coroutine(room: Path) -> None:
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        for path in sorted(room.rglob("*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, kinds)
    ]
    assert found == []


def test_the_nouns_stand_on_the_standard_library_and_msgspec() -> None:
    allowed = set(sys.stdlib_module_names) | {"msgspec"}
    found = {
        f"{path.name}: {name}"
        for path in (ROOT / "tradebot/domain").glob("*.py")
        for name in imported(parsed(path))
        if name.split(".")[0] not in allowed and not name.startswith("tradebot.domain")
    }
    assert found == set()


def test_an_error_is_never_swallowed_whole() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
    ]
    assert found == []


def tracked() -> list[str]:
    """Return every file of the checkout that is, or is about to be, under version control."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_top_level_holds_only_what_belongs_there() -> None:
    tops = {name.split("/")[0] for name in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP_LEVEL


def test_no_file_holds_a_path_of_this_machine() -> None:
    place = re.compile(rf"(?<![\w.-]){re.escape(str(ROOT.parent))}/")
    found = [name for name in tracked() if place.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))]
    assert found == []


HEADLESS = """
import sys
from tradebot.cli.main import main
code = main({arguments!r})
assert code == 0, code
loaded = sorted(name for name in {unwanted!r} if name in sys.modules)
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["validate", "profiles/demo.toml"], ["ccxt", "textual", "asyncio", "pyarrow"]),
        (["profile", "show", "demo"], ["ccxt", "textual", "pyarrow"]),
    ],
    ids=["validate", "profile show"],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], unwanted: list[str]) -> None:
    script = HEADLESS.format(arguments=arguments, unwanted=unwanted)
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_headless_run_loads_neither_exchange_nor_dashboard(tmp_path: Path) -> None:
    script = HEADLESS.format(
        arguments=["--profile", "demo", "--headless", "--for", "0.2"],
        unwanted=["ccxt", "textual", "rich", "pyarrow"],
    )
    places = {
        "TRADEBOT__SESSIONS__DIR": str(tmp_path / "sessions"),
        "TRADEBOT__BOT__STATE_DIR": str(tmp_path / "state"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Bot started" in ran.stdout


def test_a_replay_of_csv_loads_neither_exchange_nor_dashboard_nor_parquet(tmp_path: Path) -> None:
    rows = [f"{1_618_617_600_000 + minute * 60_000},100,101,99,100.5,25" for minute in range(120)]
    (tmp_path / "BTC-USDT.1m.csv").write_text(
        "\n".join(["ts,open,high,low,close,volume", *rows]) + "\n", encoding="utf-8"
    )
    arguments = ["replay", "--profile", "replay", "--data", str(tmp_path), "--json", "--no-session"]
    script = HEADLESS.format(arguments=arguments, unwanted=["ccxt", "textual", "pyarrow", "aiohttp", "watchfiles"])
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["candles"] == len(rows)


def test_the_lock_check_finds_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.checks.lock"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "lock: ok\n")
