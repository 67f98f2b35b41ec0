"""How long may a buy be under way?"""

from tradebot.config.base import Seconds, Table, setting


class Intents(Table):
    """How long a buy may be under way before it is stale."""

    max_age_s: Seconds = setting(120.0, looser="higher", gt=0, le=86_400)
    """Age from which a buy intent is stale: unsent it is dropped, open it is cancelled, unknown it is reported."""

    check_interval_s: Seconds = setting(30.0, ge=0.1, le=3600)
    """How often stale intents are looked for."""
