"""Why does the sandbox say no, in Binance's words? Asked by its core, its REST and its ws-api.

Codes and texts: Binance spot API, "Error codes"; statuses: "General API information".
"""

from __future__ import annotations

from typing import Final


class ApiError(Exception):
    """A request that is not done: Binance's code and text, the HTTP status, and when to come again (s), if ever."""

    def __init__(self, code: int, message: str, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        """Return the answer's JSON object."""
        return {"code": self.code, "msg": self.message}


_WEBSOCKETS: Final = "Please use WebSocket Streams for live updates to avoid"


def filter_failure(name: str) -> ApiError:
    """Return the refusal of an order that breaks the filter `name`."""
    return ApiError(-1013, f"Filter failure: {name}")


def rejected(message: str) -> ApiError:
    """Return the matching engine's refusal of a new order."""
    return ApiError(-2010, message)


def invalid_symbol() -> ApiError:
    """Return the refusal of a symbol nobody knows."""
    return ApiError(-1121, "Invalid symbol.")


def unknown_order() -> ApiError:
    """Return the refusal of a cancel that finds no open order."""
    return ApiError(-2011, "Unknown order sent.")


def no_such_order() -> ApiError:
    """Return the answer of a query that finds nothing."""
    return ApiError(-2013, "Order does not exist.")


def missing(name: str) -> ApiError:
    """Return the refusal of a request without a parameter it needs, or with one that cannot be read."""
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def one_of(first: str, second: str) -> ApiError:
    """Return the refusal of a request that names neither of two parameters."""
    return ApiError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def too_many_parameters(read: int, sent: int) -> ApiError:
    """Return the refusal of a request with parameters nobody reads."""
    return ApiError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def empty(name: str) -> ApiError:
    """Return the refusal of an empty parameter."""
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> ApiError:
    """Return the refusal of a parameter that this kind of order does not take."""
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def illegal_characters(name: str, legal: str) -> ApiError:
    """Return the refusal of a parameter with characters outside of the pattern `legal`."""
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def too_precise(name: str) -> ApiError:
    """Return the refusal of a number with more decimal places than its asset has."""
    return ApiError(-1111, f"Parameter '{name}' has too much precision.")


def not_valid(name: str) -> ApiError:
    """Return the refusal of a value that is none of those possible."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_key_format() -> ApiError:
    """Return the refusal of a request without a well-formed key."""
    return ApiError(-2014, "API-key format invalid.", 401)


def bad_key() -> ApiError:
    """Return the refusal of a key that is not known, or may not do this."""
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_signature() -> ApiError:
    """Return the refusal of a request that the key's secret did not sign."""
    return ApiError(-1022, "Signature for this request is not valid.")


def too_late() -> ApiError:
    """Return the refusal of a request older than its recvWindow."""
    return ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> ApiError:
    """Return the refusal of a request from the future."""
    return ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def too_much_weight(limit: int, per: str, retry_after_s: int) -> ApiError:
    """Return the refusal of an address that asked too much in a while."""
    used = f"Too much request weight used; current limit is {limit} request weight per {per}."
    text = f"{used} {_WEBSOCKETS} polling the API."
    return ApiError(-1003, text, 429, retry_after_s)


def banned(until_ms: int, retry_after_s: int) -> ApiError:
    """Return the refusal of an address that went on asking."""
    text = f"Way too much request weight used; IP banned until {until_ms}. {_WEBSOCKETS} bans."
    return ApiError(-1003, text, 418, retry_after_s)


def too_many_orders(limit: int, per: str, retry_after_s: int) -> ApiError:
    """Return the refusal of an account with too many unfilled orders in a while."""
    return ApiError(-1015, f"Too many new orders; current limit is {limit} orders per {per}.", 429, retry_after_s)
