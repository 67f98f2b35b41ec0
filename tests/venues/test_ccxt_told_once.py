"""Is what keeps a ccxt venue from comparing told once, however often it is tried again?"""

from __future__ import annotations

from tests.exchange.little_exchange import in_loop, says
from tests.venues.ccxt_kit import bench, order, running
from tradebot.domain.events import OrderRefused


@in_loop
async def test_a_ban_that_counts_down_is_told_once() -> None:
    async with bench() as there, running(there) as venue:
        there.server.on("POST", "/order", says({"code": -1003, "msg": "banned"}, 418, {"Retry-After": "120"}))
        venue.submit(order(), 0)
        await there.heard(OrderRefused)
        for passed_s in (1, 2, 3):
            there.clock.ahead_ms = passed_s * 1_000
            before = venue.budget.held_back
            venue.down("the ban")
            await there.until(lambda before=before: venue.budget.held_back > before)  # type: ignore[misc]
        (told,) = there.told.texts("VENUE_NOT_RECONCILED")
        assert "banned by the exchange" in told
