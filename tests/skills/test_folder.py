"""Promises of reading skill folders, alone and through the library."""

from __future__ import annotations

import os

from skills.bundle import describe
from skills.folder import read_folder
from skills.parse import SkillError
from state.limits import BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX
from tests.kit import a_folder, refuses, same, written
from tests.skills.builders import AClock, Disk, a_library, a_skill, later, versions


def test_a_folder_that_changes_while_it_is_read_is_read_again() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    a_skill(root, "one", "1")
    plain_read = disk.read

    def read(path: str) -> bytes:
        data = plain_read(path)
        if len(disk.reads) == 1:
            a_skill(root, "one", "2", longer__txt="to change the size of the folder")
        return data

    disk.read = read  # type: ignore[method-assign]
    library = a_library(root, clock=clock, disk=disk)
    same((versions(library.current()), library.compiles), ({"one": "2"}, 1))


def test_a_folder_that_keeps_changing_is_served_and_looked_at_again() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    folder = a_skill(root, "one", "1")
    plain_read = disk.read

    def read(path: str) -> bytes:
        (folder / f"{len(disk.reads)}.txt").write_text("more")
        return plain_read(path)

    disk.read = read  # type: ignore[method-assign]
    library = a_library(root, clock=clock, disk=disk)
    same(versions(library.current()), {"one": "1"})
    disk.read = plain_read  # type: ignore[method-assign]
    library._read = plain_read
    later(clock)
    same(library.current().skills["one"].bundle, describe(read_folder(folder)))


def test_files_that_are_not_part_of_a_skill_are_skipped() -> None:
    folder = a_skill(a_folder(), "one")
    written(folder, {"__pycache__/x.pyc": "", "x.pyc": "", ".git/config": "", ".hidden": "", "SKILL.md~": "", "#a#": "", "a.swp": "", "a.bak": "",
                     "sub/.x": "", "sub/kept.txt": "k"})
    (folder / ".#lock").symlink_to("nowhere")
    same(sorted(read_folder(folder)), ["SKILL.md", "skill.toml", "sub/kept.txt"])


def test_links_inside_the_folder_are_files_and_links_that_leave_it_break_the_skill() -> None:
    root, clock = a_folder(), AClock()
    folder = a_skill(root, "one", "1", secret__txt="s")
    (folder / "inside.txt").symlink_to("secret.txt")
    same(read_folder(folder)["inside.txt"].data, b"s")
    library = a_library(root, clock=clock)
    same(versions(library.current()), {"one": "1"})
    for target, reason in (("/etc/passwd", "leaves the folder"), ("../one-more/x", "leaves the folder"), ("nowhere", "leads nowhere"),
                           (".", "a link to a folder"), ("loop", "leads nowhere")):
        (folder / "loop").symlink_to(target)
        error = refuses(SkillError, lambda: read_folder(folder), reason)
        same((error.file, error.line), ("loop", None))
        later(clock)
        assert reason in library.current().broken[0].reason
        (folder / "loop").unlink()
    later(clock)
    same((library.current().broken, library.current().skills["one"].version), ((), "1"))


def test_a_folder_that_holds_a_pipe_or_too_much_is_broken_and_not_read() -> None:
    root, disk = a_folder(), Disk()
    os.mkfifo(a_skill(root, "pipe") / "fifo")
    with open(a_skill(root, "big") / "big.bin", "wb") as file:
        file.truncate(BUNDLE_BYTES_MAX + 1)
    written(a_skill(root, "many"), {f"f{number}": "" for number in range(BUNDLE_FILES_MAX)})
    catalogue = a_library(root, disk=disk).current()
    same([(each.folder, each.reason.split(" (")[0]) for each in catalogue.broken],
         [("big", f"more than {BUNDLE_BYTES_MAX} bytes"), ("many", f"more than {BUNDLE_FILES_MAX} files"),
          ("pipe", "neither a file nor a folder")])
    same(disk.reads, [])


def test_odd_entries_in_a_root_do_not_disturb_the_library() -> None:
    root = a_folder()
    a_skill(root, "one")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    written(root, {"README.md": "x", ".git/config": "y"})
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")
    elsewhere = a_skill(a_folder(), "linked")
    (root / "linked").symlink_to(elsewhere)
    catalogue = a_library(root).current()
    same((catalogue.names, catalogue.broken), (("linked", "one"), ()))


def test_files_dated_in_the_future_are_not_read_on_every_request() -> None:
    root, disk = a_folder(), Disk()
    folder = a_skill(root, "one")
    for behind_s, reads in ((3_600.0, 0), (1.0, 2), (-0.05, 2), (-0.2, 0)):
        clock = AClock(lambda behind_s=behind_s: folder.stat().st_ctime - behind_s)  # type: ignore[misc]
        library = a_library(root, clock=clock, disk=disk)
        library.current()
        disk.reads = []
        later(clock)
        library.current()
        same((behind_s, len(disk.reads)), (behind_s, reads))
