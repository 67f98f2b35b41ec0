"""What may a key do beside trading? Asked by the start of a venue, which refuses some keys, and by `tradebot doctor`.

A key that can move money away turns a leak of it into a loss; the bot needs nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from tradebot.domain.errors import CannotStart, ExitCode
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.evidence import followed
from tradebot.exchange.outcomes import Failure, Refused, failure_of
from tradebot.exchange.parsing import Unreadable
from tradebot.ports import Log


class KeyPermissions(Struct, frozen=True):
    """What a key may do, as its exchange tells it; None: it does not tell."""

    reading: bool | None = None
    spot_trading: bool | None = None
    withdrawals: bool | None = None
    internal_transfer: bool | None = None
    universal_transfer: bool | None = None
    margin: bool | None = None
    futures: bool | None = None
    ip_restricted: bool | None = None

    @property
    def moves_money(self) -> tuple[str, ...]:
        """Return in words how the key can move money out of the account it trades on."""
        words = {
            "withdraw": self.withdrawals,
            "transfer to sub-accounts": self.internal_transfer,
            "transfer between wallets": self.universal_transfer,
        }
        return tuple(word for word, may in words.items() if may)

    @property
    def beyond_spot(self) -> tuple[str, ...]:
        """Return in words what else the key may trade; the bot never does."""
        return tuple(word for word, may in {"margin": self.margin, "futures": self.futures}.items() if may)


class Untold(Struct, frozen=True):
    """The exchange does not tell what a key may do, as far as ccxt asks."""

    exchange: str

    @property
    def todo(self) -> str:
        """Return what to do about it."""
        return (
            f"look at the key on {self.exchange}'s own page: trading and reading only, no withdrawals, no transfers, "
            "bound to this machine's address"
        )


async def permissions_of(exchange: Any, credentials: Credentials) -> KeyPermissions | Untold | Failure:
    """Ask `exchange`, an instance of ccxt with keys, what its key may do: one request that only reads.

    Never raises; an answer that cannot be read is Untold.
    """
    way = _WAYS.get(exchange.id)
    if way is None:
        return Untold(exchange.id)
    method, read = way
    with followed() as trail:
        try:
            answer = await getattr(exchange, method)()
        except Exception as error:  # noqa: BLE001 - the border to ccxt: every error is judged
            codes = exchange.exceptions.get("exact")
            return failure_of(error, trail, exchange=exchange.id, codes=codes, hide=credentials.hide)
    try:
        return read(answer)
    except Unreadable:
        return Untold(exchange.id)


def refusal(permissions: KeyPermissions, *, allow_withdrawals: bool) -> str:
    """Return why nothing is traded with such a key, "" where it may be; one line without the key."""
    if permissions.reading is False:
        return "the key may not read the account: allow it to"
    if permissions.spot_trading is False:
        return "the key may not trade spot: allow it to"
    if permissions.moves_money and not allow_withdrawals:
        may = " and ".join(permissions.moves_money)
        return f"the key can {may}: take that from it, or say exchange.allow_withdrawals = true"
    return ""


def refused_key(name: str, found: object) -> CannotStart | None:
    """Return what a start or a command ends with whose question about the account was refused, None where it was not.

    A question that names nothing but the account is refused for the key alone: its name, its secret, its address.
    """
    if not isinstance(found, Refused) or found.why != "rule":
        return None
    text = f"{name} refuses the key: {found.code} {found.message} (look at key, secret, and the addresses it may use)"
    return CannotStart(text, ExitCode.BAD_PROFILE)


async def check_key(exchange: Any, credentials: Credentials, *, allow_withdrawals: bool, log: Log) -> None:
    """Let a start go on with a harmless key only. Raises CannotStart with BAD_PROFILE where `refusal` says why not.

    What cannot be asked just now is told and not held against the key: positions wait for their exits.
    """
    found = await permissions_of(exchange, credentials)
    if not isinstance(found, KeyPermissions):
        text = f"{exchange.id}: what the key may do is not known: {in_words(found)}"
        log.emit("system", "WARNING", "VENUE_KEY_UNCHECKED", text)
        return
    if why := refusal(found, allow_withdrawals=allow_withdrawals):
        raise CannotStart(f"{exchange.id}: {why}", ExitCode.BAD_PROFILE)
    if found.moves_money or found.ip_restricted is False:
        risks = [f"it can {each}" for each in found.moves_money]
        risks += ["it is bound to no address"] if found.ip_restricted is False else []
        log.emit("system", "WARNING", "VENUE_KEY_RISKY", f"{exchange.id}: the key is a risk: {', '.join(risks)}")


def in_words(found: Untold | Failure) -> str:
    """Say why it is not known what a key may do; without keys and addresses."""
    if isinstance(found, Untold):
        return f"it cannot be asked for; {found.todo}"
    if isinstance(found, Refused):
        return f"refused: {found.code} {found.message}"
    return getattr(found, "cause", "") or type(found).__name__


def _of_binance(answer: Any) -> KeyPermissions:
    """Read GET sapi/v1/account/apiRestrictions; source: Binance's wallet API, "Get API Key Permission"."""
    row = _mapping(answer)
    return KeyPermissions(
        reading=_flag(row, "enableReading"),
        spot_trading=_flag(row, "enableSpotAndMarginTrading"),
        withdrawals=_flag(row, "enableWithdrawals"),
        internal_transfer=_flag(row, "enableInternalTransfer"),
        universal_transfer=_flag(row, "permitsUniversalTransfer"),
        margin=_flag(row, "enableMargin"),
        futures=_flag(row, "enableFutures"),
        ip_restricted=_flag(row, "ipRestrict"),
    )


