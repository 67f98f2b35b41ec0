"""Which checks are there, and in which order? Asked by `tradebot doctor`."""

from __future__ import annotations

from typing import Final

from tradebot.runtime import doctor_exchange as at
from tradebot.runtime import doctor_home as here
from tradebot.runtime import doctor_market as market
from tradebot.runtime.doctor import Case, Check, looking


def checks_of(case: Case) -> tuple[Check, ...]:
    """Return the checks of a case; what waits for an exchange may take as long as its requests may."""
    answer_s = case.profile.exchange.request_timeout_s + 2
    return (
        Check("profile", "valid", looking(here.valid)),
        Check("profile", "files", looking(here.profile_files)),
        Check("machine", "software", looking(here.software)),
        Check("machine", "open files", looking(here.open_files)),
        Check("machine", "disk", looking(here.disk)),
        Check("home", "folder", looking(here.folder)),
        Check("home", "durability", looking(here.durability)),
        Check("home", "second bot", looking(here.second_instance)),
        Check("key", "key", at.keys, skips=at.no_orders),
        Check("key", "files", looking(here.secret_files), skips=at.no_orders),
        Check("exchange", "markets", at.markets, _MARKETS * answer_s, at.unused),
        Check("exchange", "clock", at.clock, _CLOCK * answer_s, at.unvisited),
        Check("exchange", "capabilities", at.capabilities, skips=at.unvisited),
        Check("exchange", "limits", at.limits, skips=at.unvisited),
        Check("account", "lease", looking(at.lease), skips=_no_key),
        Check("account", "permissions", at.permissions, answer_s, at.without_key),
        Check("account", "balance", at.balance, answer_s, at.without_key),
        Check("market", "prices", market.prices, case.listen_s + market.LISTEN_LIMIT_S, _no_feed),
        Check("market", "stake", market.stake, answer_s, _no_symbols),
    )


_MARKETS: Final = 3  # some exchanges tell their markets in several answers
_CLOCK: Final = 3  # so many samples


def _no_key(case: Case) -> str:
    return at.no_orders(case) or ("" if case.credentials is not None else "there is no key")


def _no_feed(case: Case) -> str:
    return at.unvisited(case) if case.profile.feed.kind == "ccxt" else ""


def _no_symbols(case: Case) -> str:
    return _no_feed(case) or ("" if case.instruments else "no symbol is watched")
