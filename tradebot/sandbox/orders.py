"""What is an order at the sandbox exchange, and what does its account hear of it? Asked by everything in it.

Words are Binance's: sides BUY and SELL, its types, times in force and statuses. Amounts are in base, prices in quote
per base, times in ms UTC of the server's clock. `symbol` is the wire's (BTCUSDT).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from tradebot.domain.numbers import ZERO

WireSide = Literal["BUY", "SELL"]
WireType = Literal["LIMIT", "LIMIT_MAKER", "MARKET"]
WireTif = Literal["GTC", "IOC", "FOK"]
Status = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"]
Prevention = Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"]
Execution = Literal["NEW", "TRADE", "CANCELED", "EXPIRED", "TRADE_PREVENTION"]

OPEN: Final = frozenset({"NEW", "PARTIALLY_FILLED"})
PREVENTIONS: Final[tuple[Prevention, ...]] = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")


class OrderRequest(Struct, frozen=True):
    """A wish for an order, as it was understood; MARKET carries either `amount` or `quote_amount`."""

    symbol: str
    side: WireSide
    type: WireType
    client_id: str
    tif: WireTif = "GTC"
    amount: Decimal = ZERO
    price: Decimal = ZERO
    quote_amount: Decimal = ZERO
    prevention: Prevention = "NONE"


class HeldOrder(Struct):
    """One order as the exchange holds it and tells it; `locked` and `ahead` are the matching core's."""

    order_id: int
    account: str
    symbol: str
    client_id: str
    side: WireSide
    type: WireType
    tif: WireTif
    created_ms: int
    updated_ms: int
    working_ms: int
    amount: Decimal = ZERO
    price: Decimal = ZERO
    quote_amount: Decimal = ZERO
    prevention: Prevention = "NONE"
    status: Status = "NEW"
    executed: Decimal = ZERO
    cost: Decimal = ZERO  # quote paid or received, before fees
    expiry: str = ""
    prevented: Decimal = ZERO  # base that self-trade prevention took away
    prevented_match: int = 0
    locked: Decimal = ZERO
    ahead: Decimal = ZERO


class OwnTrade(Struct, frozen=True):
    """One trade of an own order; `trade_id` is unique on the exchange, `cost` is in quote."""

    trade_id: int
    account: str
    order_id: int
    symbol: str
    side: WireSide
    price: Decimal
    amount: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    at_ms: int


class ExecutionReport(Struct, frozen=True):
    """What happened to an order, as it stood then: everything Binance's `executionReport` tells (its letter beside).

    `client_id` of a CANCELED report is the cancel's own id and `orig_client_id` the order's; else the latter is empty.
    `trade_id` is -1 and `fee_asset` None without a trade.
    """

    symbol: str  # s
    client_id: str  # c
    orig_client_id: str  # C
    side: WireSide  # S
    type: WireType  # o
    tif: WireTif  # f
    amount: Decimal  # q
    price: Decimal  # p
    quote_amount: Decimal  # Q
    execution: Execution  # x
    status: Status  # X
    order_id: int  # i
    execution_id: int  # I
    executed: Decimal  # z
    cost: Decimal  # Z
    at_ms: int  # E and T
    created_ms: int  # O
    working_ms: int  # W
    prevention: Prevention  # V
    on_book: bool  # w
    last_amount: Decimal = ZERO  # l
    last_price: Decimal = ZERO  # L
    last_cost: Decimal = ZERO  # Y
    fee: Decimal = ZERO  # n
    fee_asset: str | None = None  # N
    trade_id: int = -1  # t
    maker: bool = False  # m
    expiry: str = ""  # eR
    prevented: Decimal = ZERO  # A, and B where this report is of the prevention
    prevented_match: int = 0  # v, 0 without


class PositionChanged(Struct, frozen=True):
    """What an account holds now of the assets that changed: (asset, free, locked) each."""

    balances: tuple[tuple[str, Decimal, Decimal], ...]
    at_ms: int


class BalanceChanged(Struct, frozen=True):
    """What came into an account or left it other than by trading."""

    asset: str
    delta: Decimal
    at_ms: int


AccountEvent = ExecutionReport | PositionChanged | BalanceChanged
"""What an account's stream tells, in order."""


class Placed(Struct, frozen=True):
    """An order as it stands after it was placed, with the trades that made it so."""

    order: HeldOrder
    trades: tuple[OwnTrade, ...]


class Canceled(Struct, frozen=True):
    """An order as it stands after it was canceled, and the id of the cancel."""

    order: HeldOrder
    cancel_id: str


class Credentials(Struct, frozen=True):
    """An API key and what it may do; the secret is never stored with the account, nor shown by `repr`."""

    key: str
    secret: str
    may_trade: bool = True

    def __repr__(self) -> str:
        """Return the credentials without the secret."""
        return f"Credentials(key={self.key!r})"


class FeeRates(Struct, frozen=True):
    """An account's fee rates in basis points; `asset` names the third asset it pays in, such as BNB, "" for none."""

    maker_bps: Decimal
    taker_bps: Decimal
    asset: str = ""
    discount: Decimal = Decimal("0.25")
