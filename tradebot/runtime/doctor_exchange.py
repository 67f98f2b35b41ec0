"""Is the exchange ready for this profile, and its key harmless? Checks of `tradebot doctor`; they only read.

One visit makes some ten small requests, and counts them where the bots of this machine count theirs: it asks only
while nobody has to hold back, so that it may be made beside a running bot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradebot.domain.fact import Level, Stream
from tradebot.domain.numbers import ZERO, bps_up, exact, plain
from tradebot.runtime.doctor import Case, Said

if TYPE_CHECKING:
    from tradebot.exchange.account_lease import Holder
    from tradebot.exchange.budget import Budget
    from tradebot.exchange.capabilities import Capabilities
    from tradebot.exchange.clock_offset import ClockOffset

WARN_MS: Final = 250
"""Difference of the clocks from which it is worth a word."""

FAIL_MS: Final = 1_000
"""Difference from which Binance refuses requests as sent from the future; source: its "Timing security"."""

_CLOSE_S: Final = 3.0

_ACCOUNT, _TIME, _TRADES = 20, 1, 20
"""Request weights; source: Binance's spot API, "Account endpoints" and "Trading endpoints"."""

NTP: Final = "let NTP keep this machine's clock: `timedatectl set-ntp true`, or chrony on the host of a container"


class Visit:
    """One connection to the exchange, with what it told of itself."""

    def __init__(self, exchange: Any, can: Capabilities, offset: ClockOffset, budget: Budget) -> None:
        self.exchange = exchange
        self.can = can
        self.offset = offset
        self.budget = budget
        self.told: Mapping[str, Any] = {}
        """What it answered when it was asked for its markets."""

    async def close(self) -> None:
        """Close the connection, within seconds."""
        from tradebot.exchange.construction import disconnect

        try:
            await asyncio.wait_for(disconnect(self.exchange), _CLOSE_S)
        except TimeoutError:
            await self.exchange.tradebot_session.close()


def unused(case: Case) -> str:
    """Say why no exchange is asked."""
    if case.profile.feed.kind != "ccxt" and not case.trades:
        return "no exchange is used: prices and fills are this machine's own"
    return "left out by --offline" if case.offline else ""


def unvisited(case: Case) -> str:
    """Say why nothing can be asked of the exchange."""
    return unused(case) or ("" if case.visit is not None else "the exchange could not be asked")


def without_key(case: Case) -> str:
    """Say why nothing can be asked with a key."""
    if not case.trades:
        return "no key is used: orders are filled on paper"
    return unvisited(case) or ("" if case.credentials is not None else "there is no key")


def no_orders(case: Case) -> str:
    """Say why keys do not matter."""
    return "" if case.trades else "no key is used: orders are filled on paper"


async def keys(case: Case) -> Iterable[Said]:
    """Read the keys. Raises CannotStart naming what is missing."""
    from tradebot.exchange.construction import needs_password
    from tradebot.exchange.credentials import KEY, read_credentials

    case.credentials = read_credentials(case.environ, password=needs_password(case.profile.exchange.name))
    where = "in files" if case.environ.get(f"{KEY}_FILE") else "in the environment"
    return [Said("ok", f"key and secret are {where}")]


async def markets(case: Case) -> Iterable[Said]:
    """Connect and ask for the markets. Raises CannotStart where that is not possible."""
    from tradebot.exchange.away import why_not
    from tradebot.exchange.capabilities import capabilities_of
    from tradebot.exchange.clock_offset import ClockOffset
    from tradebot.exchange.construction import connect, public_taps
    from tradebot.exchange.credentials import NO_CREDENTIALS
    from tradebot.exchange.evidence import followed
    from tradebot.exchange.instruments import instruments_of
    from tradebot.exchange.shared_budget import shared_budget

    settings, wanted, told = case.profile.exchange, case.profile.market, _Warnings()
    budget = shared_budget(settings, case.clock, told, environ=case.environ)
    exchange = connect(settings, public_taps(settings, budget), credentials=case.credentials or NO_CREDENTIALS)
    visit = Visit(exchange, capabilities_of(exchange), ClockOffset(exchange.fetch_time, case.clock), budget)
    case.visit = visit
    try:
        with followed() as trail:
            found = await exchange.load_markets()
        visit.told = trail.answer if isinstance(trail.answer, Mapping) else {}
    except Exception as error:  # noqa: BLE001 - the border to ccxt: a check says what is wrong
        case.visit = None
        await visit.close()
        raise why_not(_place(case), "it does not tell its markets", error, budget, case.clock) from None
    listed = instruments_of(found, wanted.quote)
    case.instruments = [one for one in listed if not wanted.symbols or one.symbol in wanted.symbols]
    case.taker_fees = {one.symbol: exact(str(found[one.symbol].get("taker") or "0.001")) for one in case.instruments}
    if missing := sorted(set(wanted.symbols) - {one.symbol for one in listed}):
        state = "trades them not, or not now"
        return [Said("fail", f"{settings.name} {state}: {', '.join(missing)}", "take them out of market.symbols")]
    if not case.instruments:
        return [Said("fail", f"{settings.name} trades nothing in {wanted.quote}", "mend market.quote")]
    text = f"{_place(case)}: {len(listed)} symbols in {wanted.quote}, {len(case.instruments)} are watched"
    return [Said("ok", text), *(Said("warn", words) for words in told.words)]


