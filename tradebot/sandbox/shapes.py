"""How is what the exchange knows written for a client? Asked by every call; the shapes are those of Binance's REST.

Decimals are text of eight places, ids and times whole numbers (Binance spot API, "Trading endpoints", "Account
endpoints", "Market data endpoints").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from tradebot.domain.orders import Balance
from tradebot.sandbox.market import Candle, Levels, PublicTrade, SymbolMarket
from tradebot.sandbox.orders import Canceled, FeeRates, HeldOrder, OwnTrade, Placed

Shape = dict[str, Any]

_BPS = Decimal(10_000)


def text(value: Decimal | float) -> str:
    """Return a number as the wire has it."""
    return f"{value:.8f}"


def order(held: HeldOrder) -> Shape:
    """Return an order as queries tell it."""
    return {
        "symbol": held.symbol,
        "orderId": held.order_id,
        "orderListId": -1,
        "clientOrderId": held.client_id,
        "price": text(held.price),
        "origQty": text(held.amount),
        "executedQty": text(held.executed),
        "cummulativeQuoteQty": text(held.cost),
        "status": held.status,
        "timeInForce": held.tif,
        "type": held.type,
        "side": held.side,
        "stopPrice": text(0.0),
        "icebergQty": text(0.0),
        "time": held.created_ms,
        "updateTime": held.updated_ms,
        "isWorking": True,
        "workingTime": held.working_ms,
        "origQuoteOrderQty": text(held.quote_amount),
        "selfTradePreventionMode": held.prevention,
        **_fate(held),
    }


def _fate(held: HeldOrder) -> Shape:
    """Return what is told of an order only where it befell it."""
    told: Shape = {}
    if held.expiry:
        told["expiryReason"] = held.expiry
    if held.prevented_match:
        told |= {"preventedMatchId": held.prevented_match, "preventedQuantity": text(held.prevented)}
    return told


def placed(done: Placed, response: str) -> Shape:
    """Return the answer to a new order: ACK, RESULT or FULL."""
    held = done.order
    told: Shape = {
        "symbol": held.symbol,
        "orderId": held.order_id,
        "orderListId": -1,
        "clientOrderId": held.client_id,
        "transactTime": held.created_ms,
    }
    if response == "ACK":
        return told
    told |= {
        "price": text(held.price),
        "origQty": text(held.amount),
        "executedQty": text(held.executed),
        "origQuoteOrderQty": text(held.quote_amount),
        "cummulativeQuoteQty": text(held.cost),
        "status": held.status,
        "timeInForce": held.tif,
        "type": held.type,
        "side": held.side,
        "workingTime": held.working_ms,
        "selfTradePreventionMode": held.prevention,
        **_fate(held),
    }
    if response == "FULL":
        told["fills"] = [
            {
                "price": text(trade.price),
                "qty": text(trade.amount),
                "commission": text(trade.fee),
                "commissionAsset": trade.fee_asset,
                "tradeId": trade.trade_id,
            }
            for trade in done.trades
        ]
    return told


def canceled(done: Canceled) -> Shape:
    """Return the answer to a cancel."""
    held = done.order
    return {
        "symbol": held.symbol,
        "origClientOrderId": held.client_id,
        "orderId": held.order_id,
        "orderListId": -1,
        "clientOrderId": done.cancel_id,
        "transactTime": held.updated_ms,
        "price": text(held.price),
        "origQty": text(held.amount),
        "executedQty": text(held.executed),
        "origQuoteOrderQty": text(held.quote_amount),
        "cummulativeQuoteQty": text(held.cost),
        "status": held.status,
        "timeInForce": held.tif,
        "type": held.type,
        "side": held.side,
        "selfTradePreventionMode": held.prevention,
    }


def own_trade(trade: OwnTrade) -> Shape:
    """Return a trade of an own order."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": -1,
        "price": text(trade.price),
        "qty": text(trade.amount),
        "quoteQty": text(trade.cost),
        "commission": text(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def account(
    balances: Mapping[str, Balance], rates: FeeRates, updated_ms: int, uid: int, *, may_trade: bool, all_assets: bool
) -> Shape:
    """Return an account with what it holds; assets it has nothing of only where `all_assets`."""
    maker, taker = rates.maker_bps, rates.taker_bps
    return {
        "makerCommission": int(maker),
        "takerCommission": int(taker),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": text(maker / _BPS),
            "taker": text(taker / _BPS),
            "buyer": text(0.0),
            "seller": text(0.0),
        },
        "canTrade": may_trade,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": updated_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(each.free), "locked": text(each.locked)}
            for asset, each in sorted(balances.items())
            if all_assets or each.free or each.locked
        ],
        "permissions": ["SPOT"],
        "uid": uid,
    }


