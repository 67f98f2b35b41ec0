"""Would this profile trade as its owner means? The rules on signal, budget, ladder and exits. Asked by `rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tradebot.config.breach import Breach
from tradebot.config.faults import shown
from tradebot.config.profile import Profile
from tradebot.config.rules_ladder import LADDER
from tradebot.domain.numbers import BPS, plain

FEE = "venue.paper.taker_fee_bps"


def _symbols(profile: Profile) -> Iterator[Breach]:
    market = profile.market
    seen: set[str] = set()
    for index, symbol in enumerate(market.symbols):
        key = ("market", "symbols", index)
        fault = _misquoted(symbol, market.quote)
        if fault:
            yield Breach.of(key, fault, ("market", "symbols"), "market.quote")
        elif symbol in seen:
            yield Breach.of(key, f'"{symbol}" stands twice', ("market", "symbols"))
        seen.add(symbol)


def _overrides(profile: Profile) -> Iterator[Breach]:
    market = profile.market
    tables = ((("drop", "symbol"), profile.drop.symbol), (("venue", "paper", "symbol"), profile.venue.paper.symbol))
    for path, named in tables:
        for symbol in named:
            fault = _misquoted(symbol, market.quote)
            if not fault and market.symbols and symbol not in market.symbols:
                fault = f'"{symbol}" is not among market.symbols: what is said of it has no effect'
            if fault:
                yield Breach.of((*path, symbol), fault, "market.quote")


def _misquoted(symbol: str, quote: str) -> str:
    """Return what is wrong with a symbol's name, "" where nothing is."""
    base, slash, quoted = symbol.partition("/")
    plain_text = symbol.isprintable() and " " not in symbol
    if not base or not slash or not quoted or "/" in quoted or not plain_text or symbol != symbol.upper():
        return f"{shown(symbol)} is not a symbol: write BASE/QUOTE in capitals, like BTC/{quote}"
    if quoted != quote:
        return f'"{symbol}" is quoted in {quoted}, and this bot trades in {quote} (market.quote)'
    return ""


def _decisions(profile: Profile) -> Iterator[Breach]:
    if profile.market.decide_on == "candle_close" and profile.feed.kind != "recorded":
        yield Breach.of(
            "market.decide_on",
            f'"candle_close" needs feed.kind = "recorded": the {profile.feed.kind} feed has no candles',
            "feed.kind",
        )


def _freshness(profile: Profile) -> Iterator[Breach]:
    feed, stale_s = profile.feed, profile.market.stale_after_s
    if feed.kind == "synthetic" and stale_s * feed.synthetic.updates_per_s <= 1:
        yield Breach.of(
            "market.stale_after_s",
            f"{stale_s:g} s is not longer than the time between two prices "
            f"({1 / feed.synthetic.updates_per_s:g} s, feed.synthetic.updates_per_s): every price would be stale",
            "feed.synthetic.updates_per_s",
        )


def _spread(profile: Profile) -> Iterator[Breach]:
    feed, most = profile.feed, profile.execution.max_spread_bps
    if feed.kind == "ccxt":
        return  # its spread is the exchange's own
    spread = feed.recorded.spread_bps if feed.kind == "recorded" else feed.synthetic.spread_bps
    if spread > most:
        yield Breach.of(
            "execution.max_spread_bps",
            f"{plain(most)} is below the feed's own spread (feed.{feed.kind}.spread_bps is {spread:g}): "
            "nothing would ever be bought",
            f"feed.{feed.kind}.spread_bps",
        )


def _amounts(profile: Profile) -> Iterator[Breach]:
    budget = profile.budget
    if budget.per_trade_quote > budget.max_per_symbol_quote:
        yield Breach.of(
            "budget.per_trade_quote",
            f"{plain(budget.per_trade_quote)} is above max_per_symbol_quote "
            f"({plain(budget.max_per_symbol_quote)}): nothing would ever be bought",
            "budget.max_per_symbol_quote",
        )
    if budget.max_per_symbol_quote > budget.max_exposure_quote:
        yield Breach.of(
            "budget.max_per_symbol_quote",
            f"{plain(budget.max_per_symbol_quote)} for one symbol is above max_exposure_quote "
            f"({plain(budget.max_exposure_quote)}) for all together",
            "budget.max_exposure_quote",
        )


