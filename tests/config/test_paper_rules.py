"""Do the paper account and the made-up market bind those alone who trade there?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tradebot.config.faults import ProfileInvalid
from tradebot.config.loader import load_profile

AT_AN_EXCHANGE = 'venue.kind = "ccxt"\nfeed.kind = "ccxt"\n'
ON_PAPER = 'venue.kind = "paper"\n'

BINDING = {
    "what a new account has": """
        budget.per_trade_quote = 15000
        budget.max_per_symbol_quote = 20000
        budget.max_exposure_quote = 60000""",
    "the smallest order": "budget.per_trade_quote = 3",
    "a fee charged in quote": 'venue.paper.fee_in = "quote"\nbudget.fee_reserve_bps = 1',
    "the latency": "venue.paper.entry_latency_ms = 30000",
    "the spread of the made-up market": "feed.synthetic.spread_bps = 500\nexecution.max_spread_bps = 20",
}


@pytest.mark.parametrize("text", BINDING.values(), ids=BINDING)
def test_what_binds_the_paper_account_does_not_bind_one_at_an_exchange(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paper.toml").write_text(ON_PAPER + text, encoding="utf-8")
    with pytest.raises(ProfileInvalid):
        load_profile("paper.toml", {})
    Path("real.toml").write_text(AT_AN_EXCHANGE + text, encoding="utf-8")
    assert load_profile("real.toml", {}).profile.venue.kind == "ccxt"


def test_a_take_profit_below_the_declared_fees_is_refused_at_an_exchange_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real.toml").write_text(AT_AN_EXCHANGE + "exits.take_profit_bps = 15\n", encoding="utf-8")
    with pytest.raises(ProfileInvalid, match="every win would lose"):
        load_profile("real.toml", {})
    with open("real.toml", "a", encoding="utf-8") as file:
        file.write("venue.paper.taker_fee_bps = 5\n")
    assert load_profile("real.toml", {}).profile.exits.take_profit_bps == Decimal(15)
