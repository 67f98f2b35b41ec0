"""Where in a TOML file does a key stand? Asked by the loader, for every file it reads."""

from __future__ import annotations

import tomllib

import tree_sitter_toml
from msgspec import Struct
from tree_sitter import Language, Node, Parser

from tradebot.config.faults import Path

_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})
_HEADERS = frozenset({"table", "table_array_element"})


class Mark(Struct, frozen=True):
    """A place in a file: line and column from 1, the column in characters."""

    line: int
    column: int


Positions = dict[Path, Mark]


def positions(source: bytes) -> Positions:
    """Return where each key and array element of `source` stands, tables at their header.

    `source` must have passed tomllib, which refuses what the position parser would let through.
    """
    tree = Parser(Language(tree_sitter_toml.language())).parse(source)
    finder = _Finder(source)
    finder.document(tree.root_node)
    return finder.found


class _Finder:
    def __init__(self, source: bytes) -> None:
        self.found: Positions = {}
        self._lines = source.split(b"\n")
        self._elements: dict[Path, int] = {}
        self._last = (0, 0, 0)  # row, byte and character of the last mark: a long line is decoded once

    def document(self, root: Node) -> None:
        for node in root.named_children:
            if node.type == "pair":
                self._pair((), node)
            elif node.type in _HEADERS:
                self._table(node)

    def _table(self, node: Node) -> None:
        header = next(child for child in node.named_children if child.type in _KEYS)
        parts = _parts(header)
        path: Path = ()
        for name, key in parts[:-1]:
            path = self._inside((*path, name))
            self.found.setdefault(path, self._mark(key))
        name, key = parts[-1]
        path = (*path, name)
        if node.type == "table_array_element":
            self.found.setdefault(path, self._mark(key))
            self._elements[path] = self._elements.get(path, -1) + 1
            path = self._inside(path)
        self.found[path] = self._mark(key)
        for child in node.named_children:
            if child.type == "pair":
                self._pair(path, child)

    def _inside(self, path: Path) -> Path:
        """Return the path of the element that a header's key means, where `path` is an array of tables."""
        return (*path, self._elements[path]) if path in self._elements else path

    def _pair(self, table: Path, node: Node) -> None:
        key, value = [child for child in node.named_children if child.type != "comment"][:2]
        path = table
        for name, part in _parts(key):
            path = (*path, name)
            self.found.setdefault(path, self._mark(part))
        self._value(path, value)

    def _value(self, path: Path, node: Node) -> None:
        children = [child for child in node.named_children if child.type != "comment"]
        if node.type == "inline_table":
            for child in children:
                self._pair(path, child)
        elif node.type == "array":
            for index, child in enumerate(children):
                element = (*path, index)
                self.found[element] = self._mark(child)
                self._value(element, child)

    def _mark(self, node: Node) -> Mark:
        row, column = node.start_point
        last_row, byte, character = self._last
        if row != last_row or column < byte:
            byte = character = 0
        character += len(self._lines[row][byte:column].decode())
        self._last = (row, column, character)
        return Mark(row + 1, character + 1)


def _parts(node: Node) -> list[tuple[str, Node]]:
    """Return the names of a key with their nodes: one, or several for a dotted key."""
    if node.type == "dotted_key":
        return [part for child in node.named_children if child.type in _KEYS for part in _parts(child)]
    text = (node.text or b"").decode()
    if node.type == "bare_key":
        return [(text, node)]
    return [(next(iter(tomllib.loads(f"{text} = 0"))), node)]
