"""Which fault strikes now? Asked by REST, the ws-api and the streams, for every request and every event.

Nothing here does anything: `Faults.strike` says which step is due on an occasion, and counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Literal

from msgspec import Struct

from tradebot.config.faults_file import Fault, Step

MOST_FAULTS = 1_000
"""How many faults may stand at a time."""


class Occasion(Struct, frozen=True):
    """A request that came in, or an event about to leave; `kind` is of `config.faults_file.KINDS`.

    `execution` is an execution report's kind, like TRADE; empty texts are not known.
    """

    kind: str
    symbol: str = ""
    client_id: str = ""
    execution: str = ""
    via: Literal["rest", "ws"] = "rest"


class Standing:
    """A fault that stands: how often its occasion came, and how often it struck."""

    __slots__ = ("_chance", "fault", "name", "occasions", "strikes")

    def __init__(self, fault: Fault, name: str, seed: int) -> None:
        self.fault = fault
        self.name = name
        self.occasions = 0
        self.strikes = 0
        self._chance = Random(f"{seed}:{name}")  # noqa: S311 - repeatable on purpose

    @property
    def spent(self) -> bool:
        """Whether it strikes no more."""
        fault = self.fault
        most = len(fault.script) if fault.script else fault.times
        return most is not None and self.strikes >= most

    def strike(self, occasion: Occasion) -> Step | None:
        """Return the step due on `occasion`, None where it is not meant or not hit."""
        if self.spent or not self._meant(occasion):
            return None
        self.occasions += 1
        fault = self.fault
        if self.occasions < fault.nth or (fault.probability < 1 and self._chance.random() >= fault.probability):
            return None
        step = fault.steps[self.strikes] if fault.script else fault
        self.strikes += 1
        return step

    def _meant(self, occasion: Occasion) -> bool:
        fault = self.fault
        return (
            fnmatchcase(occasion.kind, fault.on)
            and fault.symbol in ("", occasion.symbol)
            and fault.execution in ("", occasion.execution)
            and fault.via in ("any", occasion.via)
            and occasion.client_id.startswith(fault.client_id_prefix)
            and not (fault.on == "*" and occasion.kind.startswith(("user.", "market.")))
        )


class Faults:
    """All faults that stand, in order; names are unique, a fault without one is numbered."""

    def __init__(self, seed: int = 1, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._standing: dict[str, Standing] = {}
        self._added = 0
        for fault in faults:
            self.add(fault)

    @property
    def none(self) -> bool:
        """Whether no fault stands."""
        return not self._standing

    def add(self, fault: Fault) -> str:
        """Let `fault` stand, anew where its name stands already; return its name.

        Where `MOST_FAULTS` stand, the oldest that strikes no more makes room. Raises ValueError where none does.
        """
        if len(self._standing) >= MOST_FAULTS and fault.name not in self._standing:
            spent = next((each.name for each in self._standing.values() if each.spent), None)
            if spent is None:
                raise ValueError(f"{MOST_FAULTS} faults stand already, and every one may still strike")
            del self._standing[spent]
        self._added += 1
        name = fault.name or f"fault-{self._added}"
        self._standing[name] = Standing(fault, name, self._seed)
        return name

    def remove(self, name: str) -> bool:
        """Let a fault stand no more; return whether it did."""
        return self._standing.pop(name, None) is not None

    def clear(self) -> None:
        """Let no fault stand."""
        self._standing.clear()

    def strike(self, occasion: Occasion) -> Step | None:
        """Return the step of the first fault that strikes on `occasion`, or None."""
        for standing in self._standing.values():
            step = standing.strike(occasion)
            if step is not None:
                return step
        return None

    def told(self) -> list[dict[str, Any]]:
        """Return every fault as a client reads it, with its counts."""
        return [
            {
                **standing.fault.model_dump(mode="json", exclude_defaults=True),
                "name": standing.name,
                "occasions": standing.occasions,
                "strikes": standing.strikes,
                "spent": standing.spent,
            }
            for standing in self._standing.values()
        ]
