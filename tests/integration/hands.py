"""What do hands do on the bot's account? Asked by the tests that trade beside a bot: a key's own requests, in words."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

import msgspec

from tests.integration.comparing_pictures import Account
from tests.integration.processes import PATIENCE_S
from tests.integration.rehearsing import KEYS
from tests.integration.rehearsing_processes import Exchange
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ceil_to
from tradebot.sandbox.market_rules import SymbolRules
from tradebot.sandbox.signing import signed_query

AMPLE = Decimal("1.2")
"""How much more than the least value an order of hands is worth, since prices move until it is judged."""


def by_hand(exchange: Exchange, method: str, path: str, **params: object) -> Any:
    """Do something on the bot's account with its key, as a person would; fail with the exchange's words if refused."""
    params["timestamp"] = time.time_ns() // 1_000_000
    query = signed_query(KEYS["TRADEBOT_API_SECRET"], params)
    body = query.encode() if method == "POST" else None
    url = f"{exchange.url}/api/v3/{path}" if body else f"{exchange.url}/api/v3/{path}?{query}"
    headers = {"X-MBX-APIKEY": KEYS["TRADEBOT_API_KEY"], "Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        words = refused.read().decode(errors="replace")
        raise AssertionError(f"{method} {path} {params}: {refused.code} {words}") from refused


def held_there(exchange: Exchange) -> dict[str, Decimal]:
    """Return what the exchange holds for the account, by asset."""
    rows = by_hand(exchange, "GET", "account")["balances"]
    return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in rows}


def filters(exchange: Exchange, listed: str) -> Instrument:
    """Return the grids and least values of a symbol (BTCUSDT), as the exchange tells them."""
    told = Account(exchange.url).public("exchangeInfo")["symbols"]
    (rules,) = [SymbolRules(each) for each in told if each["symbol"] == listed]
    return msgspec.structs.replace(rules.instrument, min_notional=rules.least_notional)


def admissible(rules: Instrument, price: Decimal, wanted: Decimal = Decimal(0)) -> Decimal:
    """Return `wanted` on the lot grid, or the least amount that an order at `price` may have where that is more."""
    least = max(rules.min_amount, ceil_to(rules.min_notional * AMPLE / price, rules.amount_step))
    return max(rules.amount_down(wanted), least)


def bid_below(exchange: Exchange, listed: str, bid: float, wanted: Decimal = Decimal(0), **more: object) -> int:
    """Place a limit buy a tenth below `bid`, which rests there; return its order id."""
    rules = filters(exchange, listed)
    price = rules.price_down(Decimal(str(bid)) * Decimal("0.9"))
    amount = admissible(rules, price, wanted)
    answer = by_hand(
        exchange, "POST", "order", symbol=listed, side="BUY", type="LIMIT", timeInForce="GTC",
        quantity=f"{amount:f}", price=f"{price:f}", **more,
    )  # fmt: skip
    assert answer["status"] == "NEW", answer
    return int(answer["orderId"])
