"""Do prices and own orders go on without a gap while sockets are replaced, day after day?

The exchange's day is seconds long here: it ends every socket at that age, whoever is still on it.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.exchange.sandbox_kit import Listening, listening, sandbox_process
from tests.venues.ccxt_kit import order
from tradebot.config.profile import Profile
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.events import OrderAcknowledged, OrderClosed
from tradebot.domain.numbers import exact
from tradebot.exchange.construction import disconnect
from tradebot.feeds.ccxt_sockets import RENEWAL_SPREAD, renewal_age_s

DAY_S = 3.0
RENEWED_S = 2.0
LOOK_S = 0.05


def test_sockets_made_together_are_replaced_apart_and_all_before_the_exchange_ends_them() -> None:
    renew_after_s = float(Profile().exchange.renew_after_s)
    ages = sorted(renewal_age_s(renew_after_s, number) for number in range(50))
    assert ages[-1] == renew_after_s < 24 * 3600
    assert ages[0] > renew_after_s * (1 - RENEWAL_SPREAD)
    apart_s = [later - earlier for earlier, later in pairwise(ages)]
    assert min(apart_s) > renew_after_s * RENEWAL_SPREAD / 50 / 3


async def cancelled_by_another(there: Listening, foreign: Any, number: int) -> None:
    """Let an order be cancelled by somebody else, and hear of it: only the user stream tells that at once."""
    client_id, listed = f"a-1-{number}", there.feed.instruments()[0]
    await there.until(lambda: any(one.symbol == listed.symbol for one in there.quotes()))
    bid = next(one.bid for one in reversed(there.quotes()) if one.symbol == listed.symbol)
    price = listed.price_down(exact(bid) * Decimal("0.9"))
    amount = listed.amount_down(Decimal(20) / price)
    there.spot.submit(order(client_id, symbol=listed.symbol, price=price, amount=amount), 0)
    await there.until(lambda: any(one.client_id == client_id for one in there.of(OrderAcknowledged)))
    await foreign.cancel_order(None, listed.symbol, {"origClientOrderId": client_id})
    async with asyncio.timeout(10):
        await there.until(lambda: any(one.client_id == client_id for one in there.of(OrderClosed)))


async def lateness(late_s: list[float]) -> None:
    """Note how late this process comes to what is due, since a busy machine lets it wait."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + LOOK_S
        await asyncio.sleep(LOOK_S)
        late_s.append(loop.time() - due_s)


def test_over_several_days_quotes_have_no_gap_of_a_second_and_no_event_of_an_order_is_lost(tmp_path: Path) -> None:
    async def run(address: str) -> None:
        settings = {"base_url": address, "renew_after_s": RENEWED_S}
        async with listening(settings, CcxtFeed(depth_levels=5)) as there:
            foreign = there.connected(keys=True)
            late_s = [0.0]
            looking = asyncio.create_task(lateness(late_s))
            try:
                await foreign.load_markets()
                orders = 0
                while there.feed.counts.renewals < 9:
                    orders += 1
                    await cancelled_by_another(there, foreign, orders)
                    heard = len(there.quoted_s)
                    await there.until(lambda heard=heard: len(there.quoted_s) > heard + 5)  # type: ignore[misc]
            finally:
                looking.cancel()
                await disconnect(foreign)
            gaps_s = [later - earlier for earlier, later in pairwise(there.quoted_s)]
            assert max(gaps_s) < 1 + 2 * max(late_s), "this process and the exchange's may each have had to wait"
            compared = [one for one in there.of(OrderClosed) if one.reason == "found by reconciliation"]
            assert len(compared) <= max(1, orders // 10), "a new socket is followed by a comparison, which may be first"
            assert not {"FEED_SUBSCRIPTION_FAILED", "FEED_DISCONNECTED", "FEED_SILENT"} & set(there.prices.kinds())
            assert "VENUE_STREAM_LOST" not in there.told.kinds()
            assert there.told.kinds().count("VENUE_STREAM_OPENED") >= 3

    with sandbox_process(tmp_path, "--scale-day", str(DAY_S)) as (_, address):
        asyncio.run(asyncio.wait_for(run(address), 60))
