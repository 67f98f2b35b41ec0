"""Is a key masked however it is spelt, cut or broken, and nothing else?"""

from __future__ import annotations

import base64
import json
import string
import textwrap
from urllib.parse import quote, quote_plus, urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.secrets import PIECE, Secrets, key_like

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
WORD = 'pä"ss w\\ö/rd+1 of mine'


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    found = Secrets()
    found.register(KEY)
    found.register(WORD)
    found.register("")
    return found


@pytest.mark.parametrize("secret", [KEY, WORD])
@pytest.mark.parametrize(
    "spell",
    [
        str,
        quote,
        lambda text: quote(text, safe=""),
        lambda text: quote(text, safe="").lower() if "%" in quote(text, safe="") else text,
        quote_plus,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: json.dumps(json.dumps({"key": text})),
        repr,
        lambda text: repr(text.encode()) if text.isascii() else text,
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(b"u:" + text.encode() + b":more").decode(),
        lambda text: base64.urlsafe_b64encode(b"x" + text.encode()).decode(),
        lambda text: base64.encodebytes(text.encode() * 3).decode(),
        lambda text: urlencode({"apiKey": text, "n": 1}),
    ],
)
def test_a_key_is_masked_in_every_spelling(secrets: Secrets, secret: str, spell: object) -> None:
    assert callable(spell)
    told = secrets.text(f"before {spell(secret)} after")
    assert "***" in told
    assert told.startswith("before ")
    assert told.endswith(" after")
    for at in range(len(secret) - PIECE + 1):
        piece = secret[at : at + PIECE]
        assert piece not in told
        assert base64.b64encode(piece.encode()).decode()[:8] not in told


@given(begin=st.integers(0, len(KEY) - PIECE), length=st.integers(PIECE, len(KEY)), lead=st.text(max_size=20))
def test_a_part_of_a_key_is_masked_wherever_it_stands(begin: int, length: int, lead: str) -> None:
    secrets = Secrets()
    secrets.register(KEY)
    part = KEY[begin : begin + length]
    assert secrets.text(f"{lead}{part}|") in {f"{lead}***|", f"{lead[:-1]}***|"}


def test_a_key_broken_into_lines_is_masked_in_each_of_them(secrets: Secrets) -> None:
    told = secrets.text("\n".join(textwrap.wrap(KEY, 20)))
    assert told.count("***") == 3
    assert not any(KEY[at : at + PIECE] in told for at in range(len(KEY) - PIECE + 1))


@given(st.text(string.ascii_letters + string.digits + " =&\"{}:,'/", max_size=300))
def test_what_holds_no_key_is_left_as_it_is(text: str) -> None:
    secrets = Secrets()
    secrets.register(KEY)
    assert secrets.text(text) == text or "signature" in text
    data = orjson.dumps({"message": text})
    assert secrets.encoded(data, orjson.dumps) == data


@given(
    st.recursive(
        st.sampled_from([KEY, f"x{KEY}", 1, None, True, "calm"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", KEY]), inner, max_size=2),
    )
)
def test_nothing_that_json_holds_keeps_a_key(value: object) -> None:
    secrets = Secrets()
    secrets.register(KEY)
    assert KEY.encode() not in secrets.encoded(orjson.dumps(value), orjson.dumps)


def test_a_signature_is_masked_with_no_key_known() -> None:
    signed = "https://x/api?symbol=A&signature=" + "0123456789abcdef" * 4
    assert Secrets().text(signed) == "https://x/api?symbol=A&signature=***"
    data = orjson.dumps({"url": f'{{"signature": "{"ab12" * 16}"}}'})
    assert b"ab12" not in Secrets().encoded(data, orjson.dumps)
    assert Secrets().text("Signature for this request is not valid.") == "Signature for this request is not valid."


def test_a_number_that_is_a_secret_is_masked_as_one() -> None:
    secrets = Secrets()
    secrets.register("471199")
    assert secrets.value({"pin": 471199, "n": 12, "on": True}) == {"pin": "***", "n": 12, "on": True}


def test_one_too_short_is_refused_and_what_is_forgotten_is_told_again() -> None:
    secrets = Secrets()
    with pytest.raises(ValueError, match="shorter than 4"):
        secrets.register("abc")
    secrets.register("word")
    assert secrets.text("a word") == "a ***"
    secrets.forget()
    assert secrets.text("a word") == "a word"


@pytest.mark.parametrize(
    ("word", "like"),
    [
        (KEY, True),
        ("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", True),
        ("5c2db93503aa674c74a31734", True),
        ("kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==", True),
        ("profiles/binance-momentum-with-a-long-name-2026.toml", False),
        ("/home/pytest-of-someone/pytest-795/test_keys_come_from_the_enviro0", False),
        ("sandbox", False),
        ("--profile", False),
        ("BTC/USDT,ETH/USDT,SOL/USDT,ADA/USDT,XRP/USDT", False),
    ],
)
def test_a_typed_key_is_told_from_a_typed_name(word: str, like: bool) -> None:
    assert key_like(word) is like
