"""Which symbols are watched, and which only until they are sold? Asked when a profile is taken and a position ends."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.domain.facts import SymbolsChanged
from tradebot.domain.market import Instrument
from tradebot.engine.desk import Desk


class Changes(Struct, frozen=True):
    """What a profile changes in what is watched; names in order."""

    added: tuple[str, ...]
    leaving: tuple[str, ...]  # all that will be, those that are already included
    removed: tuple[str, ...]
    returning: tuple[str, ...]  # leaving until now, and to be bought again


def changes(desk: Desk, profile: Profile, instruments: Sequence[Instrument] | None) -> Changes:
    """Return what would change; `instruments` are all to be watched, None where they stay as they are.

    A symbol that `market.symbols` does not name (where it names any) is not to be bought, nor is one that
    `instruments` lacks: it leaves, at once where nothing of it is held or under way and `instruments` are told.
    """
    named = set(profile.market.symbols)
    wanted = set(desk.symbols) if instruments is None else {one.symbol for one in instruments}
    if named:
        wanted &= named
    elif instruments is None and not desk.profile.market.symbols:
        wanted -= desk.leaving  # they left because the feed lacks them
    gone = [name for name in desk.symbols if name not in wanted]
    stay = [name for name in gone if instruments is None or not desk.idle(name)]
    return Changes(
        added=tuple(sorted(wanted - desk.symbols.keys())),
        leaving=tuple(stay),
        removed=tuple(name for name in gone if name not in stay),
        returning=tuple(sorted(desk.leaving & wanted)),
    )


class Watchlist:
    """Adds symbols, and removes the leaving ones once nothing of them is held or under way."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def take(self, found: Changes, instruments: Sequence[Instrument] | None) -> None:
        """Carry out the changes that a profile, in force by now, and `instruments` made."""
        desk = self.desk
        new = tuple(name for name in found.leaving if name not in desk.leaving)
        for name in found.removed:
            desk.unwatch(name)
        desk.leaving = set(found.leaving)
        if instruments is not None:
            desk.watch(one for one in instruments if one.symbol in found.added)
            for one in instruments:
                if one.symbol in desk.symbols:
                    desk.symbols[one.symbol].instrument = one
        if found.added or new or found.removed:
            self._tell(SymbolsChanged(added=found.added, leaving=new, removed=found.removed))

    def remove(self, name: str) -> None:
        """Watch a leaving symbol no more: the last of it has ended."""
        self.desk.unwatch(name)
        self._tell(SymbolsChanged(removed=(name,)))

    def take_back(self, name: str) -> None:
        """Watch a removed symbol again, as leaving: a fill of it came late."""
        self.desk.watch([self.desk.former[name].instrument])
        self.desk.leaving.add(name)
        self._tell(SymbolsChanged(leaving=(name,)))

    def _tell(self, fact: SymbolsChanged) -> None:
        self.desk.emit(
            SymbolsChanged(
                added=fact.added, leaving=fact.leaving, removed=fact.removed, generation=self.desk.state.generation
            )
        )
