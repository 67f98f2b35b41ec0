"""Which cases are there? Every kind of command, every fault of it, and the points of a bot's life; asked by `matrix`.

Case `number` of a seed is always the same case, however many are run: each pair of command and fault takes its turn,
and goes through the points it can be killed at in its own order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final, get_args

from msgspec import Struct

from tests.crash.faults import Target, families, lost_before
from tests.crash.points import Kill
from tests.crash.running import Case
from tests.crash.scenes import Away

Census = Mapping[str, Sequence[tuple[str, str]]]
"""Every point that each play passes when nothing goes wrong, in order."""

_NEAR: Final = 0.65
_AGAIN: Final = 0.3
_DOUBLE: Final = 0.25
_ASKING: Final = ("query", "open orders", "all orders", "trades")
_RARE_FACTS: Final = ("OrderBecameUnknown", "OrderSeen", "OrderDone", "OrderFilled", "OrderAccepted", "CancelAsked")
_RECOVERY_FACTS: Final = ("RunOpened", "RecoveryPlanned", "RecoveryCompleted", "BalanceRefreshed", "IntentEnded")
_START: Final = frozenset({"markets", "time", "apiRestrictions", "v3", "0"})


class Cell(Struct, frozen=True):
    """A command of one play, and what befalls it."""

    scene: str
    target: Target
    family: str
    faults: tuple[Mapping[str, Any], ...]
    pool: tuple[Kill, ...]


class Cases:
    """The cases of a seed, over a census."""

    def __init__(self, census: Census, seed: int) -> None:
        self._seed = seed
        self._cells = _dealt(list(_cells(census, seed)), seed)

    @property
    def cells(self) -> int:
        """How many pairs of command and fault there are."""
        return len(self._cells)

    @property
    def points(self) -> int:
        """How many different single kills there are."""
        return sum(len(cell.pool) for cell in self._cells)

    def __getitem__(self, number: int) -> Case:
        """Return the case of a number, from 0 on."""
        cell = self._cells[number % len(self._cells)]
        chance = Random(f"{self._seed}:{number}")
        kills = [cell.pool[number // len(self._cells) % len(cell.pool)]]
        if chance.random() < _DOUBLE:
            kills.append(chance.choice(_second(cell.target)))
        return Case(
            number,
            cell.scene,
            cell.faults,
            tuple(kills),
            chance.choice(get_args(Away)),
            chance.random() < _AGAIN,
            cell.target.kind,
            cell.family,
        )


def targets(passed: Iterable[tuple[str, str]]) -> list[Target]:
    """Return the requests of a play, each with its place among those of its symbol."""
    found: list[Target] = []
    count: Counter[tuple[str, str]] = Counter()
    placed: Counter[tuple[str, str]] = Counter()
    for tap, label in passed:
        if tap != "leaving":
            continue
        words = label.split()
        if words[0] == "place":
            _, tif, side, symbol = words
            count["order.place", symbol] += 1
            kind = _kind(tif, side, escalated=bool(placed[side, symbol]))
            placed[side, symbol] += 1
            found.append(Target(kind, "order.place", symbol, count["order.place", symbol]))
        elif words[0] == "cancel":
            count["order.cancel", words[1]] += 1
            found.append(Target("cancel", "order.cancel", words[1], count["order.cancel", words[1]]))
    symbols = sorted({each.symbol for each in found})
    found += [Target("query", "order.status", symbol, nth) for symbol in symbols for nth in (1, 2)]
    found += [Target("balances", "account.status", "", nth) for nth in (2, 3)]
    found += [Target("reconciliation", on, symbol) for on in ("openOrders.status", "myTrades") for symbol in symbols]
    return found


def _kind(tif: str, side: str, *, escalated: bool) -> str:
    if tif == "MARKET":
        return f"market {side.lower()}"
    if tif == "GTC":
        return "GTC buy" if side == "BUY" else "GTC sell"
    what = "IOC buy" if side == "BUY" else "exit sell"
    return f"{what}, escalated" if escalated else what


def _cells(census: Census, seed: int) -> Iterable[Cell]:
    for scene, passed in census.items():
        every = targets(passed)
        placing = [each for each in every if each.on == "order.place"]
        for target in every:
            for family, faults in families(target).items():
                asked = lost_before(target, placing) if target.on in {"order.status", "myTrades"} else ()
                chance = Random(f"{seed}:{scene}:{target}:{family}")
                yield Cell(scene, target, family, (*asked, *faults), _pool(passed, target, chance))


def _dealt(cells: list[Cell], seed: int) -> list[Cell]:
    """Return the cells in an order in which every kind and family comes early."""
    Random(seed).shuffle(cells)
    seen: Counter[tuple[str, str]] = Counter()
    turns: list[tuple[int, int, Cell]] = []
    for place, cell in enumerate(cells):
        key = cell.target.kind, cell.family
        turns.append((seen[key], place, cell))
        seen[key] += 1
    return [cell for _, _, cell in sorted(turns, key=lambda turn: turn[:2])]


def _pool(passed: Sequence[tuple[str, str]], target: Target, chance: Random) -> tuple[Kill, ...]:
    """Return every point of a play, those near the target mostly first, in chance's order."""
    count: Counter[tuple[str, str]] = Counter()
    points: list[Kill] = []
    for tap, label in passed:
        count[tap, label] += 1
        points.append(Kill(tap, label, count[tap, label]))
    points += _beyond(target)
    weighed = []
    for kill in points:
        near = (bool(target.symbol) and target.symbol in kill.label) or kill.label.startswith(_short(target))
        start = kill.label.split()[0] in _START
        weight = _NEAR if near else 0.05 if start else 1 - _NEAR
        weighed.append((chance.random() ** (1 / weight), kill))
    return tuple(kill for _, kill in sorted(weighed, key=lambda pair: -pair[0]))


