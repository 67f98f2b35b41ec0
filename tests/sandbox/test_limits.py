"""Does the sandbox count what a client asks, refuse what is too much, and ban who does not stop?"""

from __future__ import annotations

import msgspec
import pytest

from tests.sandbox.rest_kit import SETTINGS, Client, running
from tradebot.sandbox.limits import DAY_S, Limits
from tradebot.sandbox.market_rules import RATE_LIMITS
from tradebot.sandbox.wire_errors import ApiError

T0 = 1_700_000_040_000 - 1_700_000_040_000 % 60_000
SMALL = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 3},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 1_000},
]


def refusal(limits: Limits, weight: int, now_ms: int) -> ApiError:
    """Return how a request is refused."""
    with pytest.raises(ApiError) as caught:
        limits.ask("here", weight, now_ms)
    return caught.value


def early_in_its_minute(client: Client) -> None:
    """Put the exchange's clock a second into a window of ten, so that none ends meanwhile."""
    now = client.sandbox.clock.now_ms()
    client.sandbox.clock.skew_ms += 61_000 - now % 60_000


def test_weight_is_counted_by_address_and_begins_anew_with_the_minute() -> None:
    limits = Limits(SMALL)
    limits.ask("here", 100, T0 + 20_000)
    limits.ask("there", 100, T0 + 20_000)
    over = refusal(limits, 1, T0 + 20_000)
    assert (over.status, over.code, over.retry_after_s) == (429, -1003, 40)
    assert "current limit is 100 request weight per 1 MINUTE" in over.message
    limits.ask("here", 1, T0 + 60_000)
    assert limits.headers("here", "", T0 + 60_000) == {"X-MBX-USED-WEIGHT": "1", "X-MBX-USED-WEIGHT-1M": "1"}


def test_who_goes_on_asking_is_banned_each_time_twice_as_long_up_to_three_days() -> None:
    limits, now, lengths = Limits(SMALL), T0, []
    for _ in range(14):
        limits.ask("here", 100, now)
        statuses = [refusal(limits, 1, now).status for _ in range(6)]
        assert statuses == [429] * 5 + [418]
        ban = refusal(limits, 1, now)
        assert (ban.code, ban.retry_after_s is not None) == (-1003, True)
        lengths.append(ban.retry_after_s or 0)
        assert refusal(limits, 1, now + lengths[-1] * 1000 - 1).status == 418
        now += lengths[-1] * 1000
        now += 60_000 - now % 60_000
    assert lengths[:4] == [120, 240, 480, 960]
    assert lengths[-1] == 3 * DAY_S


def test_a_shorter_day_makes_shorter_bans() -> None:
    limits = Limits(SMALL, day_s=864.0)
    limits.ask("here", 100, T0)
    last = [refusal(limits, 1, T0) for _ in range(6)][-1]
    assert (last.status, last.retry_after_s) == (418, 2)
    limits.ask("here", 1, T0 + 60_000)


def test_only_orders_that_are_not_filled_count() -> None:
    async def ask(client: Client) -> None:
        early_in_its_minute(client)
        for _ in range(3):
            filled = await client.order(price="101", timeInForce="IOC")
            assert filled.headers["X-MBX-ORDER-COUNT-10S"] == "0"
        expired = await client.order(price="90", timeInForce="IOC")
        assert (expired.body["status"], expired.headers["X-MBX-ORDER-COUNT-10S"]) == ("EXPIRED", "1")
        resting = await client.order(quantity="2", price="99.5")
        assert resting.headers["X-MBX-ORDER-COUNT-10S"] == "2"
        client.trade(99.0, 1.0, buyer_taker=False)
        counts = (await client.signed("GET", "rateLimit/order")).body
        assert [each["count"] for each in counts] == [1, 1]

    running(ask)


def test_too_many_unfilled_orders_are_refused_until_the_window_ends() -> None:
    async def ask(client: Client) -> None:
        early_in_its_minute(client)
        for counts in client.sandbox.calls.limits._by_account:
            counts.limit = msgspec.structs.replace(counts.limit, most=2)
        assert [(await client.order()).status for _ in range(2)] == [200, 200]
        over = await client.order()
        assert over.status == 429
        assert over.body["code"] == -1015
        assert over.body["msg"].startswith("Too many new orders; current limit is 2 orders per ")
        assert int(over.headers["Retry-After"]) >= 1
        assert (await client.signed("GET", "openOrders")).status == 200

    running(ask)


def test_over_http_a_refusal_says_when_to_come_again_and_a_ban_shuts_everything() -> None:
    async def ask(client: Client) -> None:
        limits = client.sandbox.calls.limits
        early_in_its_minute(client)
        limits.ask("127.0.0.1", 5_999, client.sandbox.clock.now_ms())
        statuses = [(await client.public("ping")).status for _ in range(8)]
        assert statuses == [200, *[429] * 5, 418, 418]
        last = await client.public("ping")
        assert last.status == 418
        assert int(last.headers["Retry-After"]) >= 1
        assert "IP banned until" in last.body["msg"]
        assert (await client.signed("GET", "account")).status == 418

    running(ask)


WEIGHTS: list[tuple[str, dict[str, object], int]] = [
    ("ping", {}, 1),
    ("exchangeInfo", {}, 20),
    ("depth", {"symbol": "AAAUSDT"}, 5),
    ("depth", {"symbol": "AAAUSDT", "limit": 1000}, 50),
    ("depth", {"symbol": "AAAUSDT", "limit": 5000}, 250),
    ("trades", {"symbol": "AAAUSDT"}, 25),
    ("klines", {"symbol": "AAAUSDT", "interval": "1m"}, 2),
    ("ticker/24hr", {"symbol": "AAAUSDT"}, 2),
    ("ticker/24hr", {}, 80),
    ("ticker/bookTicker", {}, 4),
]


def test_each_request_weighs_what_binance_says_and_orders_weigh_nothing() -> None:
    async def ask(client: Client) -> None:
        early_in_its_minute(client)
        used = 0

        async def weighs(weight: int, headers: dict[str, str]) -> None:
            nonlocal used
            used += weight
            assert headers["X-MBX-USED-WEIGHT-1M"] == str(used)

        for path, params, weight in WEIGHTS:
            await weighs(weight, (await client.public(path, **params)).headers)
        await weighs(0, (await client.order(newClientOrderId="a")).headers)
        await weighs(4, (await client.signed("GET", "order", symbol="AAAUSDT", origClientOrderId="a")).headers)
        await weighs(80, (await client.signed("GET", "openOrders")).headers)
        await weighs(6, (await client.signed("GET", "openOrders", symbol="AAAUSDT")).headers)
        await weighs(20, (await client.signed("GET", "account")).headers)
        await weighs(0, (await client.signed("DELETE", "order", symbol="AAAUSDT", origClientOrderId="a")).headers)

    running(ask)


def test_limits_are_read_from_exchange_info() -> None:
    async def ask(client: Client) -> None:
        told = (await client.public("exchangeInfo")).body["rateLimits"]
        assert [{"intervalNum": 1} | dict(each) for each in RATE_LIMITS] == told

    running(ask, SETTINGS)
