"""What of a bot survives when its process ends? Asked by the machine's bot for its journal, checkpoint and generation.

Facts are kept as the bytes the journal would hold. What was appended and not committed may be lost from any append on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tradebot.domain.facts import Fact, decode, encode
from tradebot.domain.order_facts import OrderPlanned
from tradebot.engine.engine import Engine
from tradebot.runtime.checkpoints import whole_picture
from tradebot.storage.checkpoint import assemble, parse_checkpoint


class Killed(SystemExit):
    """The process ends at this instruction."""


class Fuse:
    """Ends the process at the n-th of the instructions it is asked at: an append, or a request that leaves."""

    def __init__(self) -> None:
        self._left = -1
        self.blown = False

    def set(self, number: int) -> None:
        """Let the process end at the `number`-th instruction from here on, never for 0."""
        self._left = number or -1

    def reset(self) -> None:
        """Let the next process live."""
        self._left, self.blown = -1, False

    def pass_by(self) -> None:
        """Come by an instruction. Raises Killed; a dead process does nothing more."""
        self._left -= 1
        if self.blown or self._left == 0:
            self.blown = True
            raise Killed


class Disk:
    """A journal whose writer is as late as the test says, and the files beside it."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self._rows: list[tuple[int, bytes]] = []
        self._facts: list[Fact] = []
        self._ends: list[int] = []  # the seq of the last fact of each append
        self.durable_seq = 0
        """The seq of the last fact that survives for certain."""
        self.planned: dict[str, int] = {}
        """The seq of the plan of each order."""
        self.generation = 0
        self.variant = 0
        self.document: dict[str, Any] | None = None
        """The checkpoint that is in place."""
        self._picture: tuple[int, bytes] | None = None

    # -- the journal ----------------------------------------------------------------------------------

    def append(self, facts: Sequence[Fact], now_ms: int) -> int:
        """Take facts; return the seq of the last one. Raises Killed, before or after."""
        self._fuse.pass_by()
        for fact in facts:
            self._rows.append((now_ms, encode(fact)))
            self._facts.append(fact)
            if isinstance(fact, OrderPlanned):
                self.planned[fact.client_id] = len(self._rows)
        if facts:
            self._ends.append(len(self._rows))
        self._fuse.pass_by()
        return len(self._rows)

    @property
    def last_seq(self) -> int:
        """The seq of the last fact appended."""
        return len(self._rows)

    def read(self, after_seq: int) -> Iterator[tuple[int, int, Fact]]:
        """Yield (seq, time, fact), read back from the bytes, of everything after `after_seq`."""
        for seq in range(after_seq + 1, len(self._rows) + 1):
            at_ms, body = self._rows[seq - 1]
            yield seq, at_ms, decode(body)

    def told(self, after_seq: int = 0) -> list[Fact]:
        """Return the facts after `after_seq` as they were appended."""
        return self._facts[after_seq:]

    # -- what the test does -----------------------------------------------------------------------------

    def commit(self, appends: int) -> None:
        """Make the next `appends` appends durable, all of them where there are fewer."""
        later = [end for end in self._ends if end > self.durable_seq]
        if later:
            self.durable_seq = later[min(appends, len(later)) - 1]
        self._replace()

    def crash(self, appends: int) -> int:
        """End without a word: of what was not durable yet, the next `appends` appends survive; return what is lost."""
        if appends:
            self.commit(appends)
        lost = len(self._rows) - self.durable_seq
        del self._rows[self.durable_seq :], self._facts[self.durable_seq :]
        self._ends = [end for end in self._ends if end <= self.durable_seq]
        self.planned = {name: seq for name, seq in self.planned.items() if seq <= self.durable_seq}
        self._picture = None
        return lost

    def picture(self, engine: Engine) -> None:
        """Take a picture of the engine, to be in place once every fact in it is durable."""
        self._picture = self.last_seq, assemble(*whole_picture(engine))
        self._replace()

    def _replace(self) -> None:
        if self._picture is not None and self._picture[0] <= self.durable_seq:
            self.document, self._picture = parse_checkpoint(self._picture[1], "the checkpoint"), None
