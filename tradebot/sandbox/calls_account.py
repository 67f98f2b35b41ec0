"""What does the exchange tell of an account, and of its dust? Asked by the calls about the account and its wallet.

Shapes: Binance spot API, "Account endpoints", and its wallet API (`sapi`).
"""

from __future__ import annotations

import zlib
from decimal import Decimal
from typing import Any, Final

from tradebot.domain.numbers import ZERO
from tradebot.domain.orders import Balance
from tradebot.sandbox import shapes
from tradebot.sandbox.calls import Asked, Call, always
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.limits import Limits
from tradebot.sandbox.signing import Keyring
from tradebot.sandbox.wire_errors import missing

_BPS: Final = Decimal(10_000)
_DUST_SHARE: Final = "0.02"


class AccountCalls:
    """The calls about an account."""

    def __init__(self, exchange: Exchange, keys: Keyring, limits: Limits) -> None:
        self._exchange = exchange
        self._keys = keys
        self._limits = limits

    def table(self) -> dict[str, Call]:
        """Return the calls by name."""
        return {
            "account.status": Call("signed", always(20), self._account),
            "account.commission": Call("signed", always(20), self._commission),
            "account.rateLimits.orders": Call("signed", always(40), self._order_limits),
            "openOrderLists.status": Call("signed", always(6), self._no_open_lists),
            "allOrderLists": Call("signed", always(20), self._no_lists),
            "myAllocations": Call("signed", always(20), self._no_allocations),
            "order.amendments": Call("signed", always(4), self._no_amendments),
            "sapi.asset.tradeFee": Call("signed", always(1), self._trade_fee),
            "sapi.asset.dust": Call("trade", always(10), self._dust),
            "sapi.asset.dust-btc": Call("signed", always(1), self._dust_worth),
            "sapi.capital.config.getall": Call("signed", always(10), self._coins),
            "sapi.account.apiRestrictions": Call("signed", always(1), self._restrictions),
            "sapi.margin.allPairs": Call("key", always(1), self._no_pairs),
            "sapi.margin.isolated.allPairs": Call("key", always(1), self._no_pairs),
        }

    def _account(self, asked: Asked) -> Any:
        all_assets = asked.params.choice("omitZeroBalances", ("true", "false")) != "true"
        asked.params.finish()
        account, exchange = asked.account, self._exchange
        return shapes.account(
            exchange.balances(account),
            exchange.rates(account),
            exchange.updated_ms(account),
            zlib.crc32(account.encode()),
            may_trade=self._keys.named(account).may_trade,
            all_assets=all_assets,
        )

    def _commission(self, asked: Asked) -> Any:
        symbol = asked.params.symbol()
        asked.params.finish()
        self._exchange.rules_of(symbol)
        return shapes.commission(symbol, self._exchange.rates(asked.account))

    def _order_limits(self, asked: Asked) -> Any:
        asked.params.finish()
        return self._limits.orders(asked.account, asked.now_ms)

    def _trade_fee(self, asked: Asked) -> Any:
        symbol = asked.params.symbol() if "symbol" in asked.params else None
        asked.params.finish()
        rates, exchange = self._exchange.rates(asked.account), self._exchange
        names = list(exchange.rules) if symbol is None else [exchange.rules_of(symbol).symbol]
        maker, taker = f"{rates.maker_bps / _BPS:f}", f"{rates.taker_bps / _BPS:f}"
        return [{"symbol": name, "makerCommission": maker, "takerCommission": taker} for name in names]

    def _dust(self, asked: Asked) -> Any:
        params = asked.params
        assets = params.text("asset").split(",")
        params.ignore(("accountType",))
        params.finish()
        rows = []
        done = self._exchange.convert_dust(asked.account, assets, asked.now_ms)
        for number, (asset, amount, fee, received) in enumerate(done):
            rows.append(
                {
                    "amount": shapes.text(amount),
                    "fromAsset": asset,
                    "operateTime": asked.now_ms,
                    "serviceChargeAmount": shapes.text(fee),
                    "tranId": asked.now_ms * 100 + number,
                    "transferedAmount": shapes.text(received),
                }
            )
        return {
            "totalServiceCharge": shapes.text(sum((fee for _, _, fee, _ in done), ZERO)),
            "totalTransfered": shapes.text(sum((received for _, _, _, received in done), ZERO)),
            "transferResult": rows,
        }

    def _dust_worth(self, asked: Asked) -> Any:
        asked.params.ignore(("accountType",))
        asked.params.finish()
        details, in_btc, in_bnb = [], ZERO, ZERO
        for asset, free, btc, bnb in self._exchange.dust_of(asked.account):
            fee = bnb * Decimal(_DUST_SHARE)
            in_btc, in_bnb = in_btc + btc, in_bnb + bnb
            details.append(
                {
                    "asset": asset,
                    "assetFullName": asset,
                    "amountFree": shapes.text(free),
                    "toBTC": shapes.text(btc),
                    "toBNB": shapes.text(bnb),
                    "toBNBOffExchange": shapes.text(bnb - fee),
                    "exchange": shapes.text(fee),
                }
            )
        return {
            "details": details,
            "totalTransferBtc": shapes.text(in_btc),
            "totalTransferBNB": shapes.text(in_bnb),
            "dribbletPercentage": _DUST_SHARE,
        }

    def _coins(self, asked: Asked) -> Any:
        asked.params.finish()
        held, nothing = self._exchange.balances(asked.account), Balance(ZERO)
        rules = self._exchange.rules.values()
        assets = sorted({asset for each in rules for asset in (each.base, each.quote)} | set(held))
        zero = shapes.text(ZERO)
        return [
            {
                "coin": asset,
                "name": asset,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "free": shapes.text(held.get(asset, nothing).free),
                "locked": shapes.text(held.get(asset, nothing).locked),
                "freeze": zero,
                "ipoable": zero,
                "ipoing": zero,
                "isLegalMoney": False,
                "networkList": [],
                "storage": zero,
                "trading": True,
                "withdrawing": zero,
            }
            for asset in assets
        ]

    def _restrictions(self, asked: Asked) -> Any:
        asked.params.finish()
        return {"createTime": 0} | self._keys.flags(asked.account)

    def _no_open_lists(self, asked: Asked) -> Any:
        asked.params.finish()
        return []

    def _no_lists(self, asked: Asked) -> Any:
        for name in ("fromId", "startTime", "endTime"):
            asked.params.integer(name)
        asked.params.limit(500, 1_000)
        asked.params.finish()
        return []

    def _no_allocations(self, asked: Asked) -> Any:
        self._exchange.rules_of(asked.params.symbol())
        for name in ("startTime", "endTime", "fromAllocationId", "orderId"):
            asked.params.integer(name)
        asked.params.limit(500, 1_000)
        asked.params.finish()
        return []

    def _no_amendments(self, asked: Asked) -> Any:
        symbol, order_id = asked.params.symbol(), asked.params.integer("orderId")
        if order_id is None:
            raise missing("orderId")
        asked.params.integer("fromExecutionId")
        asked.params.limit(500, 1_000)
        asked.params.finish()
        self._exchange.query(asked.account, symbol, order_id, None)
        return []

    def _no_pairs(self, asked: Asked) -> Any:
        asked.params.finish()
        return []
