"""Where does a process find the budget it shares with the others of this machine? Asked by wiring, feed and data."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tradebot.config.sections.exchange import Exchange
from tradebot.exchange.budget import Budget
from tradebot.exchange.counts import Counts, CountsUnusable, PrivateCounts, SharedCounts, private_folder
from tradebot.exchange.credentials import NO_CREDENTIALS, Credentials
from tradebot.ports import Clock, Log


def shared_budget(
    settings: Exchange,
    clock: Clock,
    log: Log,
    credentials: Credentials = NO_CREDENTIALS,
    environ: Mapping[str, str] = os.environ,
) -> Budget:
    """Return the budget of an exchange, shared by all processes of this user; told and private where that fails.

    One file counts for the address, by exchange and `base_url`; another one for the account, by its key.
    """
    try:
        folder = private_folder(folder_of(settings, environ))
    except CountsUnusable as error:
        _tell_private(log, error)
        return Budget(clock, settings.requests)

    def told(words: str) -> None:
        log.emit("system", "WARNING", "REQUEST_COUNTS_DAMAGED", words)

    place = f"{settings.name}-{_digest(settings.base_url)[:8]}"
    account: Counts = PrivateCounts()
    if credentials.api_key:
        account = _counts(folder / f"{place}-{_digest(settings.base_url, credentials.api_key)}.orders", told, log)
    return Budget(clock, settings.requests, _counts(folder / f"{place}.requests", told, log), account)


def folder_of(settings: Exchange, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the processes of this user count together."""
    if settings.requests.folder:
        return Path(settings.requests.folder)
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "tradebot"
    return Path(tempfile.gettempdir()) / f"tradebot-{os.getuid()}"


def _counts(path: Path, told: Callable[[str], None], log: Log) -> Counts:
    try:
        return SharedCounts(path, told)
    except CountsUnusable as error:
        _tell_private(log, error)
        return PrivateCounts()


def _tell_private(log: Log, error: CountsUnusable) -> None:
    words = f"requests are counted for this process alone: {error}; other bots at this exchange are not seen"
    log.emit("system", "WARNING", "REQUEST_COUNTS_PRIVATE", words)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
