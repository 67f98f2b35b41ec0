"""Would the search find a key that is there? Else nothing that it does not find would mean anything."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.secrets.planting import PLANTED, echo, found_below, found_in
from tradebot.config.secrets import Secrets


@pytest.mark.parametrize("secret", PLANTED.values(), ids=PLANTED)
def test_a_key_is_found_in_every_spelling_and_in_part(secret: str) -> None:
    assert found_in(f"x{secret}y")
    assert found_in(quote(secret, safe=""))
    assert found_in(base64.b64encode(f"user:{secret}".encode()))
    assert found_in(secret[:12])
    assert found_in(secret[-12:])
    assert not found_in("calm")


def test_files_and_names_below_a_folder_are_searched(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_text(f"it was {PLANTED['key']}")
    (tmp_path / PLANTED["key"]).touch()
    assert len(found_below(tmp_path)) == 2
    assert len(found_below(tmp_path, but=[tmp_path / "deep" / "log"])) == 1
    assert not found_in(gzip.compress(b"calm"))


def test_what_the_tests_let_an_exchange_say_is_masked_as_a_whole() -> None:
    secrets = Secrets()
    for secret in PLANTED.values():
        secrets.register(secret)
    assert len(found_in(echo())) > 30
    assert found_in(secrets.text(echo())) == []
