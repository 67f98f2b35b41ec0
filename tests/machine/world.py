"""Where do bot, exchange, network and disk meet, and what may happen to them? Asked by the machine's steps.

Nothing here happens by itself: a step is one thing, and what it leads to within the bot goes as far as it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from tests.machine.books import Books, Broken
from tests.machine.bot import VARIANTS, Bot
from tests.machine.checks import Checks
from tests.machine.disk import Disk, Fuse
from tests.machine.far import INSTRUMENTS, KEY, PAIRS, T0, WIRE, Far
from tests.machine.network import LONGEST_LAG_MS, Network, Request
from tradebot.domain import events as e
from tradebot.domain.facts import Fact
from tradebot.domain.numbers import ZERO
from tradebot.engine.engine import Engine
from tradebot.engine.exits import sellable
from tradebot.engine.state import EngineState
from tradebot.sandbox.orders import FeeRates, OrderRequest
from tradebot.sandbox.wire_errors import ApiError

PRICES: Final = (100.0, 99.0, 98.97, 98.0, 97.4, 99.99, 101.0, 103.0, 96.0)
SIZES: Final = (1_000.0, 0.4, 0.05)
MANUAL: Final = "web-"
CRASHED: Final = 60.0
COMPARED_MS: Final = 30_000
STARTING_SKEW_MS: Final = 900
SETTLING_MS: Final = 160_000
LONGEST_SETTLING_MS: Final = 1_500_000


class World:
    """All of it. `fee_asset` is the third asset that fees are paid in, "" for none."""

    def __init__(self, fee_asset: str = "", *, compare_every: int = 1) -> None:
        self.far = Far(FeeRates(Decimal(10), Decimal(10), fee_asset))
        self.fuse = Fuse()
        self.network = Network(self.far, self.fuse)
        self.disk = Disk(self.fuse)
        self.disk.generation = 1
        self.books = Books(self.far)
        self.checks = Checks(self.far, self.network, self.disk, self.books)
        self.bot: Bot | None = None
        self.skew_ms = 0
        self.runs = 0
        self.steps = 0
        self.crashes = 0
        self.kinds: dict[str, int] = {}
        """How often each kind of fact was told."""
        self._compare_every = compare_every
        self._unread: list[Fact] = []
        self._mirror: EngineState | None = None
        self._manual = 0
        self._stream_up = False
        self._compared_ms = 0
        for symbol in PAIRS:
            self.far.show(symbol, 100.0, 100.0, SIZES[0])
        self.start()

    # -- the process ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a run, where none is under way and the exchange can be reached."""
        if self.bot is not None or self.network.down or self.far.now < self.network.banned_until_ms:
            return
        self.runs += 1
        self.skew_ms = min(
            self.skew_ms, STARTING_SKEW_MS
        )  # a clock that is further off is set right, or nothing starts
        self._read()
        whole = Engine(VARIANTS[self.disk.variant], INSTRUMENTS)
        whole.restore(None, self.disk.read(0))
        self._mirror = whole.state
        self.far.listening = False
        self.far.news.clear()
        loop_s = (self.far.now - T0) / 1000
        self.bot = Bot(self.disk, self.network, self._wall, loop_s, f"r{self.runs}", self._on_facts)
        self.bot.begin()
        for symbol, seen in self.far.exchange.market.symbols.items():
            if seen.bids:
                pair = next(name for name, wire in WIRE.items() if wire == symbol)
                self._publish(pair, seen.bids[0][0], seen.asks[0][0], seen.bids[0][1])
        self.stream(up=True)
        self.turn()

    def crash(self, appends: int) -> None:
        """Kill the process where it stands; `appends` of what was not durable survive by chance."""
        if self.bot is None:
            return
        self.crashes += 1
        self.bot.kill()
        self.bot = None
        self.fuse.reset()
        self.disk.crash(appends)
        self._stream_up = False
        self.books = Books(self.far)
        self.books.take(self.disk.told())
        self._unread = []
        self.checks = Checks(self.far, self.network, self.disk, self.books)

    def close(self) -> None:
        """End everything, without a word."""
        if self.bot is not None:
            self.bot.kill()
            self.bot = None
        self.far.store.close()

    def turn(self) -> None:
        """Let the bot do what it can."""
        if self.bot is not None:
            self.bot.turn()
            self._read()

    def commit(self, appends: int) -> None:
        """Let the disk write; the bot does not know of it before its next turn."""
        self.disk.commit(appends)

    def wait(self, span_ms: int) -> None:
        """Let time pass; what comes due in it comes at its time."""
        until = self.far.now + span_ms
        while self.bot is not None:
            due = self.bot.next_due_ms(self.far.now)
            if due > until:
                break
            self._move_to(due)
            self.turn()
        self._move_to(until)
        self.turn()

    def jump(self, span_ms: int) -> None:
        """Set the bot's clock forward."""
        self.skew_ms += span_ms

    # -- the market ---------------------------------------------------------------------------------------

    def quote(self, symbol: str, price: float, size: float, *, seen: bool) -> None:
        """Let the price move; the bot's feed may miss it."""
        bid, ask = round(price, 2), round(price * 1.0002, 2)
        self.far.show(symbol, bid, ask, size)
        if seen:
            self._publish(symbol, bid, ask, size)

    def _publish(self, symbol: str, bid: float, ask: float, size: float) -> None:
        if self.bot is not None:
            self.bot.publish(e.QuoteSeen(symbol, bid, ask, size, size, self._wall()))

    # -- the stream -----------------------------------------------------------------------------------------

    def stream(self, *, up: bool) -> None:
        """Connect the stream of own orders, or lose it with everything that was on its way."""
        if self.bot is None or up == self._stream_up:
            return
        self._stream_up = self.far.listening = up
        self.far.news.clear()
        self.bot.connect(up=up)

    def hear(self, index: int, *, keep: bool = False, tell: bool = True) -> None:
        """Let one message of the stream come, be lost, or come and come again."""
        if self.bot is None or not self.far.news:
            return
        at = index % len(self.far.news)
        message = self.far.news[at] if keep else self.far.news.pop(at)
        if tell and message["e"] == "executionReport":
            self.bot.hear(message)

    # -- the operator -----------------------------------------------------------------------------------------

    def tell(self, event: type[e.PauseAsked | e.ResumeAsked | e.FlattenAsked]) -> None:
        """Let an operator ask for something."""
        if self.bot is not None:
            self.bot.inject(event("o", self._wall()))

    def rearm(self) -> None:
        """Let an operator re-arm everything."""
        if self.bot is not None:
            self.bot.inject(e.RearmAsked("", "o", self._wall()))

    def answer_drift(self, asset: str, action: Literal["adopt", "ignore", "close"], price: Decimal | None) -> None:
        """Let an operator settle a difference between account and ledger."""
        if self.bot is not None:
            self.bot.inject(e.DriftAnswered(asset, action, price, "o", self._wall()))

    def ask_balances(self) -> None:
        """Let it be time to compare the account."""
        if self.bot is not None:
            self.bot.inject(e.BalancesWanted(self._wall()))

    def edit(self, variant: int) -> None:
        """Let another profile come into force; the history holds it first."""
        if self.bot is None:
            return
        self.disk.generation += 1
        self.disk.variant = variant % len(VARIANTS)
        profile = VARIANTS[self.disk.variant]
        self.bot.inject(e.ProfileApplied(self.disk.generation, profile, self._wall()))

    def shut(self, policy: Any) -> None:
        """Let a shutdown begin; the run goes on until it is killed."""
        if self.bot is not None:
            self.bot.inject(e.ShutdownRequested(policy, "asked", self._wall()))

    # -- the others on the account ------------------------------------------------------------------------------

    def manual(self, kind: int, symbol: str, amount: Decimal) -> None:
        """Let somebody else trade on the account, or move money; what the exchange refuses is nothing."""
        base = symbol.partition("/")[0]
        self._manual += 1
        name, wire = f"{MANUAL}{self._manual}", WIRE[symbol]
        try:
            match kind % 6:
                case 0:
                    self._foreign(OrderRequest(wire, "BUY", "MARKET", name, amount=amount))
                case 1:
                    self._foreign(OrderRequest(wire, "SELL", "MARKET", name, amount=amount))
                case 2:
                    self._foreign(OrderRequest(wire, "BUY", "LIMIT", name, amount=amount, price=Decimal(97)))
                case 3:
                    for order in self.far.exchange.open_orders(KEY):
                        if order.client_id.startswith(MANUAL):
                            self.far.exchange.cancel(KEY, order.symbol, order.order_id, None, "x", self.far.now)
                case 4:
                    self.far.move(("USDT", base)[int(amount * 1000) % 2], amount)
                case _:
                    self.far.move(base, -amount)
        except ApiError:
            return

    def _foreign(self, request: OrderRequest) -> None:
        self.far.exchange.place(KEY, request, self.far.now)

    # -- quiet ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything heal and time pass until nothing is under way, then compare. Raises Broken."""
        self._heal()
        begun = self.far.now
        while self.far.now - begun < LONGEST_SETTLING_MS:
            assert self.bot is not None
            self._serve()
            state = self.bot.engine.state
            if self.far.now - begun >= SETTLING_MS and not state.orders and not state.intents:
                break
            self._move_to(min(self.bot.next_due_ms(self.far.now), self.far.now + 5_000))
            self.turn()
            self.checks.holds(self.bot)
        assert self.bot is not None
        self.compare()
        self.checks.agree(self.bot)
        self._protect()

    def _protect(self) -> None:
        """Let every price fall below every stop: nothing is held then but what is too small to sell. Raises Broken."""
        assert self.bot is not None
        state, begun = self.bot.engine.state, self.far.now
        if not state.entries_open:
            return
        while self.far.now - begun < LONGEST_SETTLING_MS:
            for symbol in PAIRS:
                self.quote(symbol, CRASHED, SIZES[0], seen=True)
            self._serve()
            if not state.intents and not any(self._sellable(symbol) for symbol in PAIRS):
                return
            self._move_to(min(self.bot.next_due_ms(self.far.now), self.far.now + 5_000))
            self.turn()
            self.checks.holds(self.bot)
        held = {symbol: self._sellable(symbol) for symbol in PAIRS}
        raise Broken(f"far below every stop this is still held: {held}, intents {list(state.intents.values())}")

    def _sellable(self, symbol: str) -> Decimal:
        assert self.bot is not None
        position = self.bot.engine.state.ledger.positions.get(symbol)
        watched = self.bot.engine.symbols[symbol]
        return sellable(watched.instrument, position, CRASHED) if position else ZERO

    def compare(self) -> None:
        """Compare the engine's state with what the facts alone give. Raises Broken."""
        if self.bot is not None and self._mirror is not None:
            for _, at_ms, fact in self.disk.read(self._mirror.seq):
                self._mirror.apply(fact, at_ms)
            self.checks.replays(self.bot, self._mirror)

    def _heal(self) -> None:
        self.fuse.set(0)
        self.network.down = False
        self.network.banned_until_ms = 0
        for symbol in PAIRS:
            self.far.exchange.set_status(WIRE[symbol], "TRADING")
            self.quote(symbol, 99.5, SIZES[0], seen=True)
        for asset in ("AAA", "BBB", "CCC"):  # what others took of it comes back: exits can end
            if (lacking := self.books.adopted.get(asset, ZERO) - self.far.foreign.get(asset, ZERO)) > 0:
                self.far.move(asset, lacking)
        self.far.move("BNB", Decimal(3))
        self.start()
        self.stream(up=True)

    def _serve(self) -> None:
        """Answer everything truthfully, in order, until nothing is under way; now and then the account is compared."""
        assert self.bot is not None
        if self.far.now >= self._compared_ms + COMPARED_MS:
            self._compared_ms = self.far.now
            self.ask_balances()
        for _ in range(1_000):
            self.commit(2**31)
            self.turn()
            requests, news = self.network.requests, self.far.news
            if not requests and not news:
                return
            for request in list(requests):
                if not request.arrived and not request.dead:
                    self.network.arrive(request, 0)
                self.network.reply(request)
            while self.far.news:
                self.hear(0)
            self.checks.holds(self.bot)
        raise AssertionError("bot and exchange never rest")

    # -- within ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check what holds after a step. Raises Broken."""
        self.steps += 1
        self._read()
        self.checks.holds(self.bot)
        if self.steps % self._compare_every == 0:
            self.compare()

    def _wall(self) -> int:
        return self.far.now + self.skew_ms

    def _move_to(self, now_ms: int) -> None:
        self.far.now = max(self.far.now, now_ms)
        if self.bot is not None:
            self.bot.loop.move_to((self.far.now - T0) / 1000)

    def _on_facts(self, facts: Sequence[Fact]) -> None:
        self._unread.extend(facts)

    def _read(self) -> None:
        """Let the books follow what has been told since."""
        facts, self._unread = self._unread, []
        for fact in facts:
            name = type(fact).__name__
            self.kinds[name] = self.kinds.get(name, 0) + 1
        self.books.take(facts)

    def picked(self, requests: list[Request], index: int) -> Request | None:
        """Return one of the requests, None where there is none."""
        return requests[index % len(requests)] if requests else None

    def lag(self, index: int) -> int:
        """Return how old an answer is: mostly it is not."""
        return (0, 0, 0, 700, 4_000, LONGEST_LAG_MS)[index % 6]
