"""How are differences between account and ledger said in a line? Asked by the words of facts."""

from __future__ import annotations

from tradebot.domain import facts as f
from tradebot.domain.numbers import plain


def drift_words(fact: f.DriftSeen) -> str:
    """Return what differs, and what is done about it."""
    if fact.missing < 0:
        return f"The account holds {plain(-fact.missing)} {fact.asset} beside the bot's, which are left alone"
    held = "; it is not bought, exits sell what is there" if fact.symbol else ""
    return (
        f"{plain(fact.missing)} {fact.asset} of {plain(fact.owned)} are missing from the account (sold or withdrawn by"
        f" hand?){held}: `tradebot drift` settles it"
    )


def drift_end_words(fact: f.DriftEnded) -> str:
    """Return how a difference ended."""
    if fact.how == "gone":
        return f"{fact.asset}: the account and the ledger agree again"
    what = "are missing" if fact.expected > 0 else "are held beside"
    return f"{fact.asset}: that {plain(abs(fact.expected))} {what} is expected from here on, says {fact.who}"


def adopted_words(fact: f.DriftAdopted) -> str:
    """Return what was booked without a trade."""
    came = "came" if fact.change > 0 else "went"
    price = f" at {plain(fact.price)}{' (an estimate)' if fact.estimate else ''}" if fact.symbol else ""
    rest = "; what is left is sold" if fact.sell_rest else ""
    return f"{fact.asset}: {plain(abs(fact.change))} {came}{price}, no trade, adopted by {fact.who}{rest}"
