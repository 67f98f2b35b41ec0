"""How do sockets, streams and faults come together? Asked by the server, once.

service = Service(exchange, calls, clock, faults_file)          calls made with `clock.now_ms`
app.add_routes([*Rest(calls, service.interpose).routes(), *service.routes()])
await service.start() inside the loop, await service.stop() before the server closes
"""

from __future__ import annotations

from aiohttp import web

from tradebot.config.faults_file import FaultsFile
from tradebot.sandbox.calls import Calls
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.fault_admin import Admin
from tradebot.sandbox.fault_replies import Spoiler
from tradebot.sandbox.fault_rest import RestFaults
from tradebot.sandbox.fault_state import Controls, SkewedClock
from tradebot.sandbox.faults import Faults
from tradebot.sandbox.rest import Interpose
from tradebot.sandbox.sockets import Gate, Sockets
from tradebot.sandbox.streams import PATHS, Streams
from tradebot.sandbox.streams_board import Board
from tradebot.sandbox.userdata import WsApi
from tradebot.sandbox.userdata_audience import Audiences


class Service:
    """Everything of the exchange that is not REST, and the faults around all of it."""

    def __init__(self, exchange: Exchange, calls: Calls, clock: SkewedClock, file: FaultsFile) -> None:
        """Begin in the state the faults file says. Raises ValueError where it names a symbol nobody lists."""
        gate = Gate()
        self.sockets = Sockets(file.sockets, gate)
        self.faults = Faults(file.seed, file.fault)
        self.controls = Controls(exchange, clock, self.sockets, gate)
        self.audiences = Audiences(exchange, clock.now_ms)
        self.board = Board(exchange.market.symbols, clock.now_ms)
        spoiler = Spoiler(self.controls)
        self._rest = RestFaults(self.faults, self.controls, spoiler, self.audiences)
        self._streams = Streams(self.board, self.sockets, self.faults, self.controls)
        self._ws_api = WsApi(calls, self.sockets, self.faults, self.controls, spoiler, self.audiences)
        self._admin = Admin(self.faults, self.controls, calls.keys)
        clock.skew_ms = file.skew_ms
        for symbol in file.market.halted:
            _known(self.controls.trade(symbol, "halt"), symbol)
        for symbol in file.market.delisted:
            _known(self.controls.trade(symbol, "delist"), symbol)
        self._end = exchange.subscribe_market(self.board.put)

    @property
    def interpose(self) -> Interpose:
        """Return what stands between REST's requests and its answers."""
        return self._rest.interpose

    def routes(self) -> list[web.RouteDef]:
        """Return where streams, ws-api and control are reached."""
        public = self._rest.around("connect.market", self._streams.serve)
        private = self._rest.around("connect.user", self._ws_api.serve)
        streams = [web.get(path, public) for path in PATHS]
        return [*streams, web.get("/ws-api/v3", private), *self._admin.routes()]

    async def start(self) -> None:
        """Let the streams tick."""
        self.board.start()

    async def stop(self) -> None:
        """End every socket and everything late; harmless when called twice."""
        self._end()
        await self.controls.close()
        await self.sockets.close()
        await self.board.stop()
        self.audiences.close()


def _known(known: bool, symbol: str) -> None:
    if not known:
        raise ValueError(f"the faults file names {symbol}, which is not listed here")
