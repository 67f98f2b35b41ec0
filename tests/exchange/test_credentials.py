"""Do keys come from the environment or from files only, and are they shown nowhere?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.credentials import Credentials, read_credentials


def test_keys_come_from_the_environment_or_from_files(tmp_path: Path) -> None:
    place = tmp_path / "secret"
    place.write_text("the-secret\n")
    keys = read_credentials(
        {"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET_FILE": str(place), "TRADEBOT_API_PASSWORD": "the-word"}
    )
    assert (keys.api_key, keys.secret, keys.password) == ("the-key", "the-secret", "the-word")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "set TRADEBOT_API_KEY, or TRADEBOT_API_KEY_FILE"),
        ({"TRADEBOT_API_KEY": "the-key"}, "set TRADEBOT_API_SECRET"),
        ({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET": "  "}, "set TRADEBOT_API_SECRET"),
        ({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_KEY_FILE": "x"}, "are both set"),
        ({"TRADEBOT_API_KEY_FILE": "/nowhere/at/all"}, "/nowhere/at/all: No such file"),
        ({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET": "s"}, "set TRADEBOT_API_PASSWORD"),
    ],
)
def test_what_is_missing_is_named_and_nothing_else_is_told(environ: dict[str, str], says: str) -> None:
    with pytest.raises(CannotStart, match=says) as caught:
        read_credentials(environ, password=True)
    assert caught.value.exit_code is ExitCode.BAD_PROFILE
    assert "the-key" not in str(caught.value)


def test_a_file_that_is_no_text_is_named_and_not_quoted(tmp_path: Path) -> None:
    place = tmp_path / "key"
    place.write_bytes(b"\xff\xfesecret")
    with pytest.raises(CannotStart, match="not text") as caught:
        read_credentials({"TRADEBOT_API_KEY_FILE": str(place)})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_text_of_them_holds_a_key() -> None:
    keys = Credentials("the-key", "the-secret", "the-word")
    assert repr(keys) == str(keys) == "Credentials(api_key, password, secret)"
    assert keys.hide("the-key signs the-secret by the-word") == "*** signs *** by ***"
    masked: list[str] = []
    keys.register(masked.append)
    assert masked == ["the-key", "the-secret", "the-word"]
