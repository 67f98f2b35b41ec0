"""What is a sandbox exchange whose market is as quick as a benchmark wants? A program, asked by the live path's:
`python -m tests.benchmarks.live_path_exchange QUOTES_PER_S TRADES_PER_S sandbox …`.
"""

from __future__ import annotations

import sys
from functools import partial

from tradebot.cli import main as command
from tradebot.config.sections import feed


def main(quotes_per_s: str, trades_per_s: str, *words: str) -> int:
    """Serve until told to end."""
    quick = partial(feed.SyntheticFeed, updates_per_s=float(quotes_per_s), trades_per_s=float(trades_per_s))
    setattr(feed, "SyntheticFeed", quick)  # noqa: B010 - a class's name, to which mypy lets nothing be assigned
    return command.main(words)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