def _affordable(profile: Profile) -> Iterator[Breach]:
    budget, paper = profile.budget, profile.venue.paper
    if profile.venue.kind != "paper":
        return
    needed = budget.per_trade_quote * (1 + budget.fee_reserve_bps / BPS)
    free = paper.initial_quote - budget.keep_free_quote
    if needed > free:
        yield Breach.of(
            "budget.per_trade_quote",
            f"one buy needs {plain(needed)} with its fee reserve, and a new paper account has {plain(free)} to spend "
            f"(initial_quote {plain(paper.initial_quote)} − keep_free_quote {plain(budget.keep_free_quote)})",
            "venue.paper.initial_quote",
            "budget.keep_free_quote",
            "budget.fee_reserve_bps",
        )


def _smallest(profile: Profile) -> Iterator[Breach]:
    paper, per_trade = profile.venue.paper, profile.budget.per_trade_quote
    if profile.venue.kind != "paper":
        return
    least = {"": paper.min_notional}
    least.update({name: own.min_notional for name, own in paper.symbol.items() if own.min_notional is not None})
    for symbol, notional in least.items():
        if per_trade < notional:
            where = f" of {symbol}" if symbol else ""
            table = ("venue", "paper", "symbol", symbol) if symbol else ("venue", "paper")
            yield Breach.of(
                "budget.per_trade_quote",
                f"{plain(per_trade)} is below the smallest order value{where} ({plain(notional)}): "
                "the venue would refuse every buy",
                (*table, "min_notional"),
            )


def _fees(profile: Profile) -> Iterator[Breach]:
    exits, paper = profile.exits, profile.venue.paper
    both = 2 * paper.taker_fee_bps
    if exits.take_profit_bps is not None and exits.take_profit_bps <= both:
        below = exits.take_profit_bps < both
        relation, effect = ("is below", "would lose") if below else ("only equals", "would gain nothing")
        yield Breach.of(
            "exits.take_profit_bps",
            f"{plain(exits.take_profit_bps)} {relation} two taker fees ({plain(both)} bps): every win {effect}",
            FEE,
        )
    charged_bps = max(paper.taker_fee_bps, paper.maker_fee_bps)
    in_quote = profile.venue.kind == "paper" and paper.fee_in == "quote"
    if in_quote and profile.budget.fee_reserve_bps < charged_bps:
        yield Breach.of(
            "budget.fee_reserve_bps",
            f"{plain(profile.budget.fee_reserve_bps)} is below the fee of a buy "
            f"({plain(charged_bps)} bps, charged in quote): a buy could cost more "
            "than is set aside",
            FEE,
            "venue.paper.maker_fee_bps",
            "venue.paper.fee_in",
        )


def _exits(profile: Profile) -> Iterator[Breach]:
    exits = profile.exits
    ways = (exits.take_profit_bps, exits.stop_loss_bps, exits.trailing, exits.max_hold_s)
    if profile.features.exits and all(way is None for way in ways):
        yield Breach.of(
            "exits.take_profit_bps",
            "take profit, stop loss, trailing and time stop are all off: nothing would ever be sold; "
            "to keep positions on purpose set features.exits = false",
            "exits.stop_loss_bps",
            "exits.trailing",
            "exits.max_hold_s",
            "features.exits",
        )
    trailing = exits.trailing
    if trailing is None:
        return
    if trailing.distance_bps >= trailing.activate_bps:
        yield Breach.of(
            "exits.trailing.distance_bps",
            f"{plain(trailing.distance_bps)} is not below activate_bps ({plain(trailing.activate_bps)}): "
            "it could sell at a loss as soon as it is active",
            "exits.trailing.activate_bps",
        )
    if exits.take_profit_bps is not None and trailing.activate_bps >= exits.take_profit_bps:
        yield Breach.of(
            "exits.trailing.activate_bps",
            f"{plain(trailing.activate_bps)} is not below take_profit_bps ({plain(exits.take_profit_bps)}): "
            "the take profit sells first, the trailing stop never acts",
            "exits.take_profit_bps",
        )


def _stop(profile: Profile) -> Iterator[Breach]:
    stop, execution = profile.exits.stop_loss_bps, profile.execution
    if stop is not None and stop <= execution.max_spread_bps:
        yield Breach.of(
            "exits.stop_loss_bps",
            f"{plain(stop)} is not above execution.max_spread_bps ({plain(execution.max_spread_bps)}): "
            "a buy in the widest spread allowed would be stopped out at once, without any fall",
            "execution.max_spread_bps",
        )


TRADING: tuple[Callable[[Profile], Iterator[Breach]], ...] = (
    _symbols,
    _overrides,
    _decisions,
    _freshness,
    _spread,
    _amounts,
    _affordable,
    _smallest,
    _fees,
    _exits,
    _stop,
    *LADDER,
)
