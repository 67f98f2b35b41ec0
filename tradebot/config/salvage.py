"""What can still be made out in a file that is no sound TOML? Asked for the identity of a bot, and nothing else."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from tradebot.config.extends import EXTENDS
from tradebot.config.merge import merged, paths
from tradebot.config.positions import Mark
from tradebot.config.reading import Read, TooManyDigits, toml

_UNREADABLE = (tomllib.TOMLDecodeError, TooManyDigits, RecursionError)
_START = Mark(1, 1)


def salvaged(path: str, source: bytes) -> Read:
    """Return what the whole statements of a broken file say of `extends` and of the texts in `[bot]`.

    Places are not known: every mark is the file's beginning.
    """
    tree: dict[str, Any] = {}
    for table, text in _statements(source):
        try:
            said = toml(f"{table}\n{text}")
        except _UNREADABLE:
            continue
        tree = merged(tree, _plain(said))
    return Read(path, source, tree, dict.fromkeys(paths(tree), _START))


def _statements(source: bytes) -> Iterator[tuple[str, str]]:
    """Yield (header of the table, `key = value`) of every statement the position parser takes for a whole one."""
    header = ""
    waiting: list[Node] = [Parser(Language(tree_sitter_toml.language())).parse(source).root_node]
    while waiting:
        node = waiting.pop()
        if node.type == "pair":
            yield header, _text(node)
            continue
        if node.type in ("table", "table_array_element"):
            header = _text(node).split("\n", 1)[0]
        if node.type in ("document", "table", "table_array_element", "ERROR"):
            waiting.extend(reversed(node.named_children))


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """Return what of a statement is about the identity and of the right type."""
    kept: dict[str, Any] = {}
    names = said.get(EXTENDS)
    if isinstance(names, str) or (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        kept[EXTENDS] = names
    bot = said.get("bot")
    if isinstance(bot, dict):
        kept["bot"] = {key: value for key, value in bot.items() if isinstance(value, str)}
    return kept
