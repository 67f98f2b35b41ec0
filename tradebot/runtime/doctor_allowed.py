"""What will the bot be allowed to do, in words and money? The last part of what `tradebot doctor` tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.config.sections.execution import Step
from tradebot.domain.numbers import BPS, plain
from tradebot.runtime.doctor import Case


class Allowed(Struct, frozen=True):
    """One thing the profile lets the bot do; `what` is stable, `text` is for people."""

    what: str
    text: str


_OPEN_ORDERS: Final = {
    "cancel": "own open orders are cancelled, and the cancel verified; positions stay",
    "leave": "own open orders are LEFT at the venue; positions stay",
    "wait": "own open orders are awaited until their wait is over; positions stay",
}


def allowed(case: Case) -> list[Allowed]:
    """Return what the profile lets the bot do, in the order of what it may cost."""
    profile = case.profile
    return [
        Allowed("money", _money(case)),
        Allowed("order", _order(profile)),
        Allowed("exposure", _exposure(profile)),
        Allowed("exits", _exits(profile)),
        Allowed("at the stop", _at_the_stop(profile)),
        Allowed("shutdown", _OPEN_ORDERS[profile.shutdown.open_orders]),
        Allowed("edits", _edits(profile)),
        Allowed("who steers", _who(case)),
    ]


def most_quote(profile: Profile) -> Decimal:
    """Return the most quote that may be invested at a time, before fees."""
    budget = profile.budget
    return min(budget.max_exposure_quote, budget.max_positions * budget.max_per_symbol_quote)


def _money(case: Case) -> str:
    settings = case.profile.exchange
    if not case.trades:
        return "none: orders are filled on paper"
    if settings.base_url:
        return f"whatever {settings.base_url} holds, a rehearsal on this machine"
    return f"REAL money at {settings.name}"


def _order(profile: Profile) -> str:
    if not profile.features.buying:
        return "no buys: features.buying is off"
    budget, execution = profile.budget, profile.execution
    each, quote = plain(budget.per_trade_quote), profile.market.quote
    beyond = f"at most {plain(execution.max_slippage_bps / 100)} % above the ask"
    return f"buys of at most {each} {quote}, {_kinds(execution.steps)}, {beyond}"


def _exposure(profile: Profile) -> str:
    budget, quote = profile.budget, profile.market.quote
    text = (
        f"at most {plain(most_quote(profile))} {quote} invested: {budget.max_positions} positions, "
        f"{plain(budget.max_per_symbol_quote)} in one symbol"
    )
    return text + (f"; {plain(budget.keep_free_quote)} are never spent" if budget.keep_free_quote else "")


def _exits(profile: Profile) -> str:
    if not profile.features.exits:
        return "NOTHING is ever sold: features.exits is off"
    return f"sold at {', '.join(_ways(profile))}; {_kinds(profile.exits.steps)}"


def _ways(profile: Profile) -> Iterator[str]:
    exits = profile.exits
    if exits.take_profit_bps is not None:
        yield f"+{plain(exits.take_profit_bps / 100)} %"
    if exits.stop_loss_bps is not None:
        yield f"−{plain(exits.stop_loss_bps / 100)} %"
    if exits.trailing is not None:
        active, distance = plain(exits.trailing.activate_bps / 100), plain(exits.trailing.distance_bps / 100)
        yield f"{distance} % below the highest price once it was {active} % up"
    if exits.max_hold_s is not None:
        yield f"an age of {_span(exits.max_hold_s)}"


def _span(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:g} s"


def _at_the_stop(profile: Profile) -> str:
    stop = profile.exits.stop_loss_bps
    quote = profile.market.quote
    if stop is None or not profile.features.exits:
        return f"there is no stop: all of {plain(most_quote(profile))} {quote} can be lost"
    loss = most_quote(profile) * stop / BPS
    return f"about {loss:.2f} {quote} are lost if everything is stopped out at once; a gap or a halt costs more"


def _edits(profile: Profile) -> str:
    if profile.reload.mode == "confirm":
        return "every edit of the profile waits for `tradebot reload --confirm`"
    if not profile.features.watcher:
        return "edits take effect when `tradebot reload` or SIGHUP asks for them; what loosens a limit waits"
    return "edits of the profile take effect when they are saved; what loosens a limit waits for a confirmation"


def _who(case: Case) -> str:
    files = ", ".join(one.path for one in case.loaded.files)
    door = f"the control socket in {case.home}" if case.profile.features.control_door else "signals alone, no socket"
    return f"user {os.geteuid()} and root: by {door}, and by editing {files}; nothing listens on the network"


def _kinds(steps: tuple[Step, ...]) -> str:
    market = [step for step in steps if step.type == "market"]
    if not market:
        return "by limit orders only"
    return "by MARKET orders" if len(market) == len(steps) else "by limit orders, at last by a MARKET order"
