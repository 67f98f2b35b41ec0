"""How does a benchmark show its figures? One line each, the same whoever measures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Show = Callable[..., None]


def _told(value: float | int | str) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


@pytest.fixture
def show(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Show:
    """Return a function that prints named figures past pytest's capture: `show(candles=1_000, rss_mb=210.5)`."""

    def print_figures(**figures: float | int | str) -> None:
        words = [f"{name} {_told(value)}" for name, value in figures.items()]
        with capsys.disabled():
            print(f"\n  {request.node.name}: {' · '.join(words)}", flush=True)

    return print_figures
