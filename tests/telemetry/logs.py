"""Which logs do the tests begin with, and how are they read?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tradebot.config.sections.logging import Logging
from tradebot.telemetry.console import Console, NoConsole
from tradebot.telemetry.log_files import OneFile, SplitFiles
from tradebot.telemetry.logs import LogPipeline

WAIT_S = 20.0
STAMP = "20261122T162503Z"


def pipeline(
    folder: Path,
    *,
    files: SplitFiles | OneFile | None = None,
    console: Console | None = None,
    clock: Callable[[], int] = lambda: 1_795_364_703_123,
    **settings: Any,
) -> LogPipeline:
    return LogPipeline(
        folder,
        files or SplitFiles(STAMP),
        Logging(**{"level": "DEBUG", "retry_s": 0.02, **settings}),
        console or NoConsole(),
        clock,
    )


@contextmanager
def running(log: LogPipeline) -> Iterator[LogPipeline]:
    log.start()
    log.validate(WAIT_S)
    try:
        yield log
    finally:
        log.stop(WAIT_S)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def system(folder: Path) -> list[dict[str, Any]]:
    return lines(folder / f"system_{STAMP}.jsonl")
