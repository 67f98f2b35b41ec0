"""How is the running bot spoken to?"""

from tradebot.config.base import Seconds, Table, setting


class Control(Table):
    """The control door: a socket in the bot's own folder, for its owner only."""

    max_clients: int = setting(32, ge=1, le=1000)
    """Most connections at a time; further ones are told to come back."""

    stream_queue: int = setting(1000, ge=10, le=1_000_000)
    """Most records that wait for one client of the event stream; one that does not keep up is disconnected."""

    request_timeout_s: Seconds = setting(30.0, gt=0, le=600)
    """Longest time one request may take; the work goes on, the client is told to look at the status."""
