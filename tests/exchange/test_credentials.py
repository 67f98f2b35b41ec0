"""Do keys come from the environment or from their owner's files only, and are they shown nowhere?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tradebot.config.secrets import mask
from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.credentials import Credentials, file_fault, keep_secret, read_credentials

HELD = "-".join(("the", "secret"))


def written(place: Path, text: bytes = b"the-secret\n", mode: int = 0o600) -> Path:
    """Write a file of a secret."""
    place.write_bytes(text)
    place.chmod(mode)
    return place


def read_file(place: object) -> Credentials:
    return read_credentials({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET_FILE": str(place)})


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_keys_come_from_the_environment_or_from_files(tmp_path: Path, mode: int) -> None:
    place = written(tmp_path / "secret", mode=mode)
    keys = read_credentials(
        {"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET_FILE": str(place), "TRADEBOT_API_PASSWORD": "the word"}
    )
    assert (keys.api_key, keys.secret, keys.password) == ("the-key", "the-secret", "the word")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "set TRADEBOT_API_KEY, or TRADEBOT_API_KEY_FILE"),
        ({"TRADEBOT_API_KEY": "the-key"}, "set TRADEBOT_API_SECRET"),
        ({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET": "  "}, "set TRADEBOT_API_SECRET"),
        ({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_KEY_FILE": "x"}, "are both set"),
        ({"TRADEBOT_API_KEY_FILE": "/nowhere/at/all"}, "/nowhere/at/all: No such file"),
        ({"TRADEBOT_API_KEY_FILE": "no\0name"}, "no name of a file"),
        ({"TRADEBOT_API_KEY": "the-key", "TRADEBOT_API_SECRET": "secret"}, "set TRADEBOT_API_PASSWORD"),
        ({"TRADEBOT_API_KEY": "the"}, "TRADEBOT_API_KEY: too short to be a key"),
        ({"TRADEBOT_API_KEY": "the-key\nthe-secret"}, "TRADEBOT_API_KEY: holds several lines"),
        ({"TRADEBOT_API_KEY": "the-key the-secret"}, "TRADEBOT_API_KEY: holds a blank"),
        ({"TRADEBOT_API_KEY": "the-kéy"}, "TRADEBOT_API_KEY: holds a blank, or a letter that no key has"),
        ({"TRADEBOT_API_KEY": "the-key\x1b"}, "TRADEBOT_API_KEY: holds a character that no key has"),
    ],
)
def test_what_is_missing_or_no_key_is_named_and_nothing_else_is_told(environ: dict[str, str], says: str) -> None:
    with pytest.raises(CannotStart, match=says) as caught:
        read_credentials(environ, password=True)
    assert caught.value.exit_code is ExitCode.BAD_PROFILE
    assert "the-k" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o606, 0o620])
def test_a_file_that_anybody_else_may_read_or_write_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    place = written(tmp_path / "secret", mode=mode)
    with pytest.raises(CannotStart, match=rf"SECRET_FILE: {place}: has mode {mode:04o}: .*`chmod 600 {place}`"):
        read_file(place)


def test_a_link_is_followed_and_the_file_behind_it_is_judged(tmp_path: Path) -> None:
    place, link = written(tmp_path / "secret"), tmp_path / "link"
    link.symlink_to(place)
    assert read_file(link).secret == HELD
    place.chmod(0o644)
    with pytest.raises(CannotStart, match=f"chmod 600 {place}"):
        read_file(link)
    place.unlink()
    with pytest.raises(CannotStart, match="No such file"):
        read_file(link)


def pipe(place: Path) -> None:
    os.mkfifo(place, 0o600)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda place: written(place, b""), "is empty"),
        (lambda place: written(place, b" \n\n"), "is empty"),
        (lambda place: written(place, b"\xff\xfethe-secret"), "is not text"),
        (lambda place: written(place, b"the-secret\0the-secret"), "holds a character that no key has"),
        (lambda place: written(place, b"the-key\nthe-secret\n"), "holds several lines"),
        (lambda place: written(place, b"the-secret" * 2_000), "holds more than 16384 bytes"),
        (Path.mkdir, "is no plain file"),
        (pipe, "is no plain file"),
    ],
)
def test_a_file_that_holds_no_key_is_named_and_not_quoted(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    place = tmp_path / "key"
    make(place)
    with pytest.raises(CannotStart, match=says) as caught:
        read_file(place)
    assert "the-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_wrong_with_a_file_is_told_without_reading_keys(tmp_path: Path) -> None:
    assert file_fault(str(written(tmp_path / "a"))) == ""
    assert file_fault(str(written(tmp_path / "b", mode=0o644))).startswith("has mode 0644")
    assert mask("the-secret") == "the-secret"


def test_a_key_of_several_lines_is_one_where_it_is_a_private_key(tmp_path: Path) -> None:
    text = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBx3abcd\n-----END EC PRIVATE KEY-----"
    assert read_file(written(tmp_path / "pem", text.encode() + b"\n")).secret == text
    assert mask("it said MHcCAQEEIBx3abcd") == "it said ***"


def test_a_mark_at_the_beginning_and_an_end_of_line_are_no_part_of_a_key(tmp_path: Path) -> None:
    assert read_file(written(tmp_path / "secret", b"\xef\xbb\xbfthe-secret\r\n")).secret == HELD


def test_no_text_of_them_holds_a_key() -> None:
    keys = Credentials("the-key", "the-secret", "the-word")
    assert repr(keys) == str(keys) == "Credentials(api_key, password, secret)"
    assert keys.hide("the-key signs the-secret by the-word") == "*** signs *** by ***"
    masked: list[str] = []
    keys.register(masked.append)
    assert masked == ["the-key", "the-secret", "the-word"]


def test_whoever_holds_keys_has_them_masked_in_all_that_the_process_tells() -> None:
    assert mask("held: the-key-of-it") == "held: the-key-of-it"
    Credentials("the-key-of-it", "its-secret")
    assert mask("held: the-key-of-it, its-secret") == "held: ***, ***"
    keep_secret({"TRADEBOT_API_PASSWORD": " the-word\n", "PATH": "/usr/bin"})
    assert mask("the-word in /usr/bin") == "*** in /usr/bin"
