"""Do facts, events and commands survive being written down, and is the catalogue of facts complete?"""

from __future__ import annotations

import re
from typing import Any, Union, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.strategies import concrete, records
from tradebot.domain import facts
from tradebot.domain.account import AccountDelta, AccountImage, AccountOrder
from tradebot.domain.commands import Command
from tradebot.domain.events import Event
from tradebot.domain.facts import CATALOGUE, Fact
from tradebot.domain.orders import Intent, Lot, Order, Position

EVENTS = [kind for kind in concrete(Event) if kind.__module__ == Event.__module__]
COMMANDS = [kind for kind in concrete(Command) if kind.__module__ == Command.__module__]
FACTS = [kind for kind in concrete(Fact) if kind.__module__.startswith("tradebot.")]


def any_of(kinds: list[type[msgspec.Struct]] | tuple[type[Fact], ...]) -> st.SearchStrategy[Any]:
    """Draw a record of any of `kinds`, each as likely."""
    return st.one_of([records(kind) for kind in kinds])


def test_every_fact_is_in_the_catalogue() -> None:
    assert set(CATALOGUE) == set(FACTS)
    assert len(CATALOGUE) > 20


@pytest.mark.parametrize("fact", CATALOGUE, ids=lambda fact: fact.__name__)
def test_a_fact_says_where_and_how_loud_it_is_told(fact: type[Fact]) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", fact.event_type)
    assert fact.level in get_args(facts.Level)
    assert fact.stream in get_args(facts.Stream)
    assert fact.metric == "" or re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", fact.metric)
    assert fact.__doc__ is not None
    assert fact.__doc__.strip().endswith(".")


def test_no_two_facts_share_an_event_type_or_a_metric() -> None:
    types = [fact.event_type for fact in CATALOGUE]
    metrics = [fact.metric for fact in CATALOGUE if fact.metric]
    assert len(types) == len(set(types))
    assert len(metrics) == len(set(metrics))


def test_what_operators_count_on_is_there() -> None:
    assert {"orders_sent", "orders_failed", "fills", "intents_stale", "budget_timeouts"} <= {
        f.metric for f in CATALOGUE
    }


def test_a_failed_order_is_never_silent() -> None:
    loud = {fact.__name__: fact.level for fact in CATALOGUE}
    assert loud["OrderRejected"] == loud["OrderBecameUnknown"] == "ERROR"
    assert loud["OrderWaitEnded"] == loud["OrderNeverSent"] == loud["CancelFailed"] == "WARNING"


@given(any_of(CATALOGUE))
@settings(max_examples=400)
def test_a_fact_comes_back_from_its_bytes(fact: Fact) -> None:
    body = facts.encode(fact)
    assert facts.decode(body) == fact
    assert facts.encode(facts.decode(body)) == body


def defaulted(kind: type[Fact]) -> bool:
    """Return whether `generation` came to a kind of fact after journals of it were written."""
    return any(
        field.name == "generation" and field.default is not msgspec.NODEFAULT for field in msgspec.structs.fields(kind)
    )


@given(any_of([kind for kind in CATALOGUE if defaulted(kind)]))
def test_a_fact_written_down_before_facts_carried_a_generation_is_understood(fact: Any) -> None:
    body = msgspec.json.decode(facts.encode(fact))
    del body["generation"]
    assert facts.decode(msgspec.json.encode(body)) == msgspec.structs.replace(fact, generation=0)


def test_every_decision_order_and_fill_carries_its_generation() -> None:
    without = {kind.event_type for kind in CATALOGUE if "generation" not in kind.__struct_fields__}
    account = {"ACCOUNT_OPENED", "BUDGET_REFRESHED", "BUDGET_TIMEOUT"}
    assert without == account | {"RECOVERY_PLANNED", "RECOVERY_COMPLETED", "ENTRIES_CLOSED"}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"fact":"Nothing"}', b'{"fact":"RunOpened","run":1,"generation":1}'])
def test_anything_else_is_no_fact(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        facts.decode(body)


@pytest.mark.parametrize("kind", [*CATALOGUE, *EVENTS, *COMMANDS], ids=lambda kind: kind.__name__)
def test_records_cannot_be_changed(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_nothing_of_the_catalogues_is_missed() -> None:
    assert len(EVENTS) > 15
    assert {kind.__name__ for kind in COMMANDS} >= {"PlaceOrder", "CancelOrder", "QueryOrder", "QueryBalances"}


@pytest.mark.parametrize("kinds", [EVENTS, COMMANDS], ids=["events", "commands"])
@given(st.data())
def test_events_and_commands_come_back_from_their_bytes(kinds: list[type[msgspec.Struct]], data: st.DataObject) -> None:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Union[tuple(kinds)])  # noqa: UP007  # built at run time
    record = data.draw(any_of(kinds))
    assert decoder.decode(msgspec.json.Encoder(decimal_format="string").encode(record)) == record


@pytest.mark.parametrize("kind", [Order, Intent, Lot, Position, AccountOrder, AccountImage, AccountDelta])
@given(st.data())
@settings(max_examples=40)
def test_what_the_checkpoint_and_the_account_hold_comes_back_from_its_bytes(
    kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    record = data.draw(records(kind))
    assert msgspec.json.decode(msgspec.json.Encoder(decimal_format="string").encode(record), type=kind) == record
