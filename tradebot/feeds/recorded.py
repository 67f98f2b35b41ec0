"""What does a recording hold, candles or single events? Asked by `tradebot replay`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tradebot.config.sections.feed import RecordedFeed
from tradebot.domain.errors import DataInvalid
from tradebot.feeds.candles import CandleRecording, load_candles
from tradebot.feeds.files import recording_files
from tradebot.feeds.recorded_events import EventRecording, load_events


def load(
    data: Path | Sequence[Path],
    symbols: Sequence[str] | None,
    quote: str,
    from_ms: int | None,
    to_ms: int | None,
    settings: RecordedFeed,
) -> CandleRecording | EventRecording:
    """Return the recording in `data` as what its columns say it is.

    `symbols` as BASE/QUOTE, or None for every symbol quoted in `quote`; times in ms UTC, `to_ms` exclusive.
    Raises DataInvalid for unsound files, and where candles lie beside trades or books: one of them must be named.
    """
    files = recording_files(data, symbols, quote)
    candles = [file for file in files if file.holds == "candles"]
    others = [file for file in files if file.holds != "candles"]
    if candles and others:
        raise DataInvalid(
            f"{candles[0].path} holds candles and {others[0].path} {others[0].holds}: "
            "a replay walks one or the other, name the files you want"
        )
    if candles:
        return load_candles(data, symbols, quote, from_ms, to_ms)
    return load_events(data, symbols, quote, from_ms, to_ms, settings)
