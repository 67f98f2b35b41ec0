"""What happens in a case? A profile that decides within milliseconds, and a market that makes it place, escalate,
cancel and sell; asked by the exchange and the bot of a case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tests.crash.exchange_side import BASES, Floor, Script
from tests.crash.stage import Slot

Away = Literal["nothing", "some", "all"]
"""How much of the resting orders is filled while the bot is down."""

DROPPED: Final = 97.0
BEFORE: Final = 100.0
GAINED: Final = 99.5
"""Above the take profit of whatever was bought at `DROPPED`."""
LOST: Final = 93.5
CRUMB: Final = Decimal("0.01")
"""Less than can be sold."""
SOON_S: Final = 1.2
"""Longest wait of a script for the bot's next deed; a fault may hold it back, and the script goes on."""

PROFILE: Final = """
[bot]
instance = "crash"
state_dir = "{folder}/state"
[sessions]
dir = "{folder}/sessions"
[logging]
level = "{level}"
[exchange]
base_url = "{url}"
recv_window_ms = 600
request_timeout_s = 0.3
not_found_after_s = 0.2
poll_interval_s = 0.1
reconcile_interval_s = 1
keep_alive_s = 0.4
[exchange.requests]
folder = "{folder}/requests"
[venue]
kind = "ccxt"
[feed]
kind = "ccxt"
[feed.ccxt]
trades = false
[market]
symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
stale_after_s = 60
[drop]
threshold_bps = 200
cooldown_s = 1
debounce_s = 1
rearm = false
anchor = {{ kind = "rolling_high", window_s = 60, window_buckets = 60, warmup_s = 0 }}
[budget]
refresh_interval_s = 0.3
refresh_timeout_s = 0.3
[execution]
max_spread_bps = 100
send_deadline_ms = 200
max_slippage_bps = 100
steps = [{buys}]
wait_ms = {{ IOC = 400, GTC = {gtc_ms}, other = 400 }}
cancel_wait_ms = 150
query_interval_ms = 60
query_max_interval_ms = 250
[exits]
take_profit_bps = 150
stop_loss_bps = 300
max_hold_s = "off"
check_interval_s = 0.1
steps = [{sells}]
[engine]
loop_sleep_s = 0.05
error_backoff_s = 0.05
[state]
persist_interval_s = 0.1
[journal]
batch_ms = 1
durability = "{durability}"
[features]
metrics = false
split_logging = false
watcher = false
control_door = false
probation = false
"""

_IOC, _FURTHER, _MARKET = '{ tif = "IOC" }', '{ tif = "IOC", offset_bps = 8 }', '{ type = "market" }'
_RESTING: Final = '{ tif = "GTC", offset_bps = -20 }'


class Scene(Struct, frozen=True):
    """One play: the ladders, how long a resting order waits, and the first act."""

    name: str
    buys: tuple[str, ...]
    sells: tuple[str, ...]
    gtc_ms: int
    act: Callable[[Floor], Awaitable[None]]

    def profile(self, folder: Path, url: str, *, level: str = "ERROR", durability: str = "process") -> str:
        """Return the profile's text of a bot in `folder`."""
        return PROFILE.format(
            folder=folder,
            durability=durability,
            url=url,
            level=level,
            buys=", ".join(self.buys),
            sells=", ".join(self.sells),
            gtc_ms=self.gtc_ms,
        )

    def script(self, away: Away, *, again: bool) -> Script:
        """Return how the market moves: the act, what happens while the bot is down, and an end that sells all."""

        async def play(floor: Floor) -> None:
            run = 0
            while True:
                await floor.until(lambda: floor.stage[Slot.RUN] > run, 600)  # noqa: B023 - waited for at once
                run = floor.stage[Slot.RUN]
                floor.stage[Slot.OVER] = 0
                acting = asyncio.create_task(self._act(floor, run, again=again))
                await floor.until(lambda: floor.stage[Slot.RUN] != run, 600)  # noqa: B023 - waited for at once
                acting.cancel()
                await asyncio.gather(acting, return_exceptions=True)
                _meanwhile(floor, away)
                floor.stage[Slot.AWAY] = run

        return play

    async def _act(self, floor: Floor, run: int, *, again: bool) -> None:
        if await floor.ready() != run:
            return
        if run == 1:
            await self.act(floor)
        elif again:
            await _once_more(floor)
        await _finish(floor)
        floor.stage[Slot.OVER] = 1


