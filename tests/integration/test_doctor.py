"""Does `tradebot doctor` find what would go wrong, each cause produced for real, and change nothing by looking?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import mounted
from tests.integration.doctoring import KEYS, Doctor, Rehearsal
from tests.integration.processes import Bot, write_profile
from tradebot.cli.main import main

OF_THE_KEY = ("account lease", "account permissions", "account balance")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Rehearsal]:
    exchange = Rehearsal()
    yield exchange
    exchange.end()


@pytest.fixture
def doctor(
    tmp_path: Path, exchange: Rehearsal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    monkeypatch.chdir(tmp_path)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    exchange.calm()
    doctor = Doctor(tmp_path, exchange.url, capsys)
    doctor.write()
    return doctor


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return everything below a folder with its mode and time of change."""
    return {str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


def test_a_sound_profile_is_ready_and_nothing_is_changed_by_looking(doctor: Doctor) -> None:
    before = tree(doctor.folder)
    told = doctor.ask("--strict")
    assert told.verdicts() == {}, told.text
    assert told.code == 0
    assert (told.document["result"], told.document["schema"]) == ("ok", 1)
    assert tree(doctor.folder) == before


def test_the_lines_say_the_same_and_end_with_what_the_bot_may_do(
    doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--profile", "p.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"p · p.toml · orders are sent to binance at {doctor.url}, a rehearsal · home state/doc"
    assert lines[-1] == "ready · 0 failed · 0 warnings · 19 ok · 0 left out · exit 0"
    assert "  order        buys of at most 100 USDT, by limit orders only, at most 0.3 % above the ask" in lines
    assert "  exposure     at most 3000 USDT invested: 10 positions, 300 in one symbol" in lines


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("enableWithdrawals", "the key can withdraw"),
        ("enableInternalTransfer", "the key can transfer to sub-accounts"),
        ("permitsUniversalTransfer", "the key can transfer between wallets"),
    ],
)
def test_a_key_that_moves_money_fails_unless_the_profile_allows_it(
    doctor: Doctor, exchange: Rehearsal, flag: str, says: str
) -> None:
    exchange.permit(**{flag: True})
    told = doctor.ask()
    assert told.verdicts() == {"account permissions": "fail"}
    assert told.row("account permissions")["text"] == f"{says}: a start is refused"
    assert "exchange.allow_withdrawals" in told.row("account permissions")["todo"]
    assert told.code == 1
    path = doctor.write()
    path.write_text(path.read_text().replace("[exchange]", "[exchange]\nallow_withdrawals = true"))
    told = doctor.ask()
    assert (told.verdicts(), told.code) == ({"account permissions": "warn"}, 0)
    assert doctor.ask("--strict").code == 1
    exchange.permit(**{flag: False})


def test_a_start_refuses_the_same_key_with_the_code_of_a_bad_profile(doctor: Doctor, exchange: Rehearsal) -> None:
    exchange.permit(enableWithdrawals=True)
    with Bot(doctor.folder, "--profile", "p.toml", env=KEYS) as bot:
        line = bot.wait_for("the key can withdraw")
        assert "test-key" not in line
        assert bot.end() == 2, bot.text
    assert bot.lines[-1].startswith("tradebot: not started: ")
    assert "allow_withdrawals" in bot.lines[-1], "what to do is said, too"
    assert bot.lines[-1].rstrip().endswith("· exit 2")
    told = [word for word in ("SHUTDOWN_REQUESTED", "FINAL_INVENTORY", "Traceback", "drawdown") if word in bot.text]
    assert told == [], bot.text


def test_a_key_that_may_not_trade_or_trades_more_or_from_anywhere_is_said_so(
    doctor: Doctor, exchange: Rehearsal
) -> None:
    exchange.permit(ipRestrict=False, enableMargin=True)
    told = doctor.ask()
    assert (told.verdicts(), told.code) == ({"account permissions": "warn"}, 0)
    assert "the key may also trade margin" in told.text
    assert "good from any address" in told.text
    exchange.permit(enableSpotAndMarginTrading=False, enableMargin=False)
    told = doctor.ask()
    exchange.permit(enableSpotAndMarginTrading=True)
    assert told.verdicts() == {"account permissions": "fail"}
    assert told.row("account permissions")["text"] == "the key may not trade spot: a start is refused"