def commission(symbol: str, rates: FeeRates) -> Shape:
    """Return what trading a symbol costs an account."""
    none = {"maker": text(0.0), "taker": text(0.0), "buyer": text(0.0), "seller": text(0.0)}
    standard = none | {"maker": text(rates.maker_bps / _BPS), "taker": text(rates.taker_bps / _BPS)}
    return {
        "symbol": symbol,
        "standardCommission": standard,
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": bool(rates.asset),
            "enabledForSymbol": bool(rates.asset),
            "discountAsset": rates.asset or "BNB",
            "discount": text(1 - rates.discount),
        },
    }


def depth(market: SymbolMarket, most: int) -> Shape:
    """Return a snapshot of a book."""
    return {
        "lastUpdateId": market.update_id,
        "bids": levels(market.bids[:most]),
        "asks": levels(market.asks[:most]),
    }


def levels(side: Levels) -> list[list[str]]:
    """Return one side of a book."""
    return [[text(price), text(size)] for price, size in side]


def public_trade(trade: PublicTrade) -> Shape:
    """Return a trade that anybody made."""
    return {
        "id": trade.trade_id,
        "price": text(trade.price),
        "qty": text(trade.size),
        "quoteQty": text(trade.price * trade.size),
        "time": trade.at_ms,
        "isBuyerMaker": trade.buyer_maker,
        "isBestMatch": True,
    }


def aggregate(trade: PublicTrade) -> Shape:
    """Return a trade as an aggregate, which each is by itself."""
    return {
        "a": trade.trade_id,
        "p": text(trade.price),
        "q": text(trade.size),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.at_ms,
        "m": trade.buyer_maker,
        "M": True,
    }


def candles(found: Iterable[Candle], interval_ms: int) -> list[list[Any]]:
    """Return candles of an interval."""
    return [
        [
            each.open_ms,
            text(each.open),
            text(each.high),
            text(each.low),
            text(each.close),
            text(each.volume),
            each.open_ms + interval_ms - 1,
            text(each.quote_volume),
            each.count,
            text(each.buy_volume),
            text(each.buy_quote_volume),
            "0",
        ]
        for each in found
    ]


def book_ticker(market: SymbolMarket) -> Shape:
    """Return the best prices."""
    (bid, bid_size), (ask, ask_size) = (market.bids or ((0.0, 0.0),))[0], (market.asks or ((0.0, 0.0),))[0]
    return {
        "symbol": market.symbol,
        "bidPrice": text(bid),
        "bidQty": text(bid_size),
        "askPrice": text(ask),
        "askQty": text(ask_size),
    }


def day(market: SymbolMarket, now_ms: int, *, mini: bool) -> Shape:
    """Return the last 24 hours of a symbol."""
    whole = market.day(now_ms)
    told = _span(market, whole, now_ms - 86_400_000, now_ms, mini=mini)
    if mini:
        return told
    return (
        told
        | {
            "prevClosePrice": told["openPrice"],
            "lastQty": text(market.trades[-1].size if market.trades else 0.0),
        }
        | book_ticker(market)
    )


def window(market: SymbolMarket, from_ms: int, now_ms: int, *, mini: bool) -> Shape:
    """Return what a symbol did from the beginning of a minute on."""
    return _span(market, market.since(from_ms, now_ms), from_ms, now_ms, mini=mini)


def _span(market: SymbolMarket, found: Candle | None, from_ms: int, now_ms: int, *, mini: bool) -> Shape:
    """Return a candle's prices and volumes as a ticker; the last price stands where there was no trade."""
    last = market.last_price
    whole = found or Candle(now_ms, last, last, last, last)
    told: Shape = {
        "symbol": market.symbol,
        "openPrice": text(whole.open),
        "highPrice": text(whole.high),
        "lowPrice": text(whole.low),
        "lastPrice": text(whole.close),
        "volume": text(whole.volume),
        "quoteVolume": text(whole.quote_volume),
        "openTime": from_ms,
        "closeTime": now_ms,
        "firstId": whole.first_id,
        "lastId": whole.last_id,
        "count": whole.count,
    }
    if mini:
        return told
    change = whole.close - whole.open
    return told | {
        "priceChange": text(change),
        "priceChangePercent": f"{100 * change / whole.open if whole.open else 0:.3f}",
        "weightedAvgPrice": text(whole.quote_volume / whole.volume if whole.volume else whole.close),
    }
