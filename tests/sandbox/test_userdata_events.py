"""Does an account's event have the letters that Binance's clients read?"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tradebot.sandbox.orders import BalanceChanged, ExecutionReport, PositionChanged
from tradebot.sandbox.userdata_events import message_of, occasion_of


def report(**changes: object) -> ExecutionReport:
    """Return a trade of an order, or what it is changed to."""
    told: dict[str, object] = {
        "symbol": "BTCUSDT",
        "client_id": "bot-1",
        "orig_client_id": "",
        "side": "BUY",
        "type": "LIMIT",
        "tif": "GTC",
        "amount": Decimal("0.5"),
        "price": Decimal(100),
        "quote_amount": Decimal(0),
        "execution": "TRADE",
        "status": "PARTIALLY_FILLED",
        "order_id": 7,
        "execution_id": 9,
        "executed": Decimal("0.2"),
        "cost": Decimal(20),
        "at_ms": 2_000,
        "created_ms": 1_000,
        "working_ms": 1_000,
        "prevention": "NONE",
        "on_book": True,
        "last_amount": Decimal("0.2"),
        "last_price": Decimal(100),
        "last_cost": Decimal(20),
        "fee": Decimal("0.0002"),
        "fee_asset": "BTC",
        "trade_id": 5,
    }
    return ExecutionReport(**{**told, **changes})  # type: ignore[arg-type]


def test_an_execution_report_has_the_fields_of_a_recorded_one(shared_data: Path) -> None:
    folder = shared_data / "api/binance_spot_user_data"
    recorded = json.loads((folder / "execution_report_wrapped.json").read_text(encoding="utf-8"))["event"]
    told = message_of(report(execution="NEW", status="NEW", trade_id=-1, fee_asset=None, fee=Decimal(0)))
    assert set(recorded) <= set(told)
    for letter, value in recorded.items():
        assert type(told[letter]) is type(value), letter
    assert (told["n"], told["N"], told["t"]) == ("0", None, -1)


def test_amounts_are_texts_of_eight_places() -> None:
    told = message_of(report())
    assert (told["q"], told["l"], told["z"], told["Z"], told["n"]) == (
        *("0.50000000", "0.20000000", "0.20000000"),
        *("20.00000000", "0.00020000"),
    )


def test_an_end_says_why() -> None:
    expired = message_of(report(execution="EXPIRED", status="EXPIRED", expiry="UNFILLED_IOC_QUANTITY_EXPIRED"))
    assert expired["eR"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert "eR" not in message_of(report())
    prevented = message_of(
        report(execution="TRADE_PREVENTION", status="EXPIRED_IN_MATCH", prevented=Decimal(1), prevented_match=3)
    )
    assert (prevented["v"], prevented["A"], prevented["B"]) == (3, "1.00000000", "1.00000000")


def test_a_canceled_order_is_known_by_its_own_id() -> None:
    canceled = report(execution="CANCELED", status="CANCELED", client_id="cancel-1", orig_client_id="bot-1")
    told = message_of(canceled)
    assert (told["c"], told["C"]) == ("cancel-1", "bot-1")
    assert occasion_of(canceled).client_id == "bot-1"
    assert occasion_of(canceled).execution == "CANCELED"


def test_positions_and_balances_are_told() -> None:
    held = message_of(PositionChanged((("BTC", Decimal(1), Decimal(2)),), 5))
    assert held == {
        "e": "outboundAccountPosition",
        "E": 5,
        "u": 5,
        "B": [{"a": "BTC", "f": "1.00000000", "l": "2.00000000"}],
    }
    moved = message_of(BalanceChanged("BNB", Decimal("-0.5"), 6))
    assert moved == {"e": "balanceUpdate", "E": 6, "a": "BNB", "d": "-0.50000000", "T": 6}
