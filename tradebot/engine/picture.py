"""What of the engine is kept across runs, and how is it taken back? Asked by checkpoints and at start.

The core is one picture at one `seq`: orders, intents, ledger, cooldowns. Windows are taken a symbol at a time,
each with its own time; they hold signals only and are never guessed: a window of other settings starts cold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tradebot.domain import facts as f
from tradebot.domain.errors import StorageFailed, TradebotError
from tradebot.domain.orders import Intent, Order, Position, Side
from tradebot.engine.desk import Desk, SymbolState
from tradebot.engine.state import EngineState

_encoder = msgspec.json.Encoder(decimal_format="string")


class Core(Struct):
    """The core of a checkpoint. The first five keys are for scripts and people, `state` is what is restored."""

    seq: int
    at_ms: int
    generation: int
    run: str
    pending_buy_intents: list[Intent]
    open_orders: list[Order]
    positions: list[Position]
    state: EngineState


class Restored(Struct, frozen=True):
    """What a start found, in numbers."""

    from_seq: int  # the checkpoint's seq, 0 without one
    facts: int  # facts of the journal's tail applied on top
    orders: int
    intents: int
    positions: int
    windows: int

    def __str__(self) -> str:
        """Return the one line an operator reads."""
        source = (
            f"checkpoint at seq {self.from_seq:,} and {self.facts:,} facts"
            if self.from_seq
            else (f"{self.facts:,} facts of the journal" if self.facts else "nothing, a new beginning")
        )
        return (
            f"restored from {source}: {self.positions} positions, {self.orders} open orders, "
            f"{self.intents} intents, {self.windows} price windows"
        )


def core_picture(desk: Desk) -> bytes:
    """Return the core as one JSON object."""
    state = desk.state
    return _encoder.encode(
        Core(
            seq=state.seq,
            at_ms=desk.now,
            generation=state.generation,
            run=state.run,
            pending_buy_intents=list(state.buying()),
            open_orders=list(state.orders.values()),
            positions=list(state.ledger.positions.values()),
            state=state,
        )
    )


def window_picture(desk: Desk, name: str) -> bytes:
    """Return one symbol's price window as a JSON object, empty where it is not watched (any more)."""
    symbol = desk.symbols.get(name)
    if symbol is None:
        return b"{}"
    return _encoder.encode(
        {
            "at_ms": desk.now,
            "bid": symbol.bid,
            "ask": symbol.ask,
            "seen_ms": symbol.seen_ms,
            "trail_high": symbol.trail_high,
            "last_buy_ms": max(symbol.last_buy_ms, 0),
            "anchor": symbol.anchor.dump(),
        }
    )


def state_of(checkpoint: Mapping[str, Any]) -> EngineState:
    """Return the state that a checkpoint holds. Raises StorageFailed where it cannot be understood."""
    try:
        return msgspec.convert(checkpoint["state"], EngineState, strict=False)
    except (KeyError, msgspec.ValidationError) as error:
        raise StorageFailed(f"the checkpoint's state cannot be understood ({error})") from error


def restore(desk: Desk, checkpoint: Mapping[str, Any] | None, tail: Iterable[tuple[int, int, f.Fact]]) -> Restored:
    """Take the state back: the checkpoint, then every fact of the journal after it.

    `tail` holds (seq, time, fact) of the whole journal where there is no checkpoint. Raises StorageFailed where
    the checkpoint cannot be understood, where facts are missing between it and the tail, or where one cannot follow.
    """
    from_seq = windows = 0
    window_ms: dict[str, int] = {}
    if checkpoint is not None:
        desk.state = state_of(checkpoint)
        from_seq = desk.state.seq
        for name, kept in checkpoint.get("windows", {}).items():
            symbol = desk.symbols.get(name)
            taken_ms = None if symbol is None else _take_window(symbol, kept)
            if taken_ms is not None:
                window_ms[name] = taken_ms
                windows += 1
    applied = 0
    for seq, at_ms, fact in tail:
        if seq <= from_seq:
            continue
        if seq != desk.state.seq + 1:
            raise StorageFailed(f"the journal lacks facts {desk.state.seq + 1} to {seq - 1}")
        try:
            desk.state.apply(fact, at_ms)
        except (LookupError, ArithmeticError, TradebotError) as error:
            words = f"the journal's fact {seq} ({type(fact).__name__}) contradicts those before it"
            raise StorageFailed(f"{words}: {type(error).__name__}: {error}") from error
        _follow(desk, fact, at_ms, window_ms)
        applied += 1
    desk.state.trading = False
    return Restored(
        from_seq=from_seq,
        facts=applied,
        orders=len(desk.state.orders),
        intents=len(desk.state.intents),
        positions=len(desk.state.ledger.positions),
        windows=windows,
    )


def _take_window(symbol: SymbolState, kept: Mapping[str, Any]) -> int | None:
    """Take one symbol's window, return its time in ms; None where it is empty or of other settings.

    Prices stay unseen until the feed tells one (an old price is no price).
    """
    if not kept:
        return None
    try:
        taken_ms = int(kept["at_ms"])
        if not symbol.anchor.load(kept["anchor"]):
            return None
        symbol.trail_high = float(kept["trail_high"])
        symbol.last_buy_ms = int(kept["last_buy_ms"])
    except (KeyError, TypeError, ValueError) as error:
        raise StorageFailed(f"the checkpoint's window of {symbol.symbol} cannot be understood ({error})") from error
    return taken_ms


def _follow(desk: Desk, fact: f.Fact, at_ms: int, window_ms: Mapping[str, int]) -> None:
    """Let a symbol's signals follow what happened after its window was taken."""
    if isinstance(fact, f.PositionClosed):
        symbol = desk.symbols.get(fact.symbol)
        if symbol is not None and at_ms > window_ms.get(fact.symbol, 0):
            symbol.trail_high = 0.0
            if desk.profile.drop.rearm and fact.reason == "stop_loss":
                symbol.anchor.reset()
    elif isinstance(fact, f.IntentOpened) and fact.side is Side.BUY:
        symbol = desk.symbols.get(fact.symbol)
        if symbol is not None:
            symbol.last_buy_ms = max(symbol.last_buy_ms, at_ms)
