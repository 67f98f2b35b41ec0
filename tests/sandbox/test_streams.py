"""Do the market streams say what the market did, to clients that follow Binance's own rules?"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from tests.sandbox.faults_kit import WAIT_S, book, money, trade, wire
from tests.sandbox.streams_kit import streaming
from tradebot.config.faults_file import SocketPace


def test_an_id_comes_back_with_its_type_and_subscriptions_are_listed() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/stream/ws/0") as client:
            followed = ["btcusdt@trade", "btcusdt@depth@100ms", "!miniTicker@arr"]
            assert await client.ask("SUBSCRIBE", followed, 7) == {"result": None, "id": 7}
            assert await client.ask("UNSUBSCRIBE", ["btcusdt@trade"], "eight") == {"result": None, "id": "eight"}
            assert await client.ask("LIST_SUBSCRIPTIONS", number=9) == {"result": followed[1:], "id": 9}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["nonsense"],"id":1}', 2),
        ('{"method":"SHOUT","id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["x",true],"id":1}', 0),
        ('{"method":"SUBSCRIBE","params":[],"id":{}}', 2),
    ],
)
def test_what_is_no_request_is_refused_and_the_socket_goes_on(said: str, code: int) -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws") as client:
            await client.socket.send_str(said)
            assert (await client.hear())["error"]["code"] == code
            assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == []

    asyncio.run(run())


def test_trades_and_best_prices_leave_as_they_happen_and_in_order() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws") as client:
            await client.ask("SUBSCRIBE", ["btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker"])
            served.market(trade(101.0, 0.5), book(102.0, 103.0), trade(102.0, 0.25, buyer_taker=False))
            first, aggregate, quote, second, _ = [await client.hear() for _ in range(5)]
            assert (first["e"], first["s"], first["p"], first["q"], first["m"]) == (
                *("trade", "BTCUSDT"),
                *("101.00000000", "0.50000000", False),
            )
            assert (aggregate["e"], aggregate["f"], aggregate["l"]) == ("aggTrade", first["t"], first["t"])
            assert set(quote) == {"u", "s", "b", "B", "a", "A"}
            assert (quote["b"], quote["a"]) == ("102.00000000", "103.00000000")
            assert (second["t"], second["m"]) == (first["t"] + 1, True)

    asyncio.run(run())


def test_depth_diffs_are_continuous_and_build_the_book_of_the_exchange() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws/btcusdt@depth@100ms") as client:
            await client.ask("LIST_SUBSCRIPTIONS")
            market = served.exchange.market.symbols["BTCUSDT"]
            snapshot_id, bids = market.update_id, {f"{price:.8f}": f"{size:.8f}" for price, size in market.bids}
            last = snapshot_id
            for move in range(3):
                served.market(book(100.0 + move, 102.0 + move, size=2.0), book(101.0 + move, 103.0 + move))
                diff = await client.hear()
                assert (diff["e"], diff["U"]) == ("depthUpdate", last + 1)
                last = diff["u"]
                for price, size in diff["b"]:
                    bids[price] = size
                    if not money(size):
                        del bids[price]
                assert last == market.update_id
                assert bids == {f"{price:.8f}": f"{size:.8f}" for price, size in market.bids}

    asyncio.run(run())


def test_partial_books_candles_and_tickers_come_at_their_own_pace() -> None:
    names = ("depth5@100ms", "kline_1m", "miniTicker", "ticker", "avgPrice")

    async def run() -> None:
        streams = "/".join(f"btcusdt@{name}" for name in names)
        async with streaming() as served, wire(served.session, f"{served.url}/stream?streams={streams}") as client:
            await client.ask("LIST_SUBSCRIPTIONS")
            served.market(trade(101.0, 0.5), trade(102.0, 0.5), book(101.0, 102.0, depth=8))
            served.board.tick(slow=True)
            said: dict[str, dict[str, Any]] = {}
            while len(said) < len(names):
                message = await client.hear()
                said[message["stream"].partition("@")[2]] = message["data"]
            assert len(said["depth5@100ms"]["bids"]) == 5
            assert said["depth5@100ms"]["lastUpdateId"] == served.exchange.market.symbols["BTCUSDT"].update_id
            candle = said["kline_1m"]["k"]
            assert (candle["o"], candle["c"], candle["v"], candle["x"]) == (
                *("101.00000000", "102.00000000", "1.00000000", False),
            )
            assert candle["T"] == candle["t"] + 59_999
            assert (said["miniTicker"]["e"], said["miniTicker"]["c"]) == ("24hrMiniTicker", "102.00000000")
            assert (said["ticker"]["P"], said["ticker"]["n"]) == ("0.990", 2)
            assert said["avgPrice"]["w"] == "101.50000000"

    asyncio.run(run())


def test_a_candle_is_told_closed_once_and_the_next_one_begins() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws") as client:
            served.market(trade(101.0))
            await client.ask("SUBSCRIBE", ["btcusdt@kline_1m"])
            served.clock.skew_ms = 60_000
            served.board.tick(slow=True)
            served.board.tick(slow=True)
            closed, opened = (await client.hear())["k"], (await client.hear())["k"]
            assert (closed["x"], closed["n"], opened["x"], opened["n"]) == (True, 1, False, 0)
            assert opened["t"] == closed["t"] + 60_000
            await client.ask("UNSUBSCRIBE", ["btcusdt@kline_1m"])

    asyncio.run(run())


def test_the_tickers_of_all_symbols_are_those_that_changed() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws/!miniTicker@arr") as client:
            await client.ask("LIST_SUBSCRIPTIONS")
            served.market(trade(101.0), trade(7.0, symbol="ETH/USDT"))
            served.board.tick(slow=True)
            assert {each["s"] for each in await client.hear()} == {"BTCUSDT", "ETHUSDT"}
            served.market(trade(8.0, symbol="ETH/USDT"))
            served.board.tick(slow=True)
            assert [(each["s"], each["c"]) for each in await client.hear()] == [("ETHUSDT", "8.00000000")]

    asyncio.run(run())


def test_a_client_can_have_its_messages_wrapped() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws/btcusdt@trade") as client:
            assert (await client.ask("GET_PROPERTY", ["combined"]))["result"] is False
            await client.ask("SET_PROPERTY", ["combined", True])
            served.market(trade(101.0))
            message = await client.hear()
            assert (message["stream"], message["data"]["e"]) == ("btcusdt@trade", "trade")

    asyncio.run(run())


def test_a_client_that_says_too_much_is_shown_out() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws") as client:
            for number in range(6):
                await client.say({"method": "LIST_SUBSCRIPTIONS", "id": number})
            last = await client.ended()
            assert (client.socket.close_code, last.data) == (1008, 1008)

    asyncio.run(run())


def test_no_socket_follows_more_streams_than_may_be() -> None:
    async def run() -> None:
        async with (
            streaming(SocketPace(most_streams=3)) as served,
            wire(served.session, f"{served.url}/ws/a@trade/b@trade") as client,
        ):
            assert (await client.ask("SUBSCRIBE", ["c@trade", "d@trade"]))["error"]["code"] == 2
            assert (await client.ask("SUBSCRIBE", ["c@trade"]))["result"] is None

    asyncio.run(run())


def test_a_slow_reader_is_cut_off_and_others_are_not() -> None:
    async def run() -> None:
        async with (
            streaming(SocketPace(queue_messages=20)) as served,
            wire(served.session, f"{served.url}/ws/btcusdt@depth@100ms") as good,
        ):
            await good.ask("LIST_SUBSCRIPTIONS")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]), limit=1_024)
            writer.write(
                b"GET /ws/btcusdt@depth@100ms HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert b"101 Switching" in await reader.readuntil(b"\r\n\r\n")
            for count in range(1_000):
                served.market(book(10_000.0, 10_001.0, size=5.0 + count, depth=1_000))
                served.board.tick(slow=False)
                assert (await good.hear())["e"] == "depthUpdate"
                if len(served.sockets.of()) == 1:
                    break
            assert len(served.sockets.of()) == 1
            writer.close()
            served.market(book(100.0, 101.0))
            served.board.tick(slow=False)
            assert (await good.hear())["e"] == "depthUpdate"

    asyncio.run(run())


def test_the_exchange_pings_and_ends_a_socket_that_answers_none() -> None:
    async def run() -> None:
        pace = SocketPace(ping_interval_s=0.05, pong_deadline_s=2.0)  # a busy machine stands still for a second
        async with (
            streaming(pace) as served,
            wire(served.session, f"{served.url}/ws") as polite,
        ):
            listening = asyncio.ensure_future(polite.ended())
            async with wire(served.session, f"{served.url}/ws", autoping=False) as rude:
                message = await asyncio.wait_for(rude.socket.receive(), WAIT_S)
                assert message.type.name == "PING"
                await rude.ended()
                assert len(served.sockets.of()) == 1
                assert not listening.done()
            listening.cancel()

    asyncio.run(run())


def test_a_clients_ping_is_answered() -> None:
    async def run() -> None:
        async with streaming() as served, wire(served.session, f"{served.url}/ws", autoping=False) as client:
            await client.socket.ping(b"alive?")
            message = await asyncio.wait_for(client.socket.receive(), WAIT_S)
            assert (message.type.name, bytes(message.data)) == ("PONG", b"alive?")

    asyncio.run(run())


def test_a_socket_ends_with_its_day() -> None:
    async def run() -> None:
        async with (
            streaming(SocketPace(lifetime_s=0.1)) as served,
            wire(served.session, f"{served.url}/ws") as client,
        ):
            await client.ended()
            assert client.socket.close_code == 1001

    asyncio.run(run())


def test_a_shutdown_is_announced_to_everybody() -> None:
    async def run() -> None:
        async with (
            streaming() as served,
            wire(served.session, f"{served.url}/ws") as one,
            wire(served.session, f"{served.url}/stream?streams=btcusdt@trade") as other,
        ):
            for client in (one, other):
                await client.ask("LIST_SUBSCRIPTIONS")
            assert served.controls.announce_shutdown() == 2
            for client in (one, other):
                event = await client.hear()
                assert event["e"] == "serverShutdown"
                assert isinstance(event["E"], int)

    asyncio.run(run())


def test_what_is_sent_is_one_json_text_for_all_followers() -> None:
    async def run() -> None:
        async with (
            streaming() as served,
            wire(served.session, f"{served.url}/ws/btcusdt@trade") as one,
            wire(served.session, f"{served.url}/ws/btcusdt@trade") as other,
        ):
            for client in (one, other):
                await client.ask("LIST_SUBSCRIPTIONS")
            served.market(trade(101.0))
            first, second = [await client.socket.receive_str() for client in (one, other)]
            assert first == second
            assert json.loads(first)["e"] == "trade"

    asyncio.run(run())


def test_a_client_that_is_gone_before_its_handshake_ends_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[BaseException | None] = []

    async def run() -> None:
        arrived, over = asyncio.Event(), asyncio.Event()
        async with streaming() as served:

            async def late(request: web.Request) -> web.StreamResponse:
                arrived.set()
                while request.transport is not None:  # noqa: ASYNC110 - its end tells nobody
                    await asyncio.sleep(0)
                try:
                    return await served.streams.serve(request)
                except web.HTTPException as refused:
                    ended.append(refused.__cause__)
                    raise
                finally:
                    asyncio.get_running_loop().call_soon(over.set)

            app = web.Application()
            app.add_routes([web.get("/late", late)])
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
            lines = ("GET /late HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket")
            shake = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "")
            writer.write("\r\n".join((*lines, *shake)).encode())
            async with asyncio.timeout(WAIT_S):
                await arrived.wait()
                writer.transport.abort()
                await over.wait()
                assert served.sockets.of() == []
            await runner.cleanup()
            assert reader.at_eof() or reader.exception() is not None

    asyncio.run(run())
    assert [isinstance(cause, ConnectionError) for cause in ended] == [True]
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []
