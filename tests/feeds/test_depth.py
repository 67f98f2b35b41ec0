"""Is a rebuilt book what the diffs have told, and nothing else?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradebot.feeds.depth import DepthBook

puts = st.lists(
    st.tuples(st.booleans(), st.integers(1, 30).map(lambda tick: tick / 10), st.integers(0, 3).map(float)), max_size=60
)


@given(puts, st.integers(1, 5))
def test_the_best_levels_are_those_of_a_book_kept_naively(told: list[tuple[bool, float, float]], levels: int) -> None:
    book = DepthBook()
    naive: dict[bool, dict[float, float]] = {False: {}, True: {}}
    for is_ask, price, size in told:
        book.put(is_ask, price, size)
        naive[is_ask][price] = size
    bids, asks = (sorted((price, size) for price, size in naive[side].items() if size) for side in (False, True))
    top = book.top(levels)
    if not bids or not asks or bids[-1][0] >= asks[0][0]:
        assert top is None
    else:
        assert top == (tuple(bids[::-1][:levels]), tuple(asks[:levels]))


def filled() -> DepthBook:
    book = DepthBook()
    assert book.follows(1, 4)
    book.put(is_ask=False, price=1.0, size=5.0)
    book.put(is_ask=True, price=1.1, size=6.0)
    return book


def test_a_diff_that_follows_keeps_the_levels() -> None:
    book = filled()
    assert book.follows(5, 5)
    assert book.top(3) == (((1.0, 5.0),), ((1.1, 6.0),))


def test_a_hole_between_diffs_forgets_every_level() -> None:
    book = filled()
    assert not book.follows(6, 7)
    assert book.top(3) is None
    assert book.follows(8, 9)