async def capabilities(case: Case) -> Iterable[Said]:
    """Say each thing the exchange lacks, and what is done instead; a step that would never be sent is a warning."""
    visit, profile = case.visited(), case.profile
    said = [
        Said("fail" if lack.refused and case.trades else "ok", f"lacks {lack.what}: {lack.instead}")
        for lack in visit.can.lacks
    ]
    if not case.trades:
        return said or [Said("ok", "nothing is lacking")]
    steps = (*profile.execution.steps, *profile.exits.steps)
    for tif in sorted({step.tif for step in steps if step.type == "limit"} - visit.can.tifs - {"GTC"}):
        todo = "take them out of execution.steps and exits.steps"
        said.append(Said("warn", f"steps with {tif} are never sent there", todo))
    if any(step.type == "market" for step in profile.execution.steps) and not visit.can.market_buy_by_quote:
        said.append(Said("warn", "market buys are never sent there", "take them out of execution.steps"))
    return said or [Said("ok", "nothing is lacking")]


async def clock(case: Case) -> Iterable[Said]:
    """Measure the difference of the clocks."""
    visit = case.visited()
    if not visit.can.clock:
        return [Said("warn", f"{visit.can.exchange} tells no time: the difference is not known", NTP)]
    try:
        await visit.offset.measure(3)
    except Exception as error:  # noqa: BLE001 - the border to ccxt: a check says what is wrong
        return [Said("fail", f"its time cannot be asked for ({_words(error)})")]
    visit.offset.apply_to(visit.exchange)  # what follows is signed with its time, and found out beside a wrong clock
    off, error_ms = visit.offset.offset_ms, visit.offset.error_ms
    figures = {"offset_ms": off, "error_ms": round(error_ms, 1)}
    text = f"this machine's clock is {abs(off)} ms {'ahead of' if off > 0 else 'behind'} the exchange's"
    limit = min(FAIL_MS, case.profile.exchange.max_clock_offset_ms)
    if abs(off) >= limit:
        return [Said("fail", f"{text}, and {limit} ms is the most", NTP, figures)]
    if abs(off) >= WARN_MS:
        return [Said("warn", text, NTP, figures)]
    return [Said("ok", f"{text} (to {error_ms:.0f} ms)", figures=figures)]


async def limits(case: Case) -> Iterable[Said]:
    """Compare the exchange's own limits with what this profile asks for."""
    from tradebot.exchange.budget import weight_of_open_orders
    from tradebot.venues.ccxt_reconcile import poll_interval_s

    rows = [row for row in case.visited().told.get("rateLimits") or () if isinstance(row, Mapping)]
    weight = _limit(rows, "REQUEST_WEIGHT", "MINUTE", 1)
    if not weight:
        return [Said("skip", f"{case.profile.exchange.name} tells no limits: ccxt spaces the requests")]
    if not case.trades:
        return [Said("ok", f"{weight:,} of request weight a minute; prices come over streams")]
    profile = case.profile
    at_once = profile.budget.max_positions
    listing = weight_of_open_orders(at_once)
    usual = (
        _ACCOUNT * 60 / profile.budget.refresh_interval_s
        + _TIME * 60 / profile.exchange.clock_interval_s
        + (listing + at_once * _TRADES) * 60 / profile.exchange.reconcile_interval_s
    )
    lost = usual + listing * 60 / poll_interval_s(profile.exchange, at_once, weight)
    orders = _limit(rows, "ORDERS", "SECOND", 10)
    burst = at_once * max(len(profile.execution.steps), len(profile.exits.steps))
    figures = {
        "weight_a_minute": weight,
        "usual_weight_a_minute": round(usual),
        "weight_a_minute_without_stream": round(lost),
        "orders_in_10_s": orders,
        "orders_at_once": burst,
    }
    text = f"{usual:,.0f} of {weight:,} request weight a minute"
    if lost < weight:
        text += f", up to {lost:,.0f} while the stream of own orders is lost"
    else:
        text += "; while the stream of own orders is lost, as much as the exchange lets through"
    if usual * 2 > weight:
        todo = "raise budget.refresh_interval_s or exchange.reconcile_interval_s"
        return [Said("warn", f"{text}: more than half of it", todo, figures)]
    if orders and burst > orders:
        todo = "lower budget.max_positions, or the number of steps"
        return [Said("warn", f"up to {burst} orders at once, and {orders} in 10 s are allowed", todo, figures)]
    return [
        Said("ok", f"{text}; up to {burst} orders at once" + (f" of {orders} in 10 s" if orders else ""), "", figures)
    ]


