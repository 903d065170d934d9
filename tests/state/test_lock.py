"""The data folder belongs to one process, and to a program that knows its version."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from state.lock import DATA_VERSION, DataLock, Locked, in_place
from tests.kit import ROOT, a_folder, refuses, same


def locked_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder until its stdin ends."""
    code = ("import sys; from pathlib import Path; from state.lock import DataLock; "
            "lock = DataLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()")
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_process_is_refused_and_told_the_pid_of_the_first():
    folder = a_folder() / "data"
    other = locked_elsewhere(folder)
    assert other.stdout is not None
    try:
        same(other.stdout.readline(), "held\n")
        refuses(Locked, lambda: DataLock(folder), str(folder), f"in use by process {other.pid}")
        other.kill()
    finally:
        other.communicate()
    lock = DataLock(folder)
    same((folder / "LOCK").read_text(), f"{os.getpid()}\n")
    lock.release()
    DataLock(folder).release()


def test_a_folder_whose_last_holder_had_our_number_is_taken_when_its_filer_lets_go():
    folder = a_folder() / "data"
    other = locked_elsewhere(folder)                           # as the filer of a server that was killed: it holds the lock, and is not named
    assert other.stdout is not None
    same(other.stdout.readline(), "held\n")
    (folder / "LOCK").write_text(f"{os.getpid()}\n")
    threading.Timer(0.1, other.communicate).start()
    DataLock(folder).release()
    other.wait()


def test_the_folder_says_its_version_and_a_newer_one_is_refused():
    folder = a_folder() / "data"
    DataLock(folder).release()
    same((folder / "VERSION").read_text(), f"{DATA_VERSION}\n")
    for version in (f"{DATA_VERSION + 1}\n", "", "two\n", "²\n", "-1\n"):
        (folder / "VERSION").write_text(version)
        refuses(Locked, lambda: DataLock(folder), "version", str(DATA_VERSION))
    (folder / "VERSION").write_text(f"{DATA_VERSION}\n")
    DataLock(folder).release()


def test_a_folder_that_cannot_be_made_is_refused_in_one_line():
    path = a_folder() / "file"
    path.write_text("x")
    for folder in (path, path / "below"):
        error = refuses(Locked, lambda folder=folder: DataLock(folder), str(folder))
        assert "\n" not in str(error)


def test_a_folder_that_was_removed_moved_or_replaced_is_not_in_place_until_it_is_back():
    folder = a_folder() / "data"
    lock = DataLock(folder)
    assert in_place(folder, lock.descriptor)
    aside = folder.rename(folder.parent / "aside")
    assert not in_place(folder, lock.descriptor)
    other = DataLock(folder)
    assert not in_place(folder, lock.descriptor) and in_place(folder, other.descriptor)
    shutil.rmtree(folder)
    aside.rename(folder)
    assert in_place(folder, lock.descriptor) and not in_place(folder, other.descriptor)
    lock.release()
    other.release()
