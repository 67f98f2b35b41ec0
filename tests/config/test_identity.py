"""Is the home of a profile found whatever is wrong with it?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.faults import ProfileInvalid
from tradebot.config.identity import Identity, identity
from tradebot.config.loader import load_profile
from tradebot.config.salvage import salvaged

PROD = '[bot]\ninstance = "prod"\nstate_dir = "/var/lib/tradebot"\nseed = 7\n\n[drop]\nthreshold_bps = 250  # ünïcode\n'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(text: str | bytes, environ: dict[str, str] | None = None) -> tuple[str, str]:
    """Return (instance, state_dir) of a profile of this text."""
    Path("p.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    who = identity("p.toml", environ or {})
    assert who.path == "p.toml"
    return who.instance, who.state_dir


@pytest.mark.parametrize("name", ["base", "demo", "replay", "the-work"])
def test_a_sound_profile_is_who_it_says(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    loaded = load_profile(name, {})
    bot = loaded.profile.bot
    assert identity(name, {}) == Identity(loaded.path, bot.state_dir, bot.instance)


@pytest.mark.parametrize(
    "fault",
    ["[drop]\nthreshold_bps = -1\n", "[drop]\ntreshold_bps = 1\n", "[drip]\nx = 1\n", "[exits]\ntake_profit_bps = 1\n"],
)
def test_a_fault_elsewhere_leaves_it(fault: str) -> None:
    assert found(f'{fault}[bot]\ninstance = "prod"\nstate_dir = "/var/x"\n') == ("prod", "/var/x")


@pytest.mark.parametrize(
    "text",
    [
        "[bot]\ninstance = 3\n",
        '[bot]\ninstance = "IN CAPITALS"\n',
        '[bot]\ninstanc = "prod"\n',
        'instance = "prod"\n',
        '[bott]\ninstance = "prod"\n',
        "bot = 3\n",
        '[[bot]]\ninstance = "prod"\n',
        '[bot]\nstate_dir = "a\\u0000b"\n',
        '[bot]\nstate_dir = ""\n',
    ],
)
def test_a_fault_in_the_bots_own_table_makes_it_a_guess(text: str) -> None:
    assert found(text) == ("tradebot", "state")


@pytest.mark.parametrize(
    "broken",
    [
        '{}[drop]\nsymbols = ["BTC/USDT",\n[exits]\n',
        "[drop]\nthreshold_bps = \n{}",
        "x = = 1\n{}",
        "{}<<<<<<< HEAD\n[drop]\n=======\n[exits]\n>>>>>>> theirs\n",
        '{}[drop]\nname = "without its end\n',
        "\ufeff{}",
        "{}[exits\n",
        '{}[bot]\nseed = 1\ntext = """\n[drop]\n',
    ],
)
def test_a_file_that_is_broken_elsewhere_still_tells_it(broken: str) -> None:
    assert found(broken.replace("{}", PROD)) == ("prod", "/var/lib/tradebot")


def test_a_file_of_another_encoding_still_tells_it() -> None:
    assert found(b'# \xe4\n[bot]\ninstance = "prod"\n') == ("prod", "state")


def test_text_that_only_looks_like_a_table_is_not_believed() -> None:
    text = '[drop]\nnote = """\n[bot]\ninstance = "no"\n"""\n[bot]\ninstance = "yes"\nstate_dir = = "x"\n'
    assert found(text) == ("yes", "state")


def test_what_a_broken_file_extends_counts_and_so_does_a_broken_file_below() -> None:
    Path("base.toml").write_text('[bot]\ninstance = "low"\nstate_dir = "/low"\n')
    assert found('extends = "base.toml"\n[bot]\ninstance = "high"\n[drop\n') == ("high", "/low")
    Path("base.toml").write_text('[bot]\ninstance = "low"\n[drop\n')
    assert found('extends = ["base.toml"]\n[drop]\n') == ("low", "state")


@pytest.mark.parametrize("text", ['extends = "gone.toml"\n', 'extends = "p.toml"\n', "extends = 3\n", "extends = [3"])
def test_a_file_that_is_missing_below_makes_it_a_guess(text: str) -> None:
    assert found(text) == ("tradebot", "state")


def test_the_environment_wins_over_any_file() -> None:
    environ = {"TRADEBOT__BOT__INSTANCE": "env", "TRADEBOT__BOT__STATE_DIR": "/env"}
    assert found(PROD, environ) == ("env", "/env")
    assert found(f"{PROD}[drop", environ) == ("env", "/env")
    assert found("bot = 3\n", environ) == ("env", "/env")


def test_a_variable_that_means_nothing_makes_it_a_guess() -> None:
    assert found(PROD, {"TRADEBOT__BOT__INSTANC": "other"}) == ("prod", "/var/lib/tradebot")


def test_only_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(ProfileInvalid, match="there is no such profile"):
        identity("nobody", {})
    with pytest.raises(ProfileInvalid, match="its name is empty"):
        identity("", {})


@pytest.mark.parametrize("name", ["demo", "prod"])
def test_a_file_cut_in_the_middle_of_any_byte_is_never_refused_and_never_another_bots(name: str, root: Path) -> None:
    Path("base.toml").write_text('[bot]\nstate_dir = "home"\n')
    whole = (root / "profiles/demo.toml").read_bytes() if name == "demo" else PROD.encode()
    folders = {"home", "state"} if name == "demo" else {"state", "/var/lib/tradebot"}
    said = False
    for length in range(len(whole) + 1):
        instance, state_dir = found(whole[:length])
        assert instance in {"tradebot", name}
        assert state_dir in folders
        assert not (said and instance == "tradebot")  # what a whole line said is not lost by what follows
        said = said or instance == name
    assert said


@given(st.binary(max_size=200) | st.text('[]botinstace"=.{}\n#, \\', max_size=200).map(str.encode))
def test_no_bytes_at_all_are_refused(source: bytes) -> None:
    salvaged("p.toml", source)
    Path("any.toml").write_bytes(source)
    identity("any.toml", {})


@pytest.mark.parametrize("depth", [100, 500, 900, 3_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ("{a=", "}"), ("[bot.", "]"), ("bot.", "=1")])
def test_no_depth_is_refused(left: str, right: str, depth: int) -> None:
    closing = right * depth if left in ("[", "{a=") else right
    begin = "x = " if left in ("[", "{a=") else ""
    inner = left if left != "[bot." else "bot."
    text = f"{begin}{'[' if left == '[bot.' else ''}{inner * depth}y{closing}\n"
    found(f'[bot]\ninstance = "prod"\n{text}')


def test_a_place_that_cannot_be_looked_into_is_no_reason_to_fail() -> None:
    Path("p.toml").write_text('extends = "p.toml/gone.toml"\n')
    assert identity("p.toml", {}).instance == "tradebot"
    with pytest.raises(ProfileInvalid, match="there is no such profile"):
        identity("p.toml/gone.toml", {})
