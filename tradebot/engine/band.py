"""Inside which prices can no decision change? Asked after every full decision; read for every observation.

The band of a symbol is (lo, hi, wake_ms): while bid > lo, ask < hi and now < wake_ms, deciding would change
nothing, so an observation there is only recorded. It is conservative for every anchor kind: with C the anchor's
`ceiling`, prices below hi = C x (1 + slack) cannot lift the anchor above hi, nor the buy trigger above hi x factor.
The slack is a share of the threshold: a new high need not end the band at once. A symbol that a gate common to all
symbols holds back leaves its buy trigger (`trigger_lo`) out of the band, until that gate opens (`Desk.wake`).
"""

from __future__ import annotations

from tradebot.engine.decision import capped
from tradebot.engine.desk import NEVER, OUTSIDE, Desk, SymbolState
from tradebot.engine.exits import DeclaredExits, ExitRules

SLACK_SHARE = 64.0


def refresh(desk: Desk, exits: ExitRules, symbol: SymbolState) -> None:
    """Set the symbol's band from its anchor, position, intents and waits."""
    if symbol.symbol in desk.state.by_symbol or symbol.below_since >= 0 or symbol.exit_wait_ms:
        symbol.lo = symbol.trigger_lo = OUTSIDE
        return
    lo, hi, wake = 0.0, OUTSIDE, NEVER
    held = symbol.symbol in desk.state.ledger.positions
    if held:
        lo, hi = _exit_edges(exits, symbol)
        wake = symbol.hold_ms
    stop = lo
    if held and capped(desk, symbol.symbol):
        pass
    elif desk.now < (begin_ms := max(symbol.rest_ms, symbol.anchor.warm_ms())):
        wake = min(wake, begin_ms)  # resting, or no anchor to drop from yet
    else:
        ceiling = symbol.anchor.ceiling()
        top = ceiling * (1.0 + (1.0 - symbol.factor) / SLACK_SHARE)
        hi = min(hi, top)
        lo = max(lo, top * symbol.factor)
    symbol.trigger_lo = lo
    symbol.lo = stop if symbol.blocked else lo
    symbol.hi = hi
    symbol.wake_ms = wake


def _exit_edges(exits: ExitRules, symbol: SymbolState) -> tuple[float, float]:
    lo, hi = symbol.stop, min(symbol.target, symbol.trail_from)
    if symbol.trail_high and isinstance(exits, DeclaredExits):
        lo = max(lo, exits.trail_stop(symbol))
        hi = min(symbol.target, symbol.trail_high)
    return lo, hi
