"""What can be asked of the reloads? Asked by the watcher, the signals, the control door and the guards."""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct

from tradebot.runtime.outcomes import AnyOutcome

Kind = Literal["edit", "confirm", "rollback", "switch", "breach", "passed"]

EDIT = "edit"
"""Who asks for the files to be read when they are noticed to be others."""

START = "start"
"""Who asks for them to be read where a start runs another text than the one that stands there."""

GUARD = "guard"
"""Who asks for a generation that does harm to be taken back."""


class Request(Struct):
    """One thing asked for. `number` is the generation it is about, `feature` and `on` are a toggle's, `why` a reason,
    `shown` the beginning of the digest of the text that a confirmation is for, `astray` that the
    files say something else than what is in force.

    `begun` (monotonic seconds) is when it was asked for.
    """

    kind: Kind
    who: str
    answer: asyncio.Future[AnyOutcome] | None = None
    begun: float = 0.0
    number: int | None = None
    feature: str = ""
    on: bool | None = None
    why: str = ""
    shown: str = ""
    astray: bool = False

    @property
    def by_itself(self) -> bool:
        """Whether nobody asked: the watcher noticed that the files may be others, or a start that they are."""
        return self.kind == "edit" and self.who in {EDIT, START} and self.answer is None
