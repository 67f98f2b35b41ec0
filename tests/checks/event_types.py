"""Which event types can stand in the logs? Writes docs/event-types.md from the code, or with `--check` compares it."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tradebot.domain.facts import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/event-types.md"
HEAD = """\
# Event types

Every log record has `time`, `level`, `event_type`, `message`, the `generation` of the profile in force (0 before the
first one is), and typed fields. The types below are stable. `task fix` writes this page from the code, `task check`
compares it.

Levels say what the operator must do: INFO nothing, WARNING look when convenient, ERROR look now.
"""


class Told(NamedTuple):
    """One place in the code that tells a record which is no fact."""

    event_type: str
    stream: str
    level: str
    place: str


NAMED = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
STDERR = "error stream"
FACTS = frozenset(fact.event_type for fact in CATALOGUE)

TELLERS = {"emit": 0, "emit_later": 1, "note": -1}
"""The methods that tell a record, by where their arguments stream, level, event type begin; `note` is of the system."""


def records(sources: Path) -> Iterator[Told]:
    """Yield every record that the source tree tells; a level that varies is empty."""
    for path in sorted(sources.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for event_type, stream, level in _told(node):
                yield Told(event_type, stream, level, f"{path.relative_to(sources.parent)}")


def _told(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield (event type, stream, level) of what one node tells: a record, or a line where no log can be written."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TELLERS:
        begin = TELLERS[node.func.attr]
        words = ["system"] if begin < 0 else []
        words += [_word(argument) for argument in node.args[max(0, begin) :]]
        if len(words) >= 3 and NAMED.fullmatch(words[2]):
            yield words[2], words[0], words[1]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "complain":
        line = node.args[0]
        start = line.values[0] if isinstance(line, ast.JoinedStr) else line
        if begun := NAMED.match(_word(start)):
            yield begun[0], STDERR, "ERROR"
    elif isinstance(node, ast.ClassDef):
        yield from _outcome(node)
    elif isinstance(node, ast.Dict):
        words_of = {_word(key): _word(value) for key, value in zip(node.keys, node.values, strict=True) if key}
        if NAMED.fullmatch(words_of.get("event_type", "")):
            yield words_of["event_type"], STDERR, words_of.get("level", "")


def _outcome(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Yield what an outcome is told as: a class that declares an event type and is no fact."""
    declared = {
        line.target.id: _word(line.value)
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value is not None
    }
    event_type = declared.get("event_type", "")
    if event_type not in FACTS and NAMED.fullmatch(event_type):
        yield event_type, "events", declared.get("level", "")


def _word(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def page(sources: Path) -> str:
    """Return the page's text."""
    lines = [HEAD, "## Facts", "", "What the engine did; journalled, and counted where a metric stands.", ""]
    lines += ["| event type | log | level | metric | meaning |", "|---|---|---|---|---|"]
    for fact in sorted(CATALOGUE, key=lambda fact: fact.event_type):
        meaning = " ".join((fact.__doc__ or "").split()).replace("|", "\\|")
        metric = f"`{fact.metric}`" if fact.metric else ""
        lines.append(f"| `{fact.event_type}` | {fact.stream} | {fact.level} | {metric} | {meaning} |")
    lines += ["", "## The process", ""]
    lines += [
        "What the process and its components tell of themselves; not journalled. *Error stream*: no log could hold it.",
        "",
    ]
    lines += ["| event type | log | level | told by |", "|---|---|---|---|"]
    by_type: dict[str, list[Told]] = defaultdict(list)
    for told in records(sources):
        by_type[told.event_type].append(told)
    for event_type, told_by in sorted(by_type.items()):
        streams = ", ".join(sorted({told.stream for told in told_by} - {""})) or "by record"
        levels = ", ".join(sorted({told.level for told in told_by} - {""}))
        varied = any(not told.level for told in told_by)
        level = f"{levels}, by outcome" if levels and varied else levels or "by outcome"
        places = ", ".join(f"`{place}`" for place in sorted({told.place for told in told_by}))
        lines.append(f"| `{event_type}` | {streams} | {level} | {places} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it and return 1 where it has drifted."""
    text, path = page(ROOT / "tradebot"), ROOT / PAGE
    if arguments == ["--check"]:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            print(f"{PAGE}: ok")
            return 0
        print(f"{PAGE}: is not what the code says; run `task fix`")
        return 1
    path.write_text(text, encoding="utf-8")
    print(f"{PAGE}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
