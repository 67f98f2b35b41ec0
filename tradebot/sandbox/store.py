"""What of the sandbox's accounts survives its restart? Asked by the exchange before it answers or tells anything.

Each `save` is one transaction: what it names survives the end of the process at any instruction. Orders that ended and
trades live here alone; the exchange holds open orders and balances. Secrets are not among it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from tradebot.domain.errors import StorageFailed
from tradebot.domain.orders import Balance
from tradebot.sandbox.ledger import Changes, Numbers
from tradebot.sandbox.orders import OPEN, HeldOrder, OwnTrade

SCHEMA = 1
"""Version of the tables."""

_BUSY_S = 1.0
_PRIMARY = 0xFF  # of an extended result code

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE accounts (account TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE balances (account TEXT NOT NULL, asset TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL,
    PRIMARY KEY (account, asset)) WITHOUT ROWID""",
    """CREATE TABLE orders (order_id INTEGER PRIMARY KEY, account TEXT NOT NULL, symbol TEXT NOT NULL,
    client_id TEXT NOT NULL, open INTEGER NOT NULL, created_ms INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX orders_of ON orders (account, symbol, order_id)",
    "CREATE INDEX orders_named ON orders (account, symbol, client_id, order_id)",
    "CREATE INDEX orders_open ON orders (account) WHERE open = 1",
    """CREATE TABLE trades (trade_id INTEGER PRIMARY KEY, account TEXT NOT NULL, symbol TEXT NOT NULL,
    order_id INTEGER NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX trades_of ON trades (account, symbol, trade_id)",
)

_encoder = msgspec.json.Encoder(decimal_format="string")
_order = msgspec.json.Decoder(HeldOrder)
_trade = msgspec.json.Decoder(OwnTrade)


