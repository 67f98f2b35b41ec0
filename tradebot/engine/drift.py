"""Does the account hold what the ledger owns? Asked by the engine at every answer to its question for balances.

Compared is only what nothing of our own could explain: no order or intent of the asset stood when the balances were
asked for, nor has any come since. A difference counts once a second answer shows it, too, asked for a while later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from tradebot.domain import events as e
from tradebot.domain import facts as f
from tradebot.domain.numbers import EXACT, ZERO, exact
from tradebot.domain.orders import Balance
from tradebot.engine.budget import Budget
from tradebot.engine.desk import Desk
from tradebot.engine.exits import try_now

LOOK = "drift"
CLOSED_BY_HAND = "closed by hand"
NOBODY = "an operator"
NOTHING = Balance(ZERO)


class Drift:
    """Notices what others did to the account, and lets an operator settle it."""

    def __init__(self, desk: Desk, budget: Budget) -> None:
        self.desk = desk
        self.budget = budget
        self._suspects: dict[str, tuple[Decimal, int]] = {}  # by asset, what was missing, and when that was first told
        self._asked_ms = 0  # when the answer under way was asked for
        self._short: dict[str, Decimal] = {}  # by symbol, what of the holding was not free then
        self._surplus: dict[str, Decimal] = {}  # by asset, what the account held beside the ledger's then

    # -- noticing ---------------------------------------------------------------------------------

    def on_wanted(self, event: e.BalancesWanted) -> None:
        """Ask for the balances."""
        self.budget.ask()

    def on_balances(self, event: e.BalancesReported) -> None:
        """Hand the balances to the budget; compare them where they were asked for."""
        asked, known = self.budget.asked, self.desk.state.ledger.is_open
        self._asked_ms = self.budget.asked_ms
        self.budget.on_report(event)
        if asked and self.desk.state.ledger.is_open:
            self._compare(event.balances, with_quote=known)

    def _compare(self, balances: Mapping[str, Balance], *, with_quote: bool) -> None:
        desk, ledger = self.desk, self.desk.state.ledger
        again = False
        for symbol, asset in self._assets(balances):
            if symbol in desk.stirred:
                continue
            balance, owned = balances.get(asset, NOTHING), ledger.holding(symbol)
            self._short[symbol] = EXACT.subtract(owned, balance.free)
            again |= self._judge(asset, symbol, owned, balance.total)
        if with_quote and not desk.stirred and desk.profile.fences.compare_quote:
            again |= self._judge(ledger.quote, "", ledger.cash, balances.get(ledger.quote, NOTHING).total)
        if again:
            desk.remind(desk.now + desk.profile.execution.query_interval_ms, LOOK, "")

    def _assets(self, balances: Mapping[str, Balance]) -> Iterable[tuple[str, str]]:
        """Return (symbol, base asset) to compare: what the ledger owns, what is held and watched, what differed."""
        desk, ledger, drifts = self.desk, self.desk.state.ledger, self.desk.state.drifts
        behind = f"/{ledger.quote}"
        found = {symbol: symbol.partition("/")[0] for symbol in (*ledger.positions, *ledger.dust)}
        for asset in balances:
            if (symbol := asset + behind) in desk.symbols:
                found[symbol] = asset
        for asset in (*drifts.items, *drifts.expected):
            if asset != ledger.quote:
                found[asset + behind] = asset
        return found.items()

    def _judge(self, asset: str, symbol: str, owned: Decimal, found: Decimal) -> bool:
        """Compare one asset; return whether another answer is wanted to be sure."""
        desk, drifts = self.desk, self.desk.state.drifts
        missing = EXACT.subtract(owned, found)
        if not missing and asset not in drifts.items and asset not in drifts.expected:  # as nearly always
            self._surplus[asset] = ZERO
            self._suspects.pop(asset, None)
            return False
        self._surplus[asset] = max(ZERO, -missing)
        known, expected = drifts.items.get(asset), drifts.expected.get(asset, ZERO)
        if not _differs(missing, expected):
            self._suspects.pop(asset, None)
            if known is not None or (expected > 0 and missing <= 0):
                kept = expected if missing > 0 else min(expected, ZERO)
                self._end(f.DriftEnded(asset, symbol, "gone", kept, "", desk.state.generation))
            return False
        if known is not None and (missing == known.missing or (missing < 0 and known.missing < 0)):
            self._suspects.pop(asset, None)
            return False
        suspected, told_ms = self._suspects.get(asset, (ZERO, 0))
        if (missing > 0) != (suspected > 0) or not suspected:
            self._suspects[asset] = missing, desk.now
            return True
        if self._asked_ms < told_ms + desk.profile.execution.query_interval_ms:
            return True  # asked for so soon, it may lag behind as the first one did
        del self._suspects[asset]
        desk.emit(f.DriftSeen(asset, symbol, owned, found, desk.state.generation))
        return False

    def on_rival(self, event: e.RivalSeen) -> None:
        """Buy nothing for the rest of the run: another bot trades under our name; told once."""
        state = self.desk.state
        if not state.drifts.rival and event.run != state.run:
            self.desk.emit(f.RivalNoticed(event.client_id, event.run, state.generation))

    # -- what exits are told ----------------------------------------------------------------------

    def most(self, symbol: str) -> Decimal | None:
        """Return what of a symbol may be sold at most, None where the account holds all that is owned.

        What others have locked counts like what is gone.
        """
        state = self.desk.state
        asset = symbol.partition("/")[0]
        short = self._short.get(symbol)
        if short is None:
            short = state.drifts.lacking(asset)
        return max(ZERO, EXACT.subtract(state.ledger.holding(symbol), short)) if short > 0 else None

    def reason(self, symbol: str) -> str:
        """Return why a position is sold whatever the exit rules say, "" where it is not."""
        return CLOSED_BY_HAND if symbol in self.desk.state.drifts.selling else ""

    def go_on(self) -> None:
        """Sell what an operator wanted sold before a restart."""
        for name in self.desk.state.drifts.selling:
            self._sell(name)

    # -- settling ---------------------------------------------------------------------------------

    def on_answer(self, event: e.DriftAnswered) -> None:
        """Settle a difference by an operator's word; nothing where that is refused."""
        if self.refusal(event.asset, event.action, event.price):
            return
        who, state = event.who or NOBODY, self.desk.state
        if event.action == "ignore":
            expected = self.difference(event.asset)
            symbol = self.symbol_of(event.asset)
            self._end(f.DriftEnded(event.asset, symbol, "ignored", expected, who, state.generation))
        else:
            self._adopt(event, who)

    def difference(self, asset: str) -> Decimal:
        """Return what is missing of an asset (negative: held beside the ledger's), ignored or not; 0 for none."""
        drifts = self.desk.state.drifts
        if missing := drifts.lacking(asset):
            return missing
        surplus = self._surplus.get(asset)
        if surplus is None:
            item = drifts.items.get(asset)
            surplus = ZERO if item is None else -item.missing
        return -surplus

    def refusal(self, asset: str, action: str, price: Decimal | None) -> str:
        """Return why an answer is not taken now, "" where it is."""
        desk, state = self.desk, self.desk.state
        missing, symbol = self.difference(asset), self.symbol_of(asset)
        if not missing:
            return f"the account holds what the ledger owns of {asset}"
        if not state.trading:
            return "the account is not reconciled yet; ask again in a moment"
        if action == "ignore":
            return ""
        if symbol and not desk.idle_orders(symbol):
            return f"an order of {symbol} is under way; ask again once it has ended"
        if not symbol:
            why = "only a position can be closed" if action == "close" else "the quote has no price"
            return why if action == "close" or price is not None else ""
        if symbol not in desk.symbols:
            return f"{symbol} is not watched; add it to market.symbols"
        if action == "close" and (missing < 0 or symbol not in state.ledger.positions):
            return f"there is no position of {symbol} of which something is missing"
        if price is None and missing < 0:
            return f"{-missing:f} {asset} become a position: say what each cost"
        if price is None and not desk.symbols[symbol].bid:
            return f"no price of {symbol} was seen yet: say what it was sold for"
        return ""

    def _adopt(self, event: e.DriftAnswered, who: str) -> None:
        desk, ledger = self.desk, self.desk.state.ledger
        asset, symbol, change = event.asset, self.symbol_of(event.asset), -self.difference(event.asset)
        estimate = bool(symbol) and event.price is None
        price = event.price or ZERO
        if estimate:
            price = exact(desk.symbols[symbol].bid)
        opened = change > 0 and bool(symbol) and symbol not in ledger.positions
        rest = event.action == "close"
        desk.emit(f.DriftAdopted(asset, symbol, change, price, estimate, who, rest, desk.state.generation))
        for known in (self._suspects, self._surplus):
            known.pop(asset, None)
        self._short.pop(symbol, None)
        if opened:
            desk.emit(f.PositionOpened(symbol, price, change, desk.state.generation))
        if symbol:
            desk.wake(desk.symbols[symbol])
        if rest:
            self._sell(symbol)

    def _end(self, fact: f.DriftEnded) -> None:
        self.desk.emit(fact)
        if (symbol := self.desk.symbols.get(fact.symbol)) is not None:
            self.desk.wake(symbol)

    def _sell(self, name: str) -> None:
        symbol = self.desk.symbols.get(name)
        if symbol is not None and name not in self.desk.state.by_symbol:
            try_now(self.desk, symbol)

    def symbol_of(self, asset: str) -> str:
        """Return the symbol that trades an asset, "" for the quote."""
        quote = self.desk.state.ledger.quote
        return "" if asset == quote else f"{asset}/{quote}"


def _differs(missing: Decimal, expected: Decimal) -> bool:
    """Whether a difference is another one than was expected; of what is held beside, any amount may be."""
    if missing > 0:
        return missing > expected
    return missing < 0 and expected >= 0
