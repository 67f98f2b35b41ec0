"""In which ways does a file on a disk become another? Each makes what it needs in a folder; asked by watcher tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Edit = Callable[[int], object]
"""Changes the file to its n-th content."""


def text(number: int) -> str:
    return f"[drop]\nthreshold_bps = {100 + number}\n"


def replaced(folder: Path) -> tuple[Path, Edit]:
    file, fresh = folder / "prod.toml", folder / ".prod.toml.new"
    file.write_text(text(0))

    def edit(number: int) -> None:
        fresh.write_text(text(number))
        fresh.replace(file)

    return file, edit


def in_place(folder: Path) -> tuple[Path, Edit]:
    file = folder / "prod.toml"
    file.write_text(text(0))

    def edit(number: int) -> None:
        with file.open("r+") as opened:
            opened.write(text(number))

    return file, edit


def truncated_then_written(folder: Path) -> tuple[Path, Edit]:
    file = folder / "prod.toml"
    file.write_text(text(0))

    def edit(number: int) -> None:
        with file.open("w") as opened:
            os.fsync(opened.fileno())
            opened.write(text(number))

    return file, edit


def removed_then_made(folder: Path) -> tuple[Path, Edit]:
    file = folder / "prod.toml"
    file.write_text(text(0))

    def edit(number: int) -> None:
        file.unlink()
        file.write_text(text(number))

    return file, edit


def by_sed(folder: Path) -> tuple[Path, Edit]:
    file = folder / "prod.toml"
    file.write_text(text(0))
    return file, lambda number: subprocess.run(["sed", "-i", f"s/= .*/= {100 + number}/", file], check=True)


def by_vim(folder: Path, backup: str) -> tuple[Path, Edit]:
    vim = shutil.which("vim")
    if vim is None:
        pytest.skip("vim is not installed")
    file = folder / "prod.toml"
    file.write_text(text(0))

    def edit(number: int) -> None:
        typed = ["-c", f"set backupcopy={backup}", "-c", f"%s/= .*/= {100 + number}/", "-c", "wq"]
        subprocess.run([vim, "-u", "NONE", "-i", "NONE", "-es", *typed, file], check=True, stdin=subprocess.DEVNULL)

    return file, edit


def by_vim_over_the_file(folder: Path) -> tuple[Path, Edit]:
    return by_vim(folder, "yes")


def by_vim_through_a_rename(folder: Path) -> tuple[Path, Edit]:
    return by_vim(folder, "no")


def link_repointed(folder: Path) -> tuple[Path, Edit]:
    file = folder / "prod.toml"
    (folder / "0.toml").write_text(text(0))
    file.symlink_to("0.toml")

    def edit(number: int) -> None:
        (folder / f"{number}.toml").write_text(text(number))
        fresh = folder / "fresh"
        fresh.symlink_to(f"{number}.toml")
        fresh.replace(file)

    return file, edit


def target_of_a_link(folder: Path) -> tuple[Path, Edit]:
    (folder / "elsewhere").mkdir()
    (folder / "here").mkdir()
    target, edit = replaced(folder / "elsewhere")
    file = folder / "here" / "prod.toml"
    file.symlink_to(target)
    return file, edit


def end_of_a_chain_of_links(folder: Path) -> tuple[Path, Edit]:
    for name in ("a", "b", "c"):
        (folder / name).mkdir()
    target, edit = in_place(folder / "c")
    (folder / "b" / "second.toml").symlink_to(target)
    (folder / "a" / "first.toml").symlink_to("../b/second.toml")
    return folder / "a" / "first.toml", edit


def middle_of_a_chain_of_links(folder: Path) -> tuple[Path, Edit]:
    for name in ("a", "b", "c"):
        (folder / name).mkdir()
    (folder / "c" / "0.toml").write_text(text(0))
    middle = folder / "b" / "second.toml"
    middle.symlink_to("../c/0.toml")
    (folder / "a" / "first.toml").symlink_to("../b/second.toml")

    def edit(number: int) -> None:
        (folder / "c" / f"{number}.toml").write_text(text(number))
        (folder / "b" / "fresh").symlink_to(f"../c/{number}.toml")
        (folder / "b" / "fresh").replace(middle)

    return folder / "a" / "first.toml", edit


def linked_folder_repointed(folder: Path) -> tuple[Path, Edit]:
    (folder / "release0").mkdir()
    (folder / "release0" / "prod.toml").write_text(text(0))
    current = folder / "current"
    current.symlink_to("release0")

    def edit(number: int) -> None:
        release = folder / f"release{number}"
        release.mkdir()
        (release / "prod.toml").write_text(text(number))
        (folder / "fresh").symlink_to(release.name)
        (folder / "fresh").replace(current)

    return current / "prod.toml", edit


def config_map_swapped(folder: Path) -> tuple[Path, Edit]:
    """As kubelet does it: a folder a version, `..data` points to the one in force, the file points through it."""
    mount = folder / "mount"
    mount.mkdir()

    def version(number: int) -> Path:
        inside = mount / f"..2026_11_22_00_00_{number:02d}"
        inside.mkdir()
        (inside / "prod.toml").write_text(text(number))
        return inside

    (mount / "..data").symlink_to(version(0).name)
    (mount / "prod.toml").symlink_to("..data/prod.toml")

    def edit(number: int) -> None:
        old = (mount / "..data").resolve()
        (mount / "..data_tmp").symlink_to(version(number).name)
        (mount / "..data_tmp").replace(mount / "..data")
        shutil.rmtree(old)

    return mount / "prod.toml", edit


def folder_made_again(folder: Path) -> tuple[Path, Edit]:
    inside = folder / "conf"
    inside.mkdir()
    file = inside / "prod.toml"
    file.write_text(text(0))

    def edit(number: int) -> None:
        shutil.rmtree(inside)
        inside.mkdir()
        file.write_text(text(number))

    return file, edit


def folder_swapped(folder: Path) -> tuple[Path, Edit]:
    inside, old = folder / "conf", folder / "old"
    inside.mkdir()
    (inside / "prod.toml").write_text(text(0))

    def edit(number: int) -> None:
        shutil.rmtree(old, ignore_errors=True)
        fresh = folder / "fresh"
        fresh.mkdir()
        (fresh / "prod.toml").write_text(text(number))
        inside.rename(old)
        fresh.rename(inside)

    return inside / "prod.toml", edit


WAYS = [
    replaced,
    in_place,
    truncated_then_written,
    removed_then_made,
    by_sed,
    by_vim_over_the_file,
    by_vim_through_a_rename,
    link_repointed,
    target_of_a_link,
    end_of_a_chain_of_links,
    middle_of_a_chain_of_links,
    linked_folder_repointed,
    config_map_swapped,
    folder_made_again,
    folder_swapped,
]
