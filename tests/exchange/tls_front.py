"""How does a test speak to an exchange by its production addresses without leaving this machine?

A front of TLS stands before a server on loopback, with a certificate of a test's own authority; a resolver knows one
answer to every name: this machine, at the front's port.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ("api.binance.com", "stream.binance.com", "ws-api.binance.com")


class Authority:
    """A certificate authority of one test, and the certificate of `HOSTS` that it signed."""

    def __init__(self, folder: Path) -> None:
        key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        self._certificate = _signed(name, name, key.public_key(), key, x509.BasicConstraints(ca=True, path_length=0))
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
        leaf = _signed(subject, name, own.public_key(), key, names)
        self._served, self._key = folder / "served.pem", folder / "served.key"
        self._served.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        self._key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def serving(self) -> ssl.SSLContext:
        """Return what a server of `HOSTS` proves itself with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._served, self._key)
        return context

    def trusting(self) -> ssl.SSLContext:
        """Return what a client trusts: this authority, and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._certificate.public_bytes(serialization.Encoding.PEM).decode())
        return context


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    by: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
    return made.add_extension(extension, critical=False).sign(by, hashes.SHA256())


class OnlyHere(AbstractResolver):
    """Knows one address for every name: this machine, at one port; `asked` holds the (name, port) that were wanted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: set[tuple[str, int]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.add((host, port))
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Hold nothing."""


class Front:
    """TLS before a server on loopback."""

    def __init__(self, authority: Authority, port: int) -> None:
        self.authority = authority
        self.resolver = OnlyHere(port)

    def connector(self) -> aiohttp.BaseConnector:
        """Return what every session connects by."""
        return aiohttp.TCPConnector(limit=0, resolver=self.resolver, ssl=self.authority.trusting())

    def strict(self) -> aiohttp.BaseConnector:
        """Return the same with the authorities of this machine, to which the test's own is unknown."""
        return aiohttp.TCPConnector(limit=0, resolver=self.resolver, ssl=ssl.create_default_context())


@asynccontextmanager
async def tls_front(base_url: str, folder: Path) -> AsyncIterator[Front]:
    """Serve TLS before `base_url` until left."""
    authority, behind = Authority(folder), urlsplit(base_url)

    carried: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(behind.hostname, behind.port)
        for ends in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(_pump(*ends))
            carried.add(task)
            task.add_done_callback(carried.discard)

    server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=authority.serving())
    try:
        yield Front(authority, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(carried):
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until one side ends."""
    try:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
