"""Where does the paper account live between runs? Asked by recovery through the paper venue, as any venue is asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from tradebot.domain.account import AccountDelta, AccountImage, AccountOrder
from tradebot.domain.errors import StorageFailed
from tradebot.domain.events import FillReported
from tradebot.domain.orders import Balance
from tradebot.storage.files import set_aside
from tradebot.storage.journal_file import SYNCHRONOUS, Durability
from tradebot.storage.sqlite_file import tables, write_ahead

SCHEMA = 1
"""Version of the account's tables."""

_OPEN = ("pending", "open")

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE counters (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL,
    next_order INTEGER NOT NULL, next_trade INTEGER NOT NULL, requests INTEGER NOT NULL)""",
    "CREATE TABLE balances (n INTEGER PRIMARY KEY, asset TEXT NOT NULL UNIQUE, body BLOB NOT NULL)",
    """CREATE TABLE orders (n INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, open INTEGER NOT NULL,
    revision INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX orders_newest ON orders (open, revision)",
    "CREATE TABLE fills (n INTEGER PRIMARY KEY, client_id TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX fills_of ON fills (client_id)",
)

_encoder = msgspec.json.Encoder(decimal_format="string", order="deterministic")
_balance = msgspec.json.Decoder(Balance)
_order = msgspec.json.Decoder(AccountOrder)
_fill = msgspec.json.Decoder(FillReported)


class AccountStore:
    """A SQLite file that holds one paper account: every order and fill it ever had, and its balances.

    Each `save` is one transaction: what it names survives the end of the process at any instruction, and with the
    durability "power" a loss of power too, as the journal's facts about it do.
    """

    def __init__(self, path: Path, *, orders_kept: int, busy_s: float, durability: Durability = "process") -> None:
        """Open or make the store at `path`. `orders_kept` bounds the finished orders that `load` returns.

        `busy_s` is the longest wait for another process's lock.
        Raises StorageFailed naming the file when it is no account, damaged, or from a newer version.
        """
        self.path = path
        self._orders_kept = orders_kept
        self._database = _connect(path, busy_s, durability)

    def load(self) -> AccountImage | None:
        """Return the account, None where nothing was ever saved.

        All open orders and the finished ones that changed last, in the order they were first seen, with their fills.
        Raises StorageFailed.
        """
        query = self._database.execute
        try:
            counters = query("SELECT next_order, next_trade, requests FROM counters").fetchone()
            if counters is None:
                return None
            chosen = (
                "SELECT client_id FROM orders WHERE open = 1 UNION ALL SELECT client_id FROM"
                " (SELECT client_id FROM orders WHERE open = 0 ORDER BY revision DESC, n DESC LIMIT ?)"
            )
            orders = query(
                f"SELECT body FROM orders WHERE client_id IN ({chosen}) ORDER BY n",  # noqa: S608  our own text
                (self._orders_kept,),
            ).fetchall()
            fills = query(
                f"SELECT body FROM fills WHERE client_id IN ({chosen}) ORDER BY n",  # noqa: S608  our own text
                (self._orders_kept,),
            ).fetchall()
            balances = query("SELECT asset, body FROM balances ORDER BY n").fetchall()
            decoded = [_order.decode(body) for (body,) in orders]
            held = {asset: _balance.decode(body) for asset, body in balances}
            for asset, balance in held.items():
                if not all(part.is_finite() for part in (balance.free, balance.locked)):
                    raise StorageFailed(f"{self.path}: the paper account is damaged ({asset}: {balance})")
            return AccountImage(
                balances=held,
                orders={order.client_id: order for order in decoded},
                fills=[_fill.decode(body) for (body,) in fills],
                next_order=counters[0],
                next_trade=counters[1],
                requests=counters[2],
            )
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise StorageFailed(
                f"{self.path}: the paper account is damaged ({error}); --fresh sets it aside"
            ) from error

    def save(self, delta: AccountDelta) -> None:
        """Store what changed, all of it or nothing. Raises StorageFailed; the account on disk is then as before."""
        run, run_many = self._database.execute, self._database.executemany
        try:
            run("BEGIN IMMEDIATE")
            run(
                "INSERT INTO counters VALUES (1, 1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET revision = revision + 1,"
                " next_order = excluded.next_order, next_trade = excluded.next_trade, requests = excluded.requests",
                (delta.next_order, delta.next_trade, delta.requests),
            )
            run_many(
                "INSERT INTO balances (asset, body) VALUES (?, ?)"
                " ON CONFLICT (asset) DO UPDATE SET body = excluded.body",
                [(asset, _encoder.encode(balance)) for asset, balance in delta.balances.items()],
            )
            run_many(
                "INSERT INTO orders (client_id, open, revision, body)"
                " VALUES (?, ?, (SELECT revision FROM counters), ?) ON CONFLICT (client_id)"
                " DO UPDATE SET open = excluded.open, revision = excluded.revision, body = excluded.body",
                [(key, order.status in _OPEN, _encoder.encode(order)) for key, order in delta.orders.items()],
            )
            run_many(
                "INSERT INTO fills (client_id, body) VALUES (?, ?)",
                [(fill.client_id, _encoder.encode(fill)) for fill in delta.fills],
            )
            run("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                run("ROLLBACK")
            raise StorageFailed(f"{self.path}: the paper account cannot be written ({error})") from error

    @staticmethod
    def reset(path: Path, now_ms: int) -> Path | None:
        """Set the account at `path` aside, so that the next opening begins a new one; return its new name.

        Called before opening: a damaged account is set aside as well. None where there is no file.
        Raises StorageFailed.
        """
        return set_aside(path, now_ms, tails=("-wal", "-shm"))

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        self._database.close()


def _connect(path: Path, busy_s: float, durability: Durability) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600, exist_ok=True)
        database = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"{path}: the paper account cannot be opened ({error})") from error
    try:
        write_ahead(path, database)
        database.execute(f"PRAGMA synchronous={SYNCHRONOUS[durability]}")
        if not tables(database):
            database.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                database.execute(statement)
            database.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            database.execute("COMMIT")
        row = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.Error as error:
        database.close()
        raise StorageFailed(f"{path}: not a paper account ({error}); `--fresh` sets it aside") from error
    except StorageFailed:
        database.close()
        raise
    version = row[0] if row else "none"
    if version != str(SCHEMA):
        database.close()
        raise StorageFailed(f"{path}: paper account of schema {version}, this version reads schema {SCHEMA}")
    return database
