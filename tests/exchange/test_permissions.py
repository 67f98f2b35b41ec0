"""Is what a key may do read as each exchange tells it, and is a dangerous key never held to be harmless?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.exchange.binance_answers import api_restrictions
from tests.exchange.little_exchange import LittleExchange, little_exchange, says
from tests.exchange.walls import Wall
from tests.runtime.telling import Told
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect, public_taps
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.outcomes import Failure, Refused, Unknown
from tradebot.exchange.permissions import KeyPermissions, Untold, check_key, permissions_of, refusal

KEYS = Credentials("key-of-this-test", "c2VjcmV0LW9mLXRoaXMtdGVzdA==", "word-of-this-test")

BYBIT: dict[str, Any] = {"readOnly": 0, "permissions": {"Spot": ["SpotTrade"], "Wallet": []}, "ips": ["203.0.113.7"]}
OKX: dict[str, Any] = {"perm": "read_only,trade", "ip": "203.0.113.7"}


def bybit(**may: Any) -> Any:
    return {"retCode": 0, "retMsg": "", "result": {**BYBIT, **may}}


def okx(**may: Any) -> Any:
    return {"code": "0", "msg": "", "data": [{**OKX, **may}]}


def keys_for(name: str) -> Credentials:
    """Return keys of the form an exchange wants; Coinbase's secret is a private key."""
    if name != "coinbase":
        return KEYS
    form = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return Credentials(KEYS.api_key, generate_private_key(SECP256R1()).private_bytes(*form).decode())


async def _asked(name: str, answer: Any, status: int = 200) -> tuple[Any, LittleExchange, Any]:
    async with little_exchange() as server:
        server.on("*", "", says(answer, status))
        settings = server.settings(name)
        keys = keys_for(name)
        exchange = connect(settings, public_taps(settings, Budget(Wall())), credentials=keys)
        told = Told()
        try:
            found = await permissions_of(exchange, keys)
            started: Any = ""
            try:
                await check_key(exchange, keys, allow_withdrawals=False, log=told)
            except CannotStart as error:
                started = error
        finally:
            await disconnect(exchange)
        return found, server, (started, told)


def asked(name: str, answer: Any, status: int = 200) -> KeyPermissions | Untold | Failure:
    """Return what a key may do where its exchange answers so; the request only reads."""
    found, server, _ = asyncio.run(_asked(name, answer, status))
    assert {each.method for each in server.asked} <= {"GET"}
    assert isinstance(found, KeyPermissions | Untold | Refused | Unknown)
    return found


@pytest.mark.parametrize(
    ("flag", "says_so"),
    [
        ("enableWithdrawals", "withdraw"),
        ("enableInternalTransfer", "transfer to sub-accounts"),
        ("permitsUniversalTransfer", "transfer between wallets"),
    ],
)
def test_a_key_of_binance_that_moves_money_is_refused_unless_that_is_allowed(flag: str, says_so: str) -> None:
    found = asked("binance", api_restrictions(**{flag: True}))
    assert isinstance(found, KeyPermissions)
    assert found.moves_money == (says_so,)
    assert refusal(found, allow_withdrawals=False).startswith(f"the key can {says_so}: ")
    assert refusal(found, allow_withdrawals=True) == ""


def test_a_key_of_binance_that_only_trades_is_let_in_and_every_flag_is_read() -> None:
    found = asked("binance", api_restrictions(enableMargin=True, enableFutures=True, ipRestrict=False))
    assert found == KeyPermissions(
        reading=True,
        spot_trading=True,
        withdrawals=False,
        internal_transfer=False,
        universal_transfer=False,
        margin=True,
        futures=True,
        ip_restricted=False,
    )
    assert isinstance(found, KeyPermissions)
    assert found.beyond_spot == ("margin", "futures")
    assert refusal(found, allow_withdrawals=False) == ""


@pytest.mark.parametrize("flag", ["enableReading", "enableSpotAndMarginTrading"])
def test_a_key_that_cannot_do_its_work_is_refused_whatever_is_allowed(flag: str) -> None:
    found = asked("binance", api_restrictions(**{flag: False}))
    assert isinstance(found, KeyPermissions)
    assert "allow it to" in refusal(found, allow_withdrawals=True)


