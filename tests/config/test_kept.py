"""Is a profile that is read from kept files the one that was read from the disk, and is its text told from others?"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebot.config.extends import ProfileFile
from tradebot.config.faults import ProfileInvalid
from tradebot.config.kept import digest_of
from tradebot.config.loader import Loaded, load_profile
from tradebot.config.reading import LARGEST_BYTES


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> None:
    """Write a profile below the working folder."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def again(loaded: Loaded, folder: Path) -> Loaded:
    """Load the kept files of a profile whose folder is gone."""
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    return load_profile("whatever", {}, stored=loaded.files)


def faults(files: list[ProfileFile]) -> list[str]:
    """Return what is wrong with kept files."""
    with pytest.raises(ProfileInvalid) as invalid:
        load_profile("whatever", {}, stored=files)
    return [str(fault) for fault in invalid.value.faults]


def file(path: str, text: str) -> ProfileFile:
    """Return a kept file."""
    return ProfileFile(path, text.encode())


@pytest.mark.parametrize("name", ["base", "demo", "replay", "the-work"])
def test_a_shipped_profile_is_the_same_from_memory(name: str, root: Path, folder: Path) -> None:
    shutil.copytree(root / "profiles", folder / "profiles")
    read = load_profile(name, {})
    kept = again(read, folder)
    assert kept == read
    assert kept.digest == read.digest


def test_files_in_other_folders_and_reached_twice_are_the_same_from_memory(folder: Path) -> None:
    write("shared/root.toml", "[bot]\nseed = 5\n")
    write("profiles/teams/base.toml", 'extends = "../../shared/root.toml"\n[drop]\nthreshold_bps = 200\n')
    write("profiles/p.toml", 'extends = ["../shared/root.toml", "teams/base.toml"]\n')
    read = load_profile("./profiles/p.toml", {})
    assert again(read, folder) == read


def test_a_file_reached_by_several_names_is_laid_once_and_kept_under_each(folder: Path) -> None:
    write("low.toml", "[bot]\nseed = 1\n[drop]\ndebounce_s = 1\n")
    write("mid.toml", "[bot]\nseed = 2\n")
    Path("link.toml").symlink_to("low.toml")
    write("p.toml", f'extends = ["low.toml", "mid.toml", "link.toml", "{folder}/low.toml"]\n')
    read = load_profile("p", {})
    assert read.profile.bot.seed == 2
    names = [os.path.relpath(each.path) for each in read.files]
    assert names == ["low.toml", "link.toml", "low.toml", "mid.toml", "p.toml"]
    assert again(read, folder) == read


def test_two_files_of_the_same_bytes_are_the_same_from_memory(folder: Path) -> None:
    for name in ("a", "b", "c"):
        write(f"{name}.toml", "[bot]\nseed = 1\n" if name != "c" else "[bot]\nseed = 2\n")
    write("p.toml", 'extends = ["a.toml", "c.toml", "b.toml"]\n')
    write("q.toml", 'extends = ["a.toml", "b.toml", "c.toml"]\n')
    for name, seed in (("p", 1), ("q", 2)):
        read = load_profile(name, {})
        kept = load_profile(name, {}, stored=read.files)
        assert (kept.profile.bot.seed, kept.profile, kept.files) == (seed, read.profile, read.files)
        assert kept.digest == read.digest


def test_faults_are_told_at_the_same_places_from_memory(folder: Path) -> None:
    write("base.toml", "[drop]\ntreshold_bps = 1\n")
    write("p.toml", 'extends = "base.toml"\n[exits]\ntake_profit_bps = 15\n')
    with pytest.raises(ProfileInvalid) as read:
        load_profile("p", {})
    kept = [ProfileFile(name, Path(name).read_bytes()) for name in ("base.toml", "p.toml")]
    assert faults(kept) == [str(fault) for fault in read.value.faults]


