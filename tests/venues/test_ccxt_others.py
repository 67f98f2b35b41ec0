"""Are orders of others on the account noted, never touched, and is a bot that uses our own name found out?"""

from __future__ import annotations

from decimal import Decimal

from tests.exchange.little_exchange import in_loop
from tests.runtime.telling import Told
from tests.sandbox.rest_kit import SYMBOL
from tests.venues.ccxt_kit import WallClock
from tests.venues.test_ccxt_sandbox import PAIR, buy, rehearsing
from tradebot.domain.commands import CancelOrder
from tradebot.domain.events import Event, RivalSeen
from tradebot.domain.orders import TimeInForce
from tradebot.exchange.parsing import SeenOrder, Status
from tradebot.venues.ccxt_others import FOREIGN_GAUGE, Others

SEEN = "FOREIGN_ORDER_SEEN"


class Account:
    """Others of the instance "a", and what they told."""

    def __init__(self, *ours: str) -> None:
        self.told = Told()
        self.events: list[Event] = []
        self.gauges: dict[str, float] = {}
        self.others = Others(
            "a-", set(ours).__contains__, lambda: [PAIR], WallClock(), self.events.append, self.told, self.gauge
        )

    def gauge(self, name: str, value: float) -> None:
        self.gauges[name] = value

    def lists(self, *orders: SeenOrder) -> None:
        """Let the exchange list these as open."""
        self.others.take_list(list(orders))

    def rivals(self) -> list[str]:
        """Return the client ids that were told as a rival's."""
        return [event.client_id for event in self.events if isinstance(event, RivalSeen)]


def seen(client_id: str, venue_id: str = "1", status: Status = "open", symbol: str = PAIR) -> SeenOrder:
    return SeenOrder(venue_id, client_id, symbol, status, Decimal(0), (), 0)


def test_each_foreign_order_is_told_once_and_counted_while_it_is_open() -> None:
    account = Account("r1")
    account.lists(seen("web_1", "1"), seen("a-b-k-1", "2"), seen("web_2", "3", symbol="DOGE/USDT"), seen("a-r1-1", "4"))
    account.others.seen(seen("web_1", "1"))
    account.others.seen(seen("ios_9", "5"))
    assert account.told.kinds() == [SEEN] * 3
    assert account.gauges == {FOREIGN_GAUGE: 3}
    account.others.seen(seen("web_1", "1", "canceled"))
    assert account.gauges == {FOREIGN_GAUGE: 2}
    account.lists(seen("ios_9", "5"))
    assert account.gauges == {FOREIGN_GAUGE: 1}
    assert account.told.kinds() == [SEEN] * 3
    assert account.events == [], "the engine hears nothing of what is left alone"


def test_a_strange_order_under_our_name_that_comes_while_we_run_is_a_rivals() -> None:
    account = Account("r1", "r0")
    account.lists(seen("a-old-7"), seen("a-r0-1"))
    account.others.seen(seen("a-old-7"))
    account.others.seen(seen("a-r0-2"))
    account.others.seen(seen("a-zzz-1", status="canceled"))
    assert account.rivals() == [], "what stood before us may be a lost journal's, and an end tells of no beginning"
    account.others.seen(seen("a-zzz-2"))
    account.lists(seen("a-old-7"), seen("a-yyy-1"))
    assert account.rivals() == ["a-zzz-2", "a-yyy-1"]


def test_before_the_first_list_no_order_is_held_for_a_rivals() -> None:
    account = Account("r1")
    account.others.seen(seen("a-old-7"))
    account.lists(seen("a-old-7"))
    account.others.seen(seen("a-old-7"))
    assert account.rivals() == []


@in_loop
async def test_a_foreign_order_on_the_same_key_is_told_and_outlives_everything_the_bot_does() -> None:
    async with rehearsing(reconcile_interval_s=1) as there:
        before = (await there.client.order(newClientOrderId="by-hand-1", price="80")).body["orderId"]
        await there.until(lambda: len(there.told.texts(SEEN)) == 1)
        there.venue_here.submit(buy(tif=TimeInForce.GTC, price=Decimal("90.00")), 0)
        await there.until(lambda: any(each.venue_id for each in there.venue_here.orders.live()))
        there.venue_here.submit(CancelOrder("a-1-1", PAIR), 0)
        assert await there.settled("a-1-1") == "OrderClosed"
        compared = there.venue_here.reconciliations
        await there.until(lambda: there.venue_here.reconciliations > compared)
        assert {getattr(event, "client_id", "a-1-1") for event in there.events} == {"a-1-1"}
        await there.venue_here.stop()
        (left,) = (await there.client.signed("GET", "openOrders", symbol=SYMBOL)).body
        assert left["orderId"] == before
        assert len(there.told.texts(SEEN)) == 1


@in_loop
async def test_a_second_bot_of_our_name_is_found_out_by_its_first_order() -> None:
    async with rehearsing() as there:
        others = there.venue_here.others
        others.is_ours = {"1"}.__contains__
        await there.until(lambda: others.listed)
        await there.client.order(newClientOrderId="a-k3xyz-1", price="80")
        (rival,) = await there.heard(RivalSeen)
        assert (rival.client_id, rival.run) == ("a-k3xyz-1", "k3xyz")
