"""What would a person see on the terminal? A small screen for text and the cursor moves that rich writes."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(r"\x1b\[(?P<private>\??)(?P<numbers>[\d;]*)(?P<verb>[A-Za-z])|\x1b[()][AB0]|\x1b[=>78]")


class Screen:
    """A screen of unbounded height and `width` columns; colours are dropped."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Write `text`, obeying its control sequences. Raises ValueError on one that is not known."""
        place = 0
        while place < len(text):
            match = _SEQUENCE.match(text, place)
            if match:
                self._obey(match)
                place = match.end()
            else:
                self._put(text[place])
                place += 1

    def text(self) -> str:
        """Return what is shown, without trailing blanks and blank lines at the end."""
        return "\n".join("".join(line).rstrip() for line in self._lines).rstrip()

    def _obey(self, match: re.Match[str]) -> None:
        verb = match["verb"]
        if verb is None or match["private"] or verb == "m":
            return
        count = int(match["numbers"].split(";")[0] or 0)
        if verb == "A":
            self._row = max(0, self._row - max(count, 1))
        elif verb == "B":
            self._row += max(count, 1)
        elif verb == "G":
            self._column = max(count, 1) - 1
        elif verb == "H":
            self._row = self._column = 0
        elif verb == "J":
            self._clear_below(everything=count >= 2)
        elif verb == "K":
            self._clear_line(everything=count == 2)
        else:
            raise ValueError(f"a control sequence this screen does not know: {match[0]!r}")
        self._reach()

    def _clear_below(self, *, everything: bool) -> None:
        if everything:
            self._lines = [[]]
        else:
            self._clear_line(everything=False)
            del self._lines[self._row + 1 :]

    def _clear_line(self, *, everything: bool) -> None:
        del self._lines[self._row][0 if everything else self._column :]

    def _put(self, letter: str) -> None:
        if letter == "\n":
            self._row, self._column = self._row + 1, 0
        elif letter == "\r":
            self._column = 0
        elif letter >= " ":
            if self._column >= self._width:
                self._row, self._column = self._row + 1, 0
            self._reach()
            line = self._lines[self._row]
            line.extend(" " * (self._column + 1 - len(line)))
            line[self._column] = letter
            self._column += 1
        self._reach()

    def _reach(self) -> None:
        while len(self._lines) <= self._row:
            self._lines.append([])
