"""What is a profile? Every table the operator may write, in one frozen model."""

from __future__ import annotations

from tradebot.config.base import Table, setting
from tradebot.config.sections.bot import Bot
from tradebot.config.sections.budget import Budget
from tradebot.config.sections.control import Control
from tradebot.config.sections.drop import Drop
from tradebot.config.sections.engine import Engine
from tradebot.config.sections.exchange import Exchange
from tradebot.config.sections.execution import Execution
from tradebot.config.sections.exits import Exits
from tradebot.config.sections.features import Features
from tradebot.config.sections.feed import Feed
from tradebot.config.sections.fences import Fences
from tradebot.config.sections.intents import Intents
from tradebot.config.sections.journal import Journal
from tradebot.config.sections.logging import Logging
from tradebot.config.sections.market import Market
from tradebot.config.sections.metrics import Metrics
from tradebot.config.sections.reload import Reload
from tradebot.config.sections.sessions import Sessions
from tradebot.config.sections.shutdown import Shutdown
from tradebot.config.sections.start import Start
from tradebot.config.sections.state import State
from tradebot.config.sections.venue import Venue


class Profile(Table):
    """The whole profile, validated. `extends` is resolved by the loader before this model sees it."""

    bot: Bot = setting(Bot)
    market: Market = setting(Market)
    feed: Feed = setting(Feed)
    venue: Venue = setting(Venue)
    exchange: Exchange = setting(Exchange)
    drop: Drop = setting(Drop)
    budget: Budget = setting(Budget)
    execution: Execution = setting(Execution)
    intents: Intents = setting(Intents)
    exits: Exits = setting(Exits)
    fences: Fences = setting(Fences)
    engine: Engine = setting(Engine)
    start: Start = setting(Start)
    reload: Reload = setting(Reload)
    control: Control = setting(Control)
    state: State = setting(State)
    journal: Journal = setting(Journal)
    shutdown: Shutdown = setting(Shutdown)
    sessions: Sessions = setting(Sessions)
    logging: Logging = setting(Logging)
    metrics: Metrics = setting(Metrics)
    features: Features = setting(Features)
