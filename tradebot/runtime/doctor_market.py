"""Do prices come in, and can the stake be bought and sold again? Checks of `tradebot doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, Final

from msgspec import Struct

from tradebot.config.profile import Profile
from tradebot.config.secrets import mask
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import Event, QuoteSeen
from tradebot.domain.fact import Level, Stream
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import BPS, EXACT, ONE, ZERO, bps_down, bps_up, ceil_to, exact, plain
from tradebot.ports import Feed
from tradebot.runtime.doctor import Case, Said, in_thread
from tradebot.runtime.instruments import listed
from tradebot.runtime.places import make_feed

LISTEN_LIMIT_S: Final = 15.0
"""Beside the time that is listened: connecting, subscribing, closing."""

_NAMED: Final = 5
_CENT: Final = Decimal("0.01")
_WASTE: Final = Decimal("0.01")
"""Share of a stake that the lot step may leave unsold before it is worth a word."""


class Fit(Struct, frozen=True):
    """What a stake comes to in one symbol: base bought, base that can be sold again, and what is wrong ("" nothing).

    `needs_quote` is the least stake that can be bought and sold again, at these prices.
    """

    symbol: str
    bought: Decimal
    sellable: Decimal
    wrong: str
    needs_quote: Decimal
    left_share: Decimal


def fit(one: Instrument, bid: Decimal, ask: Decimal, stake: Decimal, fee: Decimal, falls_bps: Decimal) -> Fit:
    """Return what `stake` comes to at the worst price of its buy, less a fee in base, and sold after a fall.

    `ask` is the highest price paid, `fee` the share of the amount that is charged in base, `falls_bps` how far the bid
    has fallen when it is sold at a stop.
    """
    with localcontext(EXACT):
        low = bid * bps_down(falls_bps)
        bought = one.amount_down(stake / ask)
        kept = bought * (ONE - fee)
        sellable = one.amount_down(kept)
        wrong = ""
        if why := _short(one, bought, ask):
            wrong = f"a buy of {plain(stake)} is {plain(bought)} {one.base}: {why}"
        elif why := _short(one, sellable, low):
            wrong = f"{plain(sellable)} {one.base} are left to sell after fee and stop: {why}"
        least = ceil_to(max(one.min_amount, one.min_notional / low, one.amount_step), one.amount_step)
        gross = ceil_to(least / (ONE - fee), one.amount_step)
        needs = ceil_to(max(gross * ask, one.min_notional), _CENT)
        left = (kept - sellable) / kept if kept else ZERO
    return Fit(one.symbol, bought, sellable, wrong, needs, left)


def _short(one: Instrument, amount: Decimal, price: Decimal) -> str:
    """Say by how much an amount is too small for an order, "" where it is not."""
    if amount < one.min_amount or amount <= 0:
        return f"the least is {plain(max(one.min_amount, one.amount_step))}"
    if amount * price < one.min_notional:
        return f"worth {amount * price:.2f} {one.quote}, and {plain(one.min_notional)} is the least"
    return ""


async def prices(case: Case) -> Iterable[Said]:
    """Listen to the feed until every symbol has a price, for `listen_s` at most. Raises CannotStart."""
    heard = _Heard(case)
    feed = await _feed(case, heard)
    watched = {one.symbol for one in case.instruments}
    running = asyncio.ensure_future(feed.run(heard.publish))
    all_heard = asyncio.ensure_future(heard.of_all(watched))
    try:
        await asyncio.wait({running, all_heard}, timeout=case.listen_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        all_heard.cancel()
        running.cancel()
        await asyncio.wait({running, all_heard})
    if not running.cancelled() and (error := running.exception()) is not None:
        return [Said("fail", f"the feed broke: {type(error).__name__}: {mask(str(error)).partition(chr(10))[0][:200]}")]
    return [_freshness(case, heard, watched)]


def _freshness(case: Case, heard: _Heard, watched: set[str]) -> Said:
    silent = sorted(watched - case.quotes.keys())
    late = max(heard.ages_s.values(), default=0.0)
    stale_s = case.profile.market.stale_after_s
    figures = {"symbols": len(watched), "silent": silent, "oldest_s": round(late, 3)}
    text = f"{len(watched) - len(silent)} of {len(watched)} symbols have a price"
    if not case.quotes:
        why = f" ({heard.trouble})" if heard.trouble else ""
        return Said("fail", f"no price came within {case.listen_s:g} s{why}", "nothing is bought without one", figures)
    if late > stale_s:
        todo = "look at the clock and the line: what is older than market.stale_after_s is not bought"
        return Said("warn", f"{text}, the oldest came {late:.1f} s late", todo, figures)
    if silent:
        names = ", ".join(silent[:_NAMED]) + (" …" if len(silent) > _NAMED else "")
        return Said("warn", f"{text} after {case.listen_s:g} s; silent: {names}", "they may just be quiet", figures)
    kind = " (a synthetic market: nothing of it is real)" if case.profile.feed.kind == "synthetic" else ""
    return Said("ok", f"{text}, at most {late:.1f} s old{kind}", figures=figures)


async def stake(case: Case) -> Iterable[Said]:
    """Say of every symbol that cannot be traded with this stake why, and which stake would do."""
    profile = case.profile
    await _ask_for_the_rest(case)
    amount, falls = profile.budget.per_trade_quote, _fall_bps(profile)
    wrong: list[Said] = []
    wasteful: list[str] = []
    fine = 0
    for one in case.instruments:
        bid, ask = (exact(price) for price in case.quotes.get(one.symbol, (0.0, 0.0)))
        if not bid or not ask:
            wrong.append(Said("warn", f"{one.symbol}: no price, so its stake is not known to do"))
            continue
        found = fit(one, bid, ask * bps_up(profile.execution.max_slippage_bps), amount, _fee(case, one), falls)
        figures = {"symbol": one.symbol, "needs_quote": plain(found.needs_quote)}
        if found.wrong:
            named = one.symbol in profile.market.symbols
            todo = f"budget.per_trade_quote of {plain(found.needs_quote)} at least, or without {one.symbol}"
            wrong.append(Said("fail" if named else "warn", f"{one.symbol}: {found.wrong}", todo, figures))
            continue
        fine += 1
        if found.left_share > _WASTE:
            wasteful.append(f"{one.symbol} {found.left_share * 100:.1f} %")
    if wasteful:
        names = ", ".join(wasteful[:_NAMED]) + (" …" if len(wasteful) > _NAMED else "")
        wrong.append(Said("warn", f"the lot step leaves much of a buy unsold: {names}", "a larger stake leaves less"))
    if not fine:
        wrong.append(Said("fail", f"a stake of {plain(amount)} {profile.market.quote} trades no symbol at all"))
    elif not wrong:
        text = f"{plain(amount)} {profile.market.quote} buy {fine} of {fine} symbols, and are sold again"
        wrong.append(Said("ok", f"{text} after fee and stop"))
    return wrong


def _fall_bps(profile: Profile) -> Decimal:
    """Return how far below its entry a position is sold at the stop; without a stop, as far as no fall at all."""
    return profile.exits.stop_loss_bps or ZERO


def _fee(case: Case, one: Instrument) -> Decimal:
    """Return the share of a buy that is charged in base."""
    paper = case.profile.venue.paper
    if not case.trades:
        return paper.taker_fee_bps / BPS if paper.fee_in == "received" else ZERO
    return Decimal(case.taker_fees.get(one.symbol, ZERO))


async def _feed(case: Case, heard: _Heard) -> Feed:
    profile = case.profile
    if profile.feed.kind != "ccxt":
        feed = await in_thread(partial(make_feed, profile, case.clock))
        case.instruments = listed(profile.venue.paper, feed.instruments())
        return feed
    from tradebot.exchange.construction import connect, public_taps
    from tradebot.feeds.ccxt_live import CcxtLive

    visit, settings = case.visited(), profile.exchange

    def connected() -> Any:
        exchange = connect(settings, public_taps(settings, visit.budget))
        exchange.set_markets_from_exchange(visit.exchange)
        return exchange

    if not case.trades:
        case.instruments = listed(profile.venue.paper, case.instruments)
    return CcxtLive(
        connected,
        profile.feed.ccxt,
        case.instruments,
        case.clock,
        heard,
        offset_ms=lambda: visit.offset.offset_ms,
        keep_alive_s=settings.keep_alive_s,
    )


async def _ask_for_the_rest(case: Case) -> None:
    """Ask once for the prices of symbols that were silent, where the exchange tells them all in one answer."""
    missing = [one.symbol for one in case.instruments if one.symbol not in case.quotes]
    if not missing or case.visit is None:
        return
    exchange = case.visit.exchange
    fetch = exchange.fetch_bids_asks if exchange.has.get("fetchBidsAsks") else exchange.fetch_tickers
    try:
        answer: Mapping[str, Any] = await fetch(missing if len(missing) <= 100 else None)
    except Exception as error:  # noqa: BLE001 - the border to ccxt: a check says what is wrong
        raise CannotStart(f"the prices of {len(missing)} symbols cannot be had ({type(error).__name__})") from None
    for symbol in missing:
        row = answer.get(symbol) or {}
        if row.get("bid") and row.get("ask"):
            case.quotes[symbol] = (float(row["bid"]), float(row["ask"]))


class _Heard:
    """Who listens to the feed for a while: its prices with their ages, and the last trouble it told."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._news = asyncio.Event()
        self.ages_s: dict[str, float] = {}
        self.trouble = ""

    def publish(self, event: Event) -> None:
        """Take an event of the feed."""
        if isinstance(event, QuoteSeen):
            self._case.quotes[event.symbol] = (event.bid, event.ask)
            self.ages_s[event.symbol] = max(0.0, (self._case.clock.now_ms() - event.at_ms) / 1000)
            self._news.set()

    async def of_all(self, symbols: set[str]) -> None:
        """Wait until each of the symbols has a price."""
        while not symbols <= self._case.quotes.keys():
            self._news.clear()
            await self._news.wait()

    def emit(self, stream: Stream, level: Level, event_type: str, message: str = "", **fields: Any) -> None:
        """Keep what the feed is troubled by."""
        if level in {"WARNING", "ERROR"}:
            self.trouble = message