def _of_bybit(answer: Any) -> KeyPermissions:
    """Read GET /v5/user/query-api; source: Bybit's API v5, "Get API Key Information"."""
    row = _mapping(_mapping(answer).get("result"))
    may = _mapping(row.get("permissions"))
    wallet, addresses = _words(may.get("Wallet")), _words(row.get("ips"))
    return KeyPermissions(
        reading=True,
        spot_trading="SpotTrade" in _words(may.get("Spot")) and str(row.get("readOnly")) != "1",
        withdrawals="Withdraw" in wallet,
        internal_transfer=any(word.startswith("SubMemberTransfer") for word in wallet),
        universal_transfer="AccountTransfer" in wallet,
        futures=bool(_words(may.get("ContractTrade")) or _words(may.get("Derivatives"))),
        ip_restricted=bool(addresses) and "*" not in addresses,
    )


def _of_okx(answer: Any) -> KeyPermissions:
    """Read GET /api/v5/account/config, whose `perm` is a list of words; source: OKX's API v5.

    A key that may trade there may also move money between the wallets of its own account: that is not told apart.
    """
    rows = _mapping(answer).get("data")
    row = _mapping(rows[0] if isinstance(rows, list) and rows else None)
    may, address = row.get("perm"), row.get("ip")
    if not isinstance(may, str) or not may:
        raise Unreadable("the answer names no permissions")
    words = {word.strip() for word in may.split(",")}
    return KeyPermissions(
        reading=True,
        spot_trading="trade" in words,
        withdrawals="withdraw" in words,
        ip_restricted=bool(address.strip()) if isinstance(address, str) else None,
    )


def _of_coinbase(answer: Any) -> KeyPermissions:
    """Read GET /api/v3/brokerage/key_permissions; source: Coinbase's Advanced Trade API, "Get API Key Permissions"."""
    row = _mapping(answer)
    return KeyPermissions(
        reading=_flag(row, "can_view"), spot_trading=_flag(row, "can_trade"), withdrawals=_flag(row, "can_transfer")
    )


_WAYS: Final[Mapping[str, tuple[str, Callable[[Any], KeyPermissions]]]] = {
    "binance": ("sapiGetAccountApiRestrictions", _of_binance),
    "bybit": ("privateGetV5UserQueryApi", _of_bybit),
    "okx": ("privateGetAccountConfig", _of_okx),
    "coinbase": ("v3PrivateGetBrokerageKeyPermissions", _of_coinbase),
}
"""ccxt's method and the reader of its answer, by exchange; each is one request that changes nothing."""


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable("the answer is no table")
    return value


def _flag(row: Mapping[str, Any], name: str) -> bool:
    """Return a flag. Raises Unreadable where it is missing: a key is never held to be harmless by an omission."""
    value = row.get(name)
    if not isinstance(value, bool):
        raise Unreadable(f"{name} is no flag")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Unreadable("the permissions are no list")
    return tuple(str(each) for each in value)
