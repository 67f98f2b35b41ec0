"""Where may an exchange be spoken to? One address for all of it, or its own; asked by the construction of an exchange.

ccxt keeps the real address of everything that is not overridden by name, so all of them are replaced as a whole, and
the connections themselves go nowhere else, whatever an answer names (a redirect, an address of a socket).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.sending import SentAtOnce

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_SOCKETS = {"http": "ws", "https": "wss"}

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # what aiohttp follows


class Elsewhere(aiohttp.ClientError):
    """A request would have left the one address that is allowed; it was not sent there."""


def moved(urls: Mapping[str, Any], base_url: str, places: Mapping[str, str]) -> dict[str, Any]:
    """Return ccxt's `urls`, every leaf of it on `base_url`: its path is kept, `places` say otherwise by dotted name.

    Web sockets speak the socket's scheme. Raises CannotStart where `base_url` is not on loopback or a leaf would
    leave it.
    """
    base = urlsplit(base_url)
    if not is_loopback(base.hostname or ""):
        raise CannotStart(
            f"exchange.base_url: {base_url} is not on this machine; leave it empty to speak to the exchange itself",
            ExitCode.BAD_PROFILE,
        )
    tree = {key: _moved(value, base_url, places, key) for key, value in urls.items()}
    for name, leaf in leaves(tree):
        there = urlsplit(leaf if "://" in leaf else f"//{leaf}")
        if (there.hostname, there.port) != (base.hostname, base.port):
            raise CannotStart(f"the exchange's address {name} would leave {base_url}", ExitCode.BAD_PROFILE)
    return tree


def leaves(tree: Mapping[str, Any] | list[Any], under: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted name, address) of everything in ccxt's `urls`."""
    pairs = tree.items() if isinstance(tree, Mapping) else ((str(index), item) for index, item in enumerate(tree))
    for key, value in pairs:
        name = f"{under}.{key}" if under else str(key)
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, Mapping | list):
            yield from leaves(value, name)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine by its loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _moved(value: Any, base_url: str, places: Mapping[str, str], name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(item, base_url, places, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, base_url, places, f"{name}.{index}") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    there, base = urlsplit(value), urlsplit(base_url)
    if not there.scheme:
        return base.netloc  # a bare name of a host, which ccxt puts into addresses
    scheme = _SOCKETS[base.scheme] if there.scheme in {"ws", "wss"} else base.scheme
    return f"{scheme}://{base.netloc}{places.get(name, there.path)}"


class LoopbackConnector(aiohttp.TCPConnector):
    """Connects to one address of this machine and to nothing else."""

    def __init__(self, base_url: str) -> None:
        super().__init__(limit=0, use_dns_cache=False)
        base = urlsplit(base_url)
        self._only = (base.hostname, base.port or {"http": 80, "https": 443}[base.scheme])

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Return a connection. Raises Elsewhere for any address but the one."""
        self._check(req)
        return await super().connect(req, traces, timeout)

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        self._check(req)
        return await super()._create_connection(req, traces, timeout)

    def _check(self, req: ClientRequest) -> None:
        if (req.url.host, req.url.port) != self._only or req.proxy is not None:
            raise Elsewhere(f"{req.url.host}:{req.url.port} is not the address that is allowed")


async def _no_redirect(request: ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status in _REDIRECTS:
        response.close()
        raise Elsewhere("the exchange answered with another address, which would be told the key")
    return response


def session_of(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a session over `connector` that follows no redirect and no proxy of the environment. Needs a loop."""
    return aiohttp.ClientSession(
        connector=connector, request_class=SentAtOnce, middlewares=(_no_redirect,), trust_env=False
    )
