"""How does a running machine take a new generation? Asked by the engine, when one is applied."""

from __future__ import annotations

from tradebot.config.profile import Profile
from tradebot.domain.events import ProfileApplied
from tradebot.domain.facts import ProfileTaken
from tradebot.engine.ages import STALE_INTENTS, Ages
from tradebot.engine.anchors import make_anchor
from tradebot.engine.breaker import REARM, Breaker
from tradebot.engine.budget import REFRESH, TIMEOUT, Budget
from tradebot.engine.desk import NEVER, Desk
from tradebot.engine.doubts import VERIFY
from tradebot.engine.exits import HOLD, RETRY, wait_after
from tradebot.engine.followup import FollowUp
from tradebot.engine.parts import Parts
from tradebot.engine.router import Router
from tradebot.engine.watchlist import Watchlist, changes

RETUNED = frozenset({VERIFY, REFRESH, TIMEOUT, STALE_INTENTS, HOLD, RETRY, REARM})
"""Deadlines that stand on settings; an order's own wait does not, since it was placed with it."""


class Adoption:
    """Swaps the settings between two events: parts, levels, deadlines and what is watched follow at once."""

    def __init__(
        self,
        desk: Desk,
        budget: Budget,
        router: Router,
        ages: Ages,
        follow_up: FollowUp,
        watchlist: Watchlist,
        breaker: Breaker,
    ) -> None:
        self.desk = desk
        self.budget = budget
        self.router = router
        self.ages = ages
        self.follow_up = follow_up
        self.watchlist = watchlist
        self.breaker = breaker
        self.parts: Parts = follow_up.parts

    def on_profile(self, event: ProfileApplied) -> None:
        """Decide by this generation's settings from here on; an anchor declared otherwise forms anew."""
        desk = self.desk
        profile: Profile = event.profile
        found = changes(desk, profile, event.instruments)
        anew = profile.drop.anchor != desk.profile.drop.anchor
        desk.profile = profile
        desk.emit(ProfileTaken(generation=event.generation))
        if anew:
            for symbol in desk.symbols.values():
                symbol.anchor = make_anchor(profile.drop.anchor)
        self.watchlist.take(found, event.instruments)
        self.settle()

    def settle(self) -> None:
        """Let parts, deadlines and every symbol follow the profile and the state."""
        desk = self.desk
        desk.forget(RETUNED)
        self.parts.renew(desk, self.budget)
        self.budget.retune()
        self.router.doubts.retune()
        self.ages.retune()
        self.breaker.retune()
        for symbol in desk.symbols.values():
            symbol.hold_ms = NEVER
            if symbol.tried_ms:
                wait_after(desk, symbol, symbol.tried_ms)
            elif symbol.exit_wait_ms:
                desk.remind(symbol.exit_wait_ms, RETRY, symbol.symbol)
        self.follow_up.settle_all()
