"""What has happened to the live feed's connections? Counted and told; asked by its parts, its tests and the metrics."""

from __future__ import annotations

from msgspec import Struct

from tradebot.ports import Log


class FeedCounts(Struct):
    """Counters of one run of the feed; they only rise, but for `connections`, which are open now."""

    connections: int = 0
    connects: int = 0
    disconnects: int = 0
    renewals: int = 0
    silences: int = 0
    gaps: int = 0
    snapshots: int = 0
    refused: int = 0
    unreadable: int = 0
    events: int = 0


class FeedTold:
    """Counts what happens to the feed and tells it in the log; `count` is for who shows it."""

    def __init__(self, log: Log, exchange: str) -> None:
        self.count = FeedCounts()
        self._log = log
        self._exchange = exchange

    def connected(self, url: str) -> None:
        """Tell that a connection stands."""
        self.count.connects += 1
        self.count.connections += 1
        self._log.emit("system", "INFO", "FEED_CONNECTED", f"Connected to {url}", **self._about(url))

    def disconnected(self, url: str, cause: str, *, replaced: bool = False) -> None:
        """Tell that a connection that stood is lost, or closed since another one tells its prices."""
        self.count.connections -= 1
        if replaced:
            self._log.emit("system", "INFO", "FEED_MOVED", f"Moved from {url} to a new connection", **self._about(url))
            return
        self.count.disconnects += 1
        self._log.emit(
            "system", "WARNING", "FEED_DISCONNECTED", f"Lost {url}: {cause}; connecting anew", **self._about(url, cause)
        )

    def failed(self, what: str, cause: str, wait_s: float) -> None:
        """Tell that a subscription did not come about, or ended."""
        self.count.refused += 1
        self._log.emit(
            "system",
            "WARNING",
            "FEED_SUBSCRIPTION_FAILED",
            f"No {what}: {cause}; again in {wait_s:.1f} s",
            exchange=self._exchange,
            cause=cause,
        )

    def silent(self, url: str, silent_s: float, what: str) -> None:
        """Tell that a connection that seems to stand tells nothing: no frame at all, or no prices."""
        self.count.silences += 1
        self._log.emit(
            "system",
            "WARNING",
            "FEED_SILENT",
            f"No {what} from {url} for {silent_s:.1f} s; connecting anew",
            silent_s=round(silent_s, 3),
            **self._about(url),
        )

    def server_going(self, url: str) -> None:
        """Tell that the server announced its end."""
        self._log.emit(
            "system", "INFO", "FEED_SERVER_SHUTDOWN", f"{url} will close; moving to a new one", **self._about(url)
        )

    def renewed(self, url: str, age_s: float) -> None:
        """Tell that a connection is replaced by a new one since it is old."""
        self.count.renewals += 1
        self._log.emit(
            "system",
            "INFO",
            "FEED_RENEWED",
            f"{url} is {age_s:.0f} s old; moving to a new one before the exchange ends it",
            age_s=round(age_s, 3),
            **self._about(url),
        )

    def gap(self, symbol: str, cause: str) -> None:
        """Tell that a symbol's book has a hole and is built anew."""
        self.count.gaps += 1
        self._log.emit(
            "system", "WARNING", "FEED_GAP", f"{symbol}: the book is lost ({cause}), built anew", symbol=symbol
        )

    def unreadable(self, cause: str) -> None:
        """Count a message that could not be read; the first of a run and then every thousandth is told."""
        self.count.unreadable += 1
        if self.count.unreadable % 1_000 == 1:
            self._log.emit(
                "system",
                "WARNING",
                "FEED_MESSAGE_UNREADABLE",
                f"A message of {self._exchange} cannot be read: {cause}",
                exchange=self._exchange,
                cause=cause,
                unreadable=self.count.unreadable,
            )

    def _about(self, url: str, cause: str = "") -> dict[str, str]:
        about = {"exchange": self._exchange, "url": url}
        return {**about, "cause": cause} if cause else about