def test_a_wrong_secret_is_found_and_not_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEBOT_API_SECRET", "another-secret")
    told = doctor.ask()
    assert told.verdicts() == {"account permissions": "fail", "account balance": "fail"}
    assert "-1022" in told.text
    assert "look at the secret" in told.text
    assert "another-secret" not in told.text
    assert "test-key" not in told.text


def test_without_a_key_everything_else_is_examined_all_the_same(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRADEBOT_API_SECRET")
    told = doctor.ask()
    assert told.verdicts() == {"key key": "fail", **dict.fromkeys(OF_THE_KEY, "skip")}
    assert "set TRADEBOT_API_SECRET" in told.row("key key")["text"]


@pytest.mark.parametrize(("skew_ms", "verdict"), [(-400, "warn"), (600, "warn"), (-2_000, "fail"), (2_000, "fail")])
def test_a_clock_that_is_off_is_measured_and_hides_nothing_else(
    doctor: Doctor, exchange: Rehearsal, skew_ms: int, verdict: str
) -> None:
    exchange.steer("/clock", {"skew_ms": skew_ms})
    told = doctor.ask()
    assert told.verdicts() == {"exchange clock": verdict}
    row = told.row("exchange clock")
    assert abs(row["figures"]["offset_ms"] + skew_ms) < 100
    assert "NTP" in row["todo"]
    assert told.code == (1 if verdict == "fail" else 0)


def test_a_stake_that_is_too_small_is_named_with_one_that_does(doctor: Doctor) -> None:
    doctor.write("[budget]\nper_trade_quote = 4\n")
    told = doctor.ask()
    rows = [row for row in told.document["checks"] if row["check"] == "stake"]
    assert [row["verdict"] for row in rows] == ["fail", "fail", "fail"]
    assert "SYN001/USDT: a buy of 4 is" in rows[0]["text"]
    assert "5 is the least" in rows[0]["text"]
    needed = max(float(row["figures"]["needs_quote"]) for row in rows[:2])
    doctor.write(f"[budget]\nper_trade_quote = {needed * 1.01:.2f}\n")
    assert doctor.ask().verdicts() == {}


def test_a_stake_that_could_not_be_sold_after_the_stop_is_found_before_it_is_bought(doctor: Doctor) -> None:
    doctor.write("[budget]\nper_trade_quote = 5.2\n[exits]\nstop_loss_bps = 1_500\n")
    told = doctor.ask()
    assert told.verdicts() == {"market stake": "fail"}
    assert "are left to sell after fee and stop" in told.text


def test_a_balance_that_does_not_reach_is_said_with_its_numbers(doctor: Doctor) -> None:
    doctor.write("[budget]\nper_trade_quote = 3_000\nmax_per_symbol_quote = 3_000\n")
    told = doctor.ask()
    assert told.verdicts() == {"account balance": "warn"}
    assert "there is enough for 3" in told.row("account balance")["text"]
    path = doctor.write("[budget]\nkeep_free_quote = 9_950\n")
    path.write_text(path.read_text().replace("min_notional = 0", "min_notional = 0\ninitial_quote = 20_000"))
    told = doctor.ask()
    assert told.verdicts() == {"account balance": "fail"}
    assert "not one buy is possible" in told.row("account balance")["text"]


def test_a_symbol_that_is_halted_is_named(doctor: Doctor, exchange: Rehearsal) -> None:
    exchange.steer("/market/halt", {"symbol": "SYN001USDT"})
    told = doctor.ask()
    assert told.verdicts() == {"exchange markets": "fail"}
    assert "SYN001/USDT" in told.row("exchange markets")["text"]


def test_an_exchange_that_answers_nothing_is_a_failure_in_time_and_the_rest_goes_on(
    doctor: Doctor, exchange: Rehearsal
) -> None:
    exchange.steer("/freeze", {"for_ms": 60_000})
    told = doctor.ask()
    exchange.calm()
    assert told.row("exchange markets")["verdict"] == "fail"
    assert {name for name, verdict in told.verdicts().items() if verdict == "skip"} >= {
        "exchange clock",
        "account balance",
        "market prices",
    }
    assert told.row("home durability")["verdict"] == "ok"


def test_offline_asks_nobody(doctor: Doctor) -> None:
    doctor.write(url="http://127.0.0.1:1")
    assert doctor.ask("--offline").code == 0
    told = doctor.ask()
    assert (told.row("exchange markets")["verdict"], told.code) == ("fail", 1)


def test_a_profile_on_paper_is_examined_as_far_as_it_applies(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    doctor.write(venue="paper")
    told = doctor.ask()
    assert told.verdicts() == dict.fromkeys(("key key", "key files", *OF_THE_KEY), "skip")
    assert told.code == 0
    (doctor.folder / "p.toml").write_text("")
    told = doctor.ask()
    assert (told.code, told.document["exchange"]) == (0, None)


def test_faults_of_the_profile_end_it_with_two(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.write("[drop]\ntreshold_bps = 1\n")
    assert main(["doctor", "--profile", "p.toml"]) == 2
    assert "did you mean `threshold_bps`?" in capsys.readouterr().err
    told = doctor.ask()
    assert (told.code, told.document["result"], told.document["exit_code"]) == (2, "invalid", 2)
    assert "threshold_bps" in told.document["faults"][0]


@pytest.mark.parametrize(("mode", "verdict"), [(0o644, "fail"), (0o640, "fail"), (0o600, "ok")])
def test_a_secret_in_a_file_that_others_may_read_is_found_and_not_told(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, mode: int, verdict: str
) -> None:
    place = doctor.folder / "secret"
    place.write_text("test-secret\n")
    place.chmod(mode)
    monkeypatch.delenv("TRADEBOT_API_SECRET")
    monkeypatch.setenv("TRADEBOT_API_SECRET_FILE", str(place))
    told = doctor.ask()
    without = {"key key": "fail", "key files": "fail", **dict.fromkeys(OF_THE_KEY, "skip")}
    assert told.verdicts() == ({} if verdict == "ok" else without)
    assert told.row("key files")["figures"] == {"mode": f"{mode:04o}"}
    assert "test-secret" not in told.text


def test_a_profile_that_everybody_may_write_is_found(doctor: Doctor) -> None:
    (doctor.folder / "p.toml").chmod(0o666)
    told = doctor.ask("--offline")
    assert told.row("profile files")["verdict"] == "fail"


def test_a_home_that_others_may_look_into_or_write_is_found(doctor: Doctor) -> None:
    home = doctor.folder / "state" / "doc"
    home.mkdir(parents=True)
    home.chmod(0o755)
    assert doctor.ask("--offline").verdicts("skip")["home folder"] == "warn"
    (doctor.folder / "state").chmod(0o777)
    assert doctor.ask("--offline").verdicts("skip")["home folder"] == "fail"


def test_a_home_of_a_paper_account_is_refused_to_an_account_at_an_exchange(doctor: Doctor) -> None:
    home = doctor.folder / "state" / "doc"
    home.mkdir(parents=True, mode=0o700)
    (home / "account.sqlite").touch()
    told = doctor.ask("--offline")
    assert "holds a paper account" in told.text
    assert told.code == 1


def test_a_folder_in_memory_is_a_warning_in_a_rehearsal_and_a_failure_with_real_money(
    doctor: Doctor, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "20m") as disk:
        more = f'[sessions]\ndir = "{tmp_path}/sessions"\n'
        path = doctor.write(more)
        path.write_text(path.read_text().replace('instance = "doc"', f'instance = "doc"\nstate_dir = "{disk}"'))
        row = doctor.ask("--offline").row("home durability")
        assert (row["verdict"], row["figures"]["file_system"]) == ("warn", "tmpfs")
        path.write_text(path.read_text().replace(f'base_url = "{doctor.url}"', 'base_url = ""'))
        assert doctor.ask("--offline").row("home durability")["verdict"] == "fail"
        disks = [row for row in doctor.ask("--offline").document["checks"] if row["check"] == "disk"]
        assert [row["verdict"] for row in disks] == ["ok", "fail"]
        assert disks[1]["figures"]["free_mb"] < 21


def test_a_folder_that_cannot_be_written_is_found(doctor: Doctor, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        path = doctor.write()
        path.write_text(path.read_text().replace('instance = "doc"', f'instance = "doc"\nstate_dir = "{disk}"'))
        row = doctor.ask("--offline").row("home durability")
        assert row["verdict"] == "fail"
        assert "Read-only file system" in row["text"]


def test_a_bot_of_another_profile_in_the_same_home_is_a_failure_and_the_same_bot_is_told(doctor: Doctor) -> None:
    write_profile(doctor.folder, '[bot]\ninstance = "doc"\n')
    with Bot(doctor.folder) as bot:
        bot.wait_for("BOT_STARTED")
        told = doctor.ask("--offline")
        assert told.row("home second bot")["verdict"] == "fail"
        assert told.row("home second bot")["figures"] == {"pid": bot.process.pid}
        assert main(["doctor", "--profile", "quick.toml"]) == 0
        bot.wait_for("BUY", "INTENT", "POSITION")
        bot.send(signal.SIGTERM)
        assert bot.end() == 0


def test_it_looks_while_the_bot_trades_on_the_same_account_and_disturbs_nothing(
    doctor: Doctor, exchange: Rehearsal
) -> None:
    with Bot(doctor.folder, "--profile", "p.toml", env=KEYS) as bot:
        bot.wait_for("BOT_STARTED")
        told = doctor.ask()
        assert told.verdicts() == {"home second bot": "warn"}
        assert told.code == 0
        row = told.row("account lease")
        assert row["text"].startswith(f"this bot trades on it: process {bot.process.pid}, instance doc, home ")
        assert row["figures"]["holders"][0]["pid"] == bot.process.pid
        path = doctor.write()
        path.write_text(path.read_text().replace('instance = "doc"', 'instance = "other"'))
        told = doctor.ask("--offline")
        assert told.verdicts("skip")["account lease"] == "fail"
        assert f"(process {bot.process.pid}, instance doc, home " in told.row("account lease")["text"]
        assert told.code == 1
        bot.send(signal.SIGTERM)
        assert bot.end() == 0, bot.text
    assert doctor.ask("--offline").verdicts("skip")["account lease"] == "ok"


def test_it_counts_with_the_bots_of_this_machine_and_asks_nothing_while_the_address_is_banned(
    doctor: Doctor, exchange: Rehearsal
) -> None:
    path = doctor.write()
    path.write_text(f'{path.read_text()}\n[exchange.requests]\nfolder = "{doctor.folder}/counts"\n')
    exchange.steer("/ban", {"retry_after_s": 600})
    try:
        texts = [doctor.ask().row("exchange markets")["text"] for _ in range(2)]
    finally:
        exchange.steer("/ban", None, "DELETE")
    assert "bans this address until 20" in texts[0]
    assert texts[0] == texts[1], "a question of the second would have made the ban longer"
    assert doctor.ask().row("exchange markets")["text"] == texts[0], "the ban is remembered, not asked about"


def test_the_document_has_the_keys_that_are_promised(doctor: Doctor) -> None:
    document = doctor.ask("--offline").document
    assert list(document) == [
        *("schema", "profile", "path", "home", "venue", "exchange", "offline", "strict", "result", "exit_code"),
        *("counts", "checks", "allowed"),
    ]
    assert set(document["counts"]) == {"ok", "warn", "fail", "skip"}
    assert all(list(row) == ["group", "check", "verdict", "text", "todo", "figures"] for row in document["checks"])
    assert [row["what"] for row in document["allowed"]] == [
        *("money", "order", "exposure", "exits", "at the stop", "shutdown", "edits", "who steers")
    ]
    assert json.dumps(document)
    assert os.getcwd() == str(doctor.folder)
