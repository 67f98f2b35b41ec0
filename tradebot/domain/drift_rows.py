"""How are differences between account and ledger said in a line? Asked by the console, the status and the command."""

from __future__ import annotations

from tradebot.domain.numbers import plain
from tradebot.domain.views import DriftView


def drift_rows(drift: tuple[DriftView, ...], rival: str) -> list[tuple[str, str]]:
    """Return (head, text) of what an operator has to settle; nothing where account and ledger agree."""
    rows = [("drift", f"{drift_text(one)} · `tradebot drift` settles it") for one in drift if one.kind == "missing"]
    if rival:
        rows.append(("rival", f"run {rival} trades under our name, nothing is bought: stop one of the two"))
    return rows


def drift_text(one: DriftView) -> str:
    """Return one difference in words."""
    name = one.symbol or one.asset
    if one.kind == "missing":
        return f"{name}: {plain(one.amount)} of {plain(one.owned)} {one.asset} are missing from the account"
    if one.kind == "beside":
        return f"{name}: {plain(one.amount)} {one.asset} are held beside the bot's and left alone"
    what = "may be missing" if one.amount > 0 else "may be held beside the bot's"
    return f"{name}: {plain(abs(one.amount))} {one.asset} {what}, as was said"
