"""Does a venue start with a harmless key only?"""

from __future__ import annotations

import pytest

from tests.exchange.binance_answers import api_restrictions
from tests.exchange.little_exchange import in_loop, says
from tests.venues.ccxt_kit import bench
from tradebot.domain.errors import CannotStart, ExitCode


@in_loop
async def test_a_key_that_can_withdraw_is_refused_before_anything_could_be_sent() -> None:
    async with bench() as one:
        one.server.on("GET", "/apiRestrictions", says(api_restrictions(enableWithdrawals=True)))
        with pytest.raises(CannotStart, match="binance: the key can withdraw") as caught:
            await one.venue().start()
        assert caught.value.exit_code is ExitCode.BAD_PROFILE
        assert one.sockets == []
        assert {asked.method for asked in one.server.asked} == {"GET"}


@in_loop
async def test_a_key_that_can_withdraw_is_let_in_where_the_profile_says_so_and_that_is_told() -> None:
    async with bench() as one:
        one.server.on("GET", "/apiRestrictions", says(api_restrictions(enableWithdrawals=True)))
        venue = one.venue(allow_withdrawals=True)
        await venue.start()
        await venue.stop()
        assert "VENUE_KEY_RISKY" in one.told.kinds()