def test_the_disk_is_not_asked_for_a_file_that_was_not_kept() -> None:
    write("base.toml", "")
    assert faults([file("p.toml", 'extends = "base.toml"\n')]) == [
        "p.toml:1:1: extends: the file base.toml was not kept with this version of the profile"
    ]


def test_the_disk_is_not_asked_for_another_version_of_a_file() -> None:
    write("base.toml", "[bot]\nseed = 9\n")
    write("p.toml", 'extends = "base.toml"\n[bot]\ninstance = "b"\n')
    stored = [file("base.toml", "[bot]\nseed = 4\n"), file("p.toml", 'extends = "base.toml"\n')]
    loaded = load_profile("p.toml", {}, stored=stored)
    assert (loaded.profile.bot.seed, loaded.profile.bot.instance, loaded.path) == (4, "tradebot", "p.toml")


def test_a_kept_file_too_large_for_a_profile_is_refused() -> None:
    large = "#" * (LARGEST_BYTES + 1)
    assert faults([file("p.toml", large)]) == ["p.toml: is larger than 1 MiB: a profile is a few kilobytes"]
    kept = [file("base.toml", large), file("p.toml", 'extends = "base.toml"\n')]
    assert faults(kept) == ["p.toml:1:1: extends: base.toml is larger than 1 MiB: a profile is a few kilobytes"]


def test_a_circle_of_kept_files_is_a_fault() -> None:
    kept = [file("a.toml", 'extends = "p.toml"\n'), file("p.toml", 'extends = "a.toml"\n')]
    assert faults(kept) == ["a.toml:1:1: extends: goes in a circle: p.toml -> a.toml -> p.toml"]


def test_variables_and_toggles_are_laid_over_kept_files() -> None:
    kept = [file("p.toml", "[features]\nbuying = true\n")]
    loaded = load_profile("p", {"TRADEBOT__BOT__SEED": "8"}, stored=kept, switches={"buying": False})
    assert (loaded.profile.bot.seed, loaded.profile.features.buying) == (8, False)


def test_the_digest_knows_bytes_names_and_order_but_not_the_environment_or_the_working_folder(folder: Path) -> None:
    write("x/base.toml", "[bot]\nseed = 1\n")
    write("x/p.toml", 'extends = "base.toml"\n')
    digest = load_profile("x/p", {}).digest
    assert len(digest) == 64
    assert load_profile("x/p", {"TRADEBOT__BOT__SEED": "3"}, switches={"buying": False}).digest == digest
    assert load_profile(str(folder / "x/p.toml"), {}).digest == digest
    os.chdir("x")
    assert load_profile("p", {}).digest == digest
    write("p.toml", 'extends = "base.toml" \n')
    assert load_profile("p", {}).digest != digest


FILES = st.lists(
    st.builds(
        ProfileFile, st.text("ab./", min_size=1, max_size=4).map(lambda name: f"f/{name}x"), st.binary(max_size=4)
    ),
    min_size=1,
    max_size=3,
)


def normal(files: list[ProfileFile]) -> list[tuple[str, bytes]]:
    """Return what a digest is of."""
    folder = os.path.dirname(files[-1].path)
    return [(os.path.relpath(one.path, folder), one.source) for one in files]


@given(FILES, FILES)
def test_two_texts_have_one_digest_only_if_they_are_the_same(one: list[ProfileFile], other: list[ProfileFile]) -> None:
    assert (digest_of(one) == digest_of(other)) == (normal(one) == normal(other))


def test_nothing_can_be_shifted_between_names_and_bytes() -> None:
    texts = [
        [ProfileFile("ab", b"c"), ProfileFile("p", b"")],
        [ProfileFile("a", b"bc"), ProfileFile("p", b"")],
        [ProfileFile("a", b"b"), ProfileFile("p", b"c")],
        [ProfileFile("p", b""), ProfileFile("ab", b"c")],
        [ProfileFile("abcp", b"")],
    ]
    assert len({digest_of(files) for files in texts}) == len(texts)
