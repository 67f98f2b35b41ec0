"""Does a book kept from a snapshot and the diffs equal the exchange's, whatever happened between?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradebot.domain.events import BookSeen
from tradebot.sandbox.market import BookChanged, Market
from tradebot.sandbox.streams_depth import DepthDiffs

SIDES = st.dictionaries(st.integers(1, 12), st.integers(1, 5), max_size=6)


@given(st.lists(st.tuples(SIDES, SIDES, st.booleans()), max_size=30), st.integers(0, 30))
def test_diffs_are_continuous_and_lead_from_any_snapshot_to_the_book(
    books: list[tuple[dict[int, int], dict[int, int], bool]], snapshot_at: int
) -> None:
    market = Market({"BTC/USDT": "BTCUSDT"}, 1_000)
    symbol = market.symbols["BTCUSDT"]
    diffs = DepthDiffs(symbol)
    last_told = symbol.update_id
    snapshot_id, kept_bids, kept_asks = symbol.update_id, dict(symbol.bids), dict(symbol.asks)
    synced = False
    for number, (bids, asks, told) in enumerate(books):
        changed = market.observe(
            BookSeen(
                "BTC/USDT",
                tuple((float(price), float(size)) for price, size in sorted(bids.items(), reverse=True)),
                tuple((float(price + 12), float(size)) for price, size in sorted(asks.items())),
                number,
            )
        )
        if isinstance(changed, BookChanged):
            diffs.see(changed)
        if number == snapshot_at:
            snapshot_id, kept_bids, kept_asks = symbol.update_id, dict(symbol.bids), dict(symbol.asks)
        if not told:
            continue
        diff = diffs.next()
        if diff is None:
            assert symbol.update_id == last_told
            continue
        assert diff.first_id == last_told + 1 <= diff.last_id == symbol.update_id
        last_told = diff.last_id
        if diff.last_id <= snapshot_id:
            continue
        assert diff.first_id <= snapshot_id + 1 or synced
        synced = True
        for kept, changes in ((kept_bids, diff.bids), (kept_asks, diff.asks)):
            for price, size in changes:
                kept[price] = size
                if not size:
                    del kept[price]
        assert (kept_bids, kept_asks) == (dict(symbol.bids), dict(symbol.asks))
