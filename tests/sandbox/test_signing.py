"""Does the sandbox believe only who signed, and only in time?"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.rest_kit import KEY, READER, SECRET, SYMBOL, Client, running
from tradebot.sandbox.orders import Credentials
from tradebot.sandbox.signing import Keyring, Signed, check_time, rest_signed, sign, signed_query, ws_signed
from tradebot.sandbox.wire_errors import ApiError

PUBLISHED_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"  # noqa: S105 - printed in the docs
PUBLISHED = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
)
PUBLISHED_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_the_published_example_has_the_published_signature() -> None:
    assert sign(PUBLISHED_SECRET, PUBLISHED) == PUBLISHED_SIGNATURE


def test_query_and_body_are_signed_together_wherever_the_signature_stands() -> None:
    query, body = PUBLISHED[:52], PUBLISHED[53:]
    together = sign(PUBLISHED_SECRET, query + body)
    for said in (
        rest_signed("k", query, f"{body}&signature={together}"),
        rest_signed("k", f"signature={together}&{query}", body),
        rest_signed("k", f"{query}&signature={together.upper()}", body),
    ):
        assert (said.payload, said.signature) == (query + body, together)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(min_size=1, max_size=8), min_size=1))
def test_what_a_client_signs_is_what_is_verified(params: dict[str, str]) -> None:
    params.pop("signature", None)
    query = signed_query(SECRET, params)
    said = rest_signed(KEY, query, "")
    assert said.signature == sign(SECRET, said.payload)
    assert (
        dict(part.split("=", 1) for part in unquote(said.payload, errors="strict").split("&") if "=" in part) or params
    )


def test_a_ws_request_is_signed_by_its_parameters_in_order() -> None:
    said = ws_signed({"timestamp": 5, "apiKey": "k", "flag": True, "signature": "AB"})
    assert said == Signed("k", "apiKey=k&flag=true&timestamp=5", "ab")


@pytest.mark.parametrize(("late_ms", "fine"), [(0, True), (5_000, True), (5_001, False), (-999, True), (-1_000, False)])
def test_a_request_counts_from_its_time_on_and_not_after_its_window(late_ms: int, fine: bool) -> None:
    if fine:
        check_time(Decimal(1_000_000 - late_ms), Decimal(5_000), 1_000_000)
        return
    with pytest.raises(ApiError) as caught:
        check_time(Decimal(1_000_000 - late_ms), Decimal(5_000), 1_000_000)
    assert caught.value.code == -1021


def test_microseconds_are_understood() -> None:
    keys = Keyring([Credentials("k", "s")])
    params = {"timestamp": "1700000000000123"}
    assert keys.verify(Signed("k", "x", sign("s", "x")), params, 1_700_000_000_000) == "k"


def test_nothing_that_is_printed_shows_a_secret() -> None:
    told = f"{Credentials('k', 'hidden')!r} {Credentials('k', 'hidden')} {Signed('k', 'payload', 'hidden')!r}"
    assert "hidden" not in told


def test_every_way_to_sign_wrongly_has_its_answer() -> None:
    async def ask(client: Client) -> None:
        now = client.sandbox.clock.now_ms()
        good = signed_query(SECRET, {"symbol": SYMBOL, "timestamp": now})
        assert (await client.raw("GET", "/api/v3/openOrders", good)).status == 200
        for key, code in ((None, -2014), ("no key!", -2014), ("unknown", -2015)):
            answer = await client.raw("GET", "/api/v3/openOrders", good, key=key)
            assert (answer.status, answer.body["code"]) == (401, code)
        wrong = await client.raw("GET", "/api/v3/openOrders", good[:-1] + ("0" if good[-1] != "0" else "1"))
        assert wrong.refusal == (400, -1022, "Signature for this request is not valid.")
        other = signed_query("another", {"timestamp": now})
        assert (await client.raw("GET", "/api/v3/account", other)).body["code"] == -1022
        unsigned = await client.raw("GET", "/api/v3/account", f"timestamp={now}")
        assert unsigned.refusal[1:] == (
            -1102,
            "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
        )
        timeless = await client.raw("GET", "/api/v3/account", signed_query(SECRET, {"recvWindow": 5000}))
        assert timeless.refusal[1] == -1102
        late = await client.signed("GET", "account", timestamp=now - 6_000)
        assert late.refusal == (400, -1021, "Timestamp for this request is outside of the recvWindow.")
        early = await client.signed("GET", "account", timestamp=now + 60_000)
        assert early.refusal == (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        assert (await client.signed("GET", "account", recvWindow=60_001)).body["code"] == -1131

    running(ask)


def test_the_servers_clock_decides_what_is_late() -> None:
    async def ask(client: Client) -> None:
        now = client.sandbox.clock.now_ms()
        client.sandbox.clock.skew_ms = 7_000
        assert (await client.signed("GET", "account", timestamp=now)).body["code"] == -1021
        assert (await client.public("time")).body["serverTime"] >= now + 7_000
        assert (await client.signed("GET", "account")).status == 200

    running(ask)


def test_a_key_without_the_permission_to_trade_reads_alone() -> None:
    async def ask(client: Client) -> None:
        now = client.sandbox.clock.now_ms()
        read = signed_query(READER.secret, {"timestamp": now})
        account = await client.raw("GET", "/api/v3/account", read, key=READER.key)
        assert (account.status, account.body["canTrade"]) == (200, False)
        order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1", "timestamp": now}
        refused = await client.raw("POST", "/api/v3/order", body=signed_query(READER.secret, order), key=READER.key)
        assert refused.refusal == (401, -2015, "Invalid API-key, IP, or permissions for action.")

    running(ask)


def test_accounts_see_nothing_of_each_other() -> None:
    async def ask(client: Client) -> None:
        await client.order(newClientOrderId="mine")
        now = client.sandbox.clock.now_ms()
        query = signed_query(READER.secret, {"symbol": SYMBOL, "origClientOrderId": "mine", "timestamp": now})
        assert (await client.raw("GET", "/api/v3/order", query, key=READER.key)).body["code"] == -2013
        query = signed_query(READER.secret, {"symbol": SYMBOL, "orderId": 1, "timestamp": now})
        assert (await client.raw("GET", "/api/v3/order", query, key=READER.key)).body["code"] == -2013

    running(ask)
