"""Is a faults file read as it was meant, and refused with the place where it was not?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradebot.config.faults import ProfileInvalid
from tradebot.config.faults_file import KINDS, FaultsFile, faults_in, load_faults
from tradebot.config.schema import faults_schema_text

WRITTEN = """
seed = 7
skew_ms = -2000

[market]
halted = ["ETHUSDT"]

[sockets]
lifetime_s = 2.5

[[fault]]
name = "lost-reply"
on = "order.place"
symbol = "BTCUSDT"
probability = 0.25
nth = 3
times = 2
stage = "after"
action = "hang"

[[fault]]
on = "order.status"
script = [{ action = "pass" }, { action = "status", status = 503 }]
"""


def test_a_faults_file_says_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text(WRITTEN, encoding="utf-8")
    said = load_faults(str(tmp_path / "faults.toml"))
    assert (said.seed, said.skew_ms, said.market.halted, said.sockets.lifetime_s) == (7, -2000, ("ETHUSDT",), 2.5)
    lost, scripted = said.fault
    assert (lost.action, lost.stage, lost.probability, lost.nth, lost.times) == ("hang", "after", 0.25, 3, 2)
    assert [step.action for step in scripted.steps] == ["pass", "status"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[fault]]\non = "order.plaice"\naction = "hang"\n', "names no kind of request or event"),
        ('[[fault]]\non = "user.*"\naction = "hang"\n', "hang befalls a request"),
        ('[[fault]]\non = "order.place"\naction = "drop"\n', "drop befalls an event"),
        ('[[fault]]\naction = "hang"\n', "on: missing: a text"),
        ('[[fault]]\non = "time"\nafter = 3\n', ":3:1: fault[0].after: unknown key; known here: action, stage"),
        ('[[fault]]\non = "time"\nprobability = 2\n', ":3:1: fault[0].probability: a number from 0 to 1 is allowed"),
        ("sead = 7\n", ":1:1: sead: unknown key; known here: seed, skew_ms"),
        ("seed = \n", "not TOML"),
    ],
)
def test_a_fault_of_the_text_is_told_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileInvalid) as caught:
        load_faults(str(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileInvalid, match="cannot be read"):
        load_faults(str(tmp_path / "none.toml"))


def test_a_client_tells_one_fault_or_several_in_json() -> None:
    one = {"on": "time", "action": "hang"}
    assert [fault.action for fault in faults_in(one)] == ["hang"]
    assert [fault.on for fault in faults_in({"fault": [one, {"on": "ping", "action": "reset"}]})] == ["time", "ping"]
    with pytest.raises(ValueError, match="nth: a whole number from 1"):
        faults_in({"on": "time", "nth": 0})
    with pytest.raises(ValueError, match="befalls an event"):
        faults_in({"on": "time", "action": "drop"})


def test_the_schema_knows_every_setting_of_a_fault() -> None:
    document = json.loads(faults_schema_text())
    fault = document["$defs"]["Fault"]["properties"]
    assert {"on", "symbol", "probability", "nth", "times", "script", "action", "stage"} <= set(fault)
    assert set(document["properties"]) == set(FaultsFile.model_fields)
    assert "hang" in fault["action"]["enum"]
    assert document["$defs"]["Fault"]["required"] == ["on"]


def test_every_kind_can_be_waited_for() -> None:
    for kind in KINDS:
        assert faults_in({"on": kind, "action": "pass"})[0].on == kind
