"""Do the written schema and reference say what the models say? Asked by `tradebot schema`, in CI with `--check`."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--check`."""
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is not up to date")


def run(args: argparse.Namespace) -> int:
    """Write the generated files below the working directory, or compare them."""
    wanted = generated()
    if args.check:
        return _check(wanted)
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


def generated() -> dict[Path, str]:
    """Return the text of every file that is generated from the models, by its path in the project."""
    from tradebot.config.reference import reference
    from tradebot.config.schema import faults_schema_text, schema_text
    from tradebot.config.template import template
    from tradebot.control.openapi import document_text

    return {
        Path("schemas/profile.schema.json"): schema_text(),
        Path("schemas/faults.schema.json"): faults_schema_text(),
        Path("schemas/control.openapi.json"): document_text(),
        Path("docs/profile.md"): reference(),
        Path("profiles/base.toml"): template(),
    }


def _check(wanted: dict[Path, str]) -> int:
    stale = 0
    for path, text in wanted.items():
        held = path.read_text(encoding="utf-8") if path.exists() else ""
        if held == text:
            continue
        stale += 1
        change = next(
            line
            for line in difflib.unified_diff(held.splitlines(), text.splitlines(), lineterm="", n=0)
            if line[:1] in "+-" and line[:3] not in ("---", "+++")
        )
        reason = "is missing" if not path.exists() else f"is not what the models say, first at: {change}"
        print(f"{path} {reason}", file=sys.stderr)
    if stale:
        print("mend it with: tradebot schema", file=sys.stderr)
    return 1 if stale else 0