def _short(target: Target) -> str:
    return {"account.status": "balances", "openOrders.status": "open orders", "myTrades": "trades"}.get(target.on, "-")


def _beyond(target: Target) -> list[Kill]:
    """Return points that only a fault leads to."""
    asked = [
        Kill(tap, f"{what} {target.symbol}".strip(), nth)
        for tap in ("leaving", "sent", "answered")
        for what in (*_ASKING, "cancel")
        for nth in (1, 2)
        if target.symbol
    ]
    return asked + [Kill(tap, "OrderBecameUnknown", nth) for tap in ("write", "written") for nth in (1, 2)]


def _second(target: Target) -> list[Kill]:
    """Return where a run that recovers may die, too."""
    symbols = [target.symbol] if target.symbol else ["BTCUSDT"]
    asked = [
        Kill(tap, f"{what} {symbol}", nth)
        for tap in ("leaving", "sent", "answered")
        for what in _ASKING
        for symbol in symbols
        for nth in (1, 2)
    ]
    facts = [
        Kill(tap, fact, nth)
        for tap in ("write", "written")
        for fact in (*_RARE_FACTS, *_RECOVERY_FACTS)
        for nth in (1, 2)
    ]
    placed = [Kill(tap, f"place IOC SELL {symbol}") for tap in ("leaving", "sent", "answered") for symbol in symbols]
    saved = [Kill(tap, "checkpoint", nth) for tap in ("saving", "renaming", "saved") for nth in (1, 2, 3)]
    balances = [Kill(tap, "balances", nth) for tap in ("sent", "answered") for nth in (1, 2)]
    return asked + facts + placed + saved + balances


def family_group(family: str) -> str:
    """Return the column of the table that a fault counts in."""
    if family == "none":
        return "none"
    if family.endswith(" before"):
        return "before"
    if re.search(r" after$", family):
        return "after"
    return "events" if family.startswith(("event", "reply", "shutdown", "terminate")) else "late and others"