async def _ladder(floor: Floor) -> None:
    """Fill at once, in parts over every rung, and at rest; then sell by take profit and down the whole ladder."""
    _drop_thin(floor)
    rested = await floor.until(lambda: bool(floor.resting("ETH") and floor.resting("SOL")), SOON_S)
    if rested:
        floor.trade("ETH", 96.70, 0.1, buyer_taker=False)
        floor.trade("SOL", 96.00, 9.0, buyer_taker=False)
    floor.plain("BTC", GAINED)
    await floor.until(lambda: not floor.resting("ETH") and floor.total("BTC") < CRUMB, SOON_S)
    floor.book("ETH", ((LOST, 0.2), (LOST - 0.1, 0.2), (LOST - 1.0, 50.0)), ((LOST + 0.05, 50.0),))
    floor.plain("SOL", LOST)
    await floor.until(lambda: floor.total("ETH") < CRUMB and floor.total("SOL") < CRUMB, SOON_S)


def _drop_thin(floor: Floor) -> None:
    floor.plain("BTC", DROPPED)
    for base in ("ETH", "SOL"):
        floor.book(base, ((DROPPED - 0.02, 50.0),), ((DROPPED, 0.3), (DROPPED + 0.05, 0.3), (DROPPED + 0.9, 50.0)))


async def _at_market(floor: Floor) -> None:
    """Buy the rest at market, sell at market by stop loss and by take profit."""
    _drop_thin(floor)
    await floor.until(lambda: all(floor.total(base) > Decimal("0.9") for base in BASES), SOON_S)
    floor.plain("BTC", GAINED)
    for base in ("ETH", "SOL"):
        floor.plain(base, LOST)
    await floor.until(lambda: all(floor.total(base) < CRUMB for base in BASES), SOON_S)


async def _left_resting(floor: Floor) -> None:
    """Let orders rest, fill some of one, and let the bot be ended over them."""
    _drop_thin(floor)
    await floor.until(lambda: all(floor.resting(base) for base in BASES), SOON_S)
    floor.trade("ETH", 96.70, 0.4, buyer_taker=False)
    floor.stage[Slot.LEAVE] = 1
    await floor.until(lambda: not floor.resting("BTC"), SOON_S)
    floor.trade("SOL", 96.00, 0.5, buyer_taker=False)


async def _once_more(floor: Floor) -> None:
    """Show the drop again to a bot that has recovered."""
    for base in BASES:
        floor.plain(base, BEFORE)
    await asyncio.sleep(0.05)
    floor.plain("BTC", DROPPED)
    floor.plain("ETH", DROPPED)
    await floor.until(lambda: floor.total("BTC") > Decimal("0.9"), 0.4)


async def _finish(floor: Floor) -> None:
    for base in BASES:
        floor.plain(base, GAINED)
    await floor.until(lambda: all(floor.total(base) < CRUMB for base in BASES), 0.5)


def _meanwhile(floor: Floor, away: Away) -> None:
    for base in BASES:
        floor.exchange.set_status(f"{base}USDT", "TRADING")
        for order in floor.resting(base):
            left = float(order.amount - order.executed)
            size = {"nothing": 0.0, "some": left / 2, "all": left + 1}[away]
            if size:
                floor.trade(base, float(order.price) - 0.01, round(size, 3), buyer_taker=order.side == "SELL")


SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("ladder", (_IOC, _FURTHER, _RESTING), (_IOC, '{ tif = "IOC", offset_bps = 20 }', _MARKET), 250, _ladder),
        Scene("market", (_IOC, _MARKET), (_MARKET,), 250, _at_market),
        Scene("resting", (_RESTING,), (_IOC, _MARKET), 4_000, _left_resting),
    )
}
