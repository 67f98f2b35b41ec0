"""Does the README say what is so: its two commands, its profile, its settings and links?"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tradebot.domain.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def blocks(language: str) -> list[str]:
    """Return the README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """Return the commands of a block, comments off."""
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


def test_the_first_two_commands_are_demo_and_test() -> None:
    assert commands(blocks("sh")[0]) == [
        "sh .ci/setup && .venv/bin/tradebot --profile demo",
        "sh .ci/setup && .venv/bin/task test",
    ]


def test_ci_runs_the_readmes_test_command_and_then_the_checks() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.rstrip().splitlines()[-2:] == [commands(blocks("sh")[0])[1], ".venv/bin/task check"]


def test_the_profile_in_the_readme_is_valid(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "profiles/shown.toml").write_text(blocks("toml")[0], encoding="utf-8")
    ran = subprocess.run(
        [Path(sys.executable).with_name("tradebot"), "validate", "profiles/shown.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_an_exit_code_that_exists_is_explained() -> None:
    operations = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| ([a-z ]+) \|", operations, re.MULTILINE))
    assert rows == {str(int(code)): code.name.lower().replace("_", " ") for code in ExitCode}
