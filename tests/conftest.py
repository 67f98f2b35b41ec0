"""What does every test stand on? One rule for hypothesis, a clean environment, and where the recordings are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.conformance.listing import pytest_terminal_summary
from tradebot.config.secrets import KEPT

__all__ = ["pytest_terminal_summary"]

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "tradebot",
    deadline=None,  # a shared machine stalls; pytest-timeout bounds the whole test
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tradebot")

for _name in [name for name in os.environ if name.upper().startswith("TRADEBOT__")]:
    del os.environ[_name]  # a developer's own overrides must not change what a test sees
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a bot that compiles what was edited at each start takes twice as long


@pytest.fixture(scope="session", autouse=True)
def _own_runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the bots of the tests count their requests in a place of their own."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))
    yield
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before


@pytest.fixture(autouse=True)
def _keys_of_others_forgotten() -> Iterator[None]:
    """Let no test mask the keys of an earlier one."""
    yield
    KEPT.forget()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recordings beside the checkout; skip the test where there is none."""
    folder = ROOT / "../shared/data"
    if not folder.is_dir():
        pytest.skip("no recordings beside this checkout (../shared/data)")
    return folder.resolve()