@pytest.mark.parametrize(
    ("name", "answer", "money", "bound"),
    [
        ("bybit", bybit(), (), True),
        ("bybit", bybit(ips=["*"]), (), False),
        ("bybit", bybit(ips=[]), (), False),
        (
            "bybit",
            bybit(permissions={"Spot": ["SpotTrade"], "Wallet": ["Withdraw", "AccountTransfer", "SubMemberTransfer"]}),
            ("withdraw", "transfer to sub-accounts", "transfer between wallets"),
            True,
        ),
        ("okx", okx(), (), True),
        ("okx", okx(ip=""), (), False),
        ("okx", okx(perm="read_only, withdraw,trade"), ("withdraw",), True),
        ("coinbase", {"can_view": True, "can_trade": True, "can_transfer": False}, (), None),
        ("coinbase", {"can_view": True, "can_trade": True, "can_transfer": True}, ("withdraw",), None),
    ],
)
def test_other_exchanges_are_read_in_their_own_words(
    name: str, answer: Any, money: tuple[str, ...], bound: bool | None
) -> None:
    found = asked(name, answer)
    assert isinstance(found, KeyPermissions)
    assert (found.reading, found.spot_trading) == (True, True)
    assert found.moves_money == money
    assert found.ip_restricted is bound


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("bybit", bybit(readOnly=1)),
        ("bybit", bybit(permissions={"Wallet": []})),
        ("okx", okx(perm="read_only")),
        ("coinbase", {"can_view": True, "can_trade": False, "can_transfer": False}),
    ],
)
def test_a_key_that_may_not_trade_elsewhere_is_refused(name: str, answer: Any) -> None:
    found = asked(name, answer)
    assert isinstance(found, KeyPermissions)
    assert "may not trade spot" in refusal(found, allow_withdrawals=True)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("kraken", {}),
        ("kucoin", {}),
        ("binance", {}),
        ("binance", []),
        ("binance", {**api_restrictions(), "enableWithdrawals": "no"}),
        ("bybit", bybit(permissions={"Spot": ["SpotTrade"], "Wallet": "Withdraw"})),
        ("okx", okx(perm="")),
        ("okx", {"code": "0", "msg": "", "data": []}),
    ],
)
def test_what_is_not_told_in_full_is_not_known_and_said_what_to_do(name: str, answer: Any) -> None:
    found = asked(name, answer)
    assert found == Untold(name)
    assert isinstance(found, Untold)
    assert "no withdrawals" in found.todo


def test_a_refused_or_lost_question_is_a_failure_without_a_key_in_it() -> None:
    refused = asked("binance", {"code": -2015, "msg": "Invalid API-key key-of-this-test"}, 401)
    assert isinstance(refused, Refused)
    assert refused.code == "-2015"
    assert "key-of-this-test" not in refused.message
    assert isinstance(asked("binance", {"code": -1000, "msg": "down"}, 500), Unknown)


def test_a_start_is_refused_with_the_code_of_a_bad_profile_and_without_the_key() -> None:
    _, _, (error, _) = asyncio.run(_asked("binance", api_restrictions(enableWithdrawals=True)))
    assert isinstance(error, CannotStart)
    assert error.exit_code is ExitCode.BAD_PROFILE
    assert "exchange.allow_withdrawals" in str(error)
    assert KEYS.api_key not in str(error)


@pytest.mark.parametrize(
    ("name", "answer", "status", "event"),
    [
        ("binance", api_restrictions(ipRestrict=False), 200, "VENUE_KEY_RISKY"),
        ("binance", {"code": -1000, "msg": "down"}, 503, "VENUE_KEY_UNCHECKED"),
        ("kraken", {}, 200, "VENUE_KEY_UNCHECKED"),
    ],
)
def test_a_start_goes_on_with_a_warning_where_the_key_is_bound_to_no_address_or_cannot_be_asked(
    name: str, answer: Any, status: int, event: str
) -> None:
    _, _, (error, told) = asyncio.run(_asked(name, answer, status))
    assert error == ""
    assert told.kinds() == [event]
