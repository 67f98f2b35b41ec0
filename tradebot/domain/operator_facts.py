"""What can an operator's word have changed? Facts of pausing, flattening and watching; asked through `facts`."""

from __future__ import annotations

from typing import ClassVar

from tradebot.domain.fact import Fact, Stream


class BuyingPaused(Fact, frozen=True):
    """An operator paused buying: nothing is bought and no buy under way is escalated until it is resumed."""

    event_type: ClassVar[str] = "BUYING_PAUSED"
    stream: ClassVar[Stream] = "events"

    who: str
    generation: int = 0


class BuyingResumed(Fact, frozen=True):
    """An operator let buying go on; `kept` are the positions that a flattening had not sold yet, which stay."""

    event_type: ClassVar[str] = "BUYING_RESUMED"
    stream: ClassVar[Stream] = "events"

    who: str
    kept: tuple[str, ...] = ()
    generation: int = 0


class FlattenBegun(Fact, frozen=True):
    """An operator wants nothing held: every buy under way ends, and these positions are sold."""

    event_type: ClassVar[str] = "FLATTEN_BEGUN"
    stream: ClassVar[Stream] = "events"

    who: str
    positions: tuple[str, ...]
    generation: int = 0


class FlattenDone(Fact, frozen=True):
    """Nothing is held nor under way any more; buying stays paused until it is resumed."""

    event_type: ClassVar[str] = "FLATTEN_DONE"
    stream: ClassVar[Stream] = "events"

    generation: int = 0


class SymbolsChanged(Fact, frozen=True):
    """Symbols came or went: `leaving` ones are not bought any more, and are `removed` once nothing is held of them."""

    event_type: ClassVar[str] = "SYMBOLS_CHANGED"
    stream: ClassVar[Stream] = "events"

    added: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    generation: int = 0