class Store:
    """A SQLite file, or memory alone where there is none to survive in."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the store. Raises StorageFailed naming the file."""
        self.path = path
        try:
            if path is not None:
                path.touch(mode=0o600, exist_ok=True)
            self._database = sqlite3.connect(
                ":memory:" if path is None else path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StorageFailed(f"{path}: the exchange's store cannot be opened ({error})") from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            if getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_BUSY:
                raise StorageFailed(f"{path}: in use by another process; each sandbox has its own folder") from error
            raise StorageFailed(f"{path}: not a store of the sandbox exchange ({error})") from error

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode=EXCLUSIVE")  # one process to a store: a second one is refused
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        if not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            run("BEGIN IMMEDIATE")
            for statement in _TABLES:
                run(statement)
            run("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            run("INSERT INTO meta VALUES ('numbers', ?)", (_encoder.encode(Numbers()).decode(),))
            run("COMMIT")
        row = run("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if row is None or row[0] != str(SCHEMA):
            raise sqlite3.DatabaseError(f"schema {row[0] if row else 'none'}, this version reads {SCHEMA}")

    def load_numbers(self) -> Numbers:
        """Return the counters as last saved."""
        (text,) = self._database.execute("SELECT value FROM meta WHERE key = 'numbers'").fetchone()
        return msgspec.json.decode(text, type=Numbers)

    def load_account(self, account: str) -> tuple[dict[str, Balance], list[HeldOrder]] | None:
        """Return an account's balances and open orders, None where it was never saved. Raises StorageFailed."""
        run = self._database.execute
        try:
            if run("SELECT 1 FROM accounts WHERE account = ?", (account,)).fetchone() is None:
                return None
            rows = run("SELECT asset, free, locked FROM balances WHERE account = ?", (account,)).fetchall()
            balances = {asset: Balance(*(Decimal(text) for text in sums)) for asset, *sums in rows}
            orders = run("SELECT body FROM orders WHERE account = ? AND open = 1 ORDER BY order_id", (account,))
            return balances, [_order.decode(body) for (body,) in orders]
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise StorageFailed(f"{self.path}: the exchange's store is damaged ({error})") from error

    def save(self, changes: Changes, numbers: Numbers) -> None:
        """Store what changed, all of it or nothing. Raises StorageFailed."""
        run, run_many = self._database.execute, self._database.executemany
        account = changes.account
        try:
            run("BEGIN IMMEDIATE")
            run("UPDATE meta SET value = ? WHERE key = 'numbers'", (_encoder.encode(numbers).decode(),))
            run("INSERT OR IGNORE INTO accounts VALUES (?)", (account,))
            run_many(
                "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?)",
                [(account, asset, str(each.free), str(each.locked)) for asset, each in changes.balances.items()],
            )
            run_many(
                "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        key,
                        account,
                        each.symbol,
                        each.client_id,
                        each.status in OPEN,
                        each.created_ms,
                        _encoder.encode(each),
                    )
                    for key, each in changes.orders.items()
                ],
            )
            run_many(
                "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (each.trade_id, account, each.symbol, each.order_id, each.at_ms, _encoder.encode(each))
                    for each in changes.trades
                ],
            )
            run("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                run("ROLLBACK")
            raise StorageFailed(f"{self.path}: the exchange's store cannot be written ({error})") from error

    def order(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> HeldOrder | None:
        """Return an order by its id, else the latest of a client's id; None where there is none."""
        if order_id is not None:
            found = self._select("WHERE order_id = ? AND account = ? AND symbol = ?", (order_id, account, symbol))
            return found[0] if found and client_id in {None, found[0].client_id} else None
        where = "WHERE account = ? AND symbol = ? AND client_id = ? ORDER BY order_id DESC LIMIT 1"
        found = self._select(where, (account, symbol, client_id))
        return found[0] if found else None

    def orders(
        self, account: str, symbol: str, *, from_id: int | None, from_ms: int | None, to_ms: int | None, limit: int
    ) -> list[HeldOrder]:
        """Return at most `limit` orders of a symbol, oldest first: from an id or time on, else the latest."""
        where, values = _span("created_ms", from_ms, to_ms)
        if from_id is not None:
            where, values = [*where, "order_id >= ?"], [*values, from_id]
        down = "DESC" if from_id is None and from_ms is None else "ASC"
        text = " AND ".join(["WHERE account = ? AND symbol = ?", *where]) + f" ORDER BY order_id {down} LIMIT ?"
        found = self._select(text, (account, symbol, *values, limit))
        return found[::-1] if down == "DESC" else found

    def trades(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None,
        from_id: int | None,
        from_ms: int | None,
        to_ms: int | None,
        limit: int,
    ) -> list[OwnTrade]:
        """Return at most `limit` trades of a symbol, oldest first: from an id or time on, else the latest."""
        where, values = _span("at_ms", from_ms, to_ms)
        if order_id is not None:
            where, values = [*where, "order_id = ?"], [*values, order_id]
        if from_id is not None:
            where, values = [*where, "trade_id >= ?"], [*values, from_id]
        down = "DESC" if from_id is None and from_ms is None and order_id is None else "ASC"
        text = " AND ".join(["WHERE account = ? AND symbol = ?", *where]) + f" ORDER BY trade_id {down} LIMIT ?"
        rows = self._database.execute(
            f"SELECT body FROM trades {text}",  # noqa: S608  our own text
            (account, symbol, *values, limit),
        ).fetchall()
        found = [_trade.decode(body) for (body,) in rows]
        return found[::-1] if down == "DESC" else found

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        self._database.close()

    def _select(self, where: str, values: Sequence[object]) -> list[HeldOrder]:
        rows = self._database.execute(f"SELECT body FROM orders {where}", values).fetchall()  # noqa: S608  our own text
        return [_order.decode(body) for (body,) in rows]


def _span(column: str, from_ms: int | None, to_ms: int | None) -> tuple[list[str], list[int]]:
    where, values = [], []
    if from_ms is not None:
        where.append(f"{column} >= ?")
        values.append(from_ms)
    if to_ms is not None:
        where.append(f"{column} <= ?")
        values.append(to_ms)
    return where, values