async def permissions(case: Case) -> Iterable[Said]:
    """Say what the key may do beside trading; what a start refuses is a failure here."""
    from tradebot.exchange.permissions import KeyPermissions, Untold, in_words, permissions_of, refusal

    found = await permissions_of(case.visited().exchange, case.signed())
    if isinstance(found, Untold):
        return [Said("warn", f"{found.exchange}: what the key may do cannot be checked here", found.todo)]
    if not isinstance(found, KeyPermissions):
        return [Said("fail", f"what the key may do is not known: {in_words(found)}", _key_todo(in_words(found)))]
    allowed = case.profile.exchange.allow_withdrawals
    if why := refusal(found, allow_withdrawals=allowed):
        what, _, todo = why.partition(": ")
        return [Said("fail", f"{what}: a start is refused", todo)]
    said = []
    if found.moves_money:
        may = " and ".join(found.moves_money)
        text = f"the key can {may}, and exchange.allow_withdrawals lets it: whoever has the key has the money"
        said.append(Said("warn", text, "take that from the key"))
    if found.beyond_spot:
        text = f"the key may also trade {' and '.join(found.beyond_spot)}, which the bot never does"
        said.append(Said("warn", text, "take that from the key"))
    if found.ip_restricted is False:
        said.append(Said("warn", "the key is good from any address", "bind it to this machine's address"))
    return said or [Said("ok", "the key trades spot and moves no money" + _bound(found.ip_restricted))]


def lease(case: Case) -> Iterable[Said]:
    """Say who trades on the account now; somebody else keeps a start from it, this bot itself does not."""
    from tradebot.exchange.account_lease import lease_holders

    settings = case.profile.exchange
    try:
        found = lease_holders(settings, case.signed(), case.environ)
    except OSError as error:
        text = f"whether another bot trades on this account cannot be known ({error.strerror}): a start is refused"
        return [Said("fail", text, "name a folder of this user alone as exchange.requests.folder")]
    others = [one for one in found if Path(one.home) != case.home.absolute()]
    figures = {"holders": [_of(one) for one in found]}
    if not found:
        return [Said("ok", "no bot of this machine's user trades on this account", figures=figures)]
    who = "; ".join(map(str, found))
    if not others:
        return [Said("ok", f"this bot trades on it: {who}", figures=figures)]
    if settings.shared_account:
        text = f"the account is shared with {who}"
        return [Said("warn", text, "each of them has to say exchange.shared_account = true", figures)]
    todo = "stop it, or let each of them say exchange.shared_account = true"
    return [Said("fail", f"another tradebot trades on this account ({who}): a start is refused", todo, figures)]


def _of(holder: Holder) -> dict[str, Any]:
    return {"pid": holder.pid, "instance": holder.instance, "home": holder.home, "since_ms": holder.since_ms}


async def balance(case: Case) -> Iterable[Said]:
    """Compare the quote that is free with what the profile would spend. A refused key is found out here, too."""
    from tradebot.exchange.outcomes import Failure
    from tradebot.exchange.permissions import in_words
    from tradebot.exchange.requests import Requests

    visit, budget, quote = case.visited(), case.profile.budget, case.profile.market.quote
    held = await Requests(visit.exchange, case.signed(), visit.can).balances()
    if isinstance(held, Failure):
        return [Said("fail", f"the account cannot be read: {in_words(held)}", _key_todo(in_words(held)))]
    free = held[quote].free if quote in held else ZERO
    one = budget.per_trade_quote * bps_up(budget.fee_reserve_bps)
    whole = min(one * budget.max_positions, budget.max_exposure_quote * bps_up(budget.fee_reserve_bps))
    spendable = max(ZERO, free - budget.keep_free_quote)
    figures = {"free": plain(free), "spendable": plain(spendable), "wanted": plain(whole)}
    wanted = f"{plain(whole)} are wanted for {budget.max_positions} buys"
    text = f"{plain(free)} {quote} are free, {plain(budget.keep_free_quote)} are kept, {wanted}"
    if spendable < one:
        todo = f"pay {quote} in, or lower budget.per_trade_quote"
        return [Said("fail", f"{text}: not one buy is possible", todo, figures)]
    if spendable < whole:
        return [Said("warn", f"{text}: there is enough for {int(spendable // one)}", "", figures)]
    return [Said("ok", text, figures=figures)]


class _Warnings:
    """Keeps what is warned of, as a log."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Keep a warning."""
        if level in {"WARNING", "ERROR"}:
            self.words.append(message)


def _place(case: Case) -> str:
    settings = case.profile.exchange
    return f"{settings.name} at {settings.base_url}" if settings.base_url else settings.name


def _bound(restricted: bool | None) -> str:
    return ", and only from its own address" if restricted else "; whether it is bound to an address is not told"


def _key_todo(words: str) -> str:
    if "-2015" in words or "-2014" in words:
        return "look at the key, its allow-list of addresses, and its permissions"
    return "look at the secret: it does not belong to the key" if "-1022" in words else ""


def _limit(rows: Iterable[Mapping[str, Any]], kind: str, interval: str, number: int) -> int:
    for row in rows:
        if (row.get("rateLimitType"), row.get("interval"), row.get("intervalNum")) == (kind, interval, number):
            return int(row.get("limit") or 0)
    return 0


def _words(error: BaseException) -> str:
    """Say what went wrong without the address in ccxt's texts, which may be signed."""
    return " from ".join(type(each).__name__ for each in (error, error.__cause__) if each is not None)
