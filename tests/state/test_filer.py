"""Batches of job files, done here or by the child process: the same files, the same errors; nobody reads the folder before the child has ended."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from state.disk import Disk
from state.filer import CHILD_FILES_MIN, DEATHS_MAX, Filer, Files, Kept, ProcessFiler
from state.finished import row_at
from state.lock import DataLock
from state.records import Job, raw_job
from state.streams import events_in
from tests.kit import ROOT, a_folder, refuses, same
from tests.state.builders import a_job


def job_number(i: int, state: str = "done") -> Job:
    """One of many."""
    return a_job(f"j_{i:026d}")._replace(state=state, finished_at=1767225600.5)


def a_batch(folder: Path, count: int) -> Files:
    """`count` done files and a live one, a worker's file, events, and something to remove."""
    done = [(f"{folder}/done/{i}.json", f"{folder}/done/index.jsonl", 1767225600500, raw_job(job_number(i))) for i in range(count)]
    live = (f"{folder}/live/x.json", "", 0, raw_job(job_number(count, "queued")))
    event = (7, "progress", "go", {"percent": 50}, 1767225600.5)
    return Files([*done, live], [(f"{folder}/events/x.jsonl", [event])], [(f"{folder}/live/w1.json", b"worker\n")],
                 [(f"{folder}/live/gone.json", "")])


def a_place() -> Path:
    """Where batches go."""
    folder = a_folder()
    for name in ("done", "live", "events"):
        (folder / name).mkdir()
    (folder / "live" / "gone.json").write_text("old")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "LOCK"}


def a_filer(folder: Path) -> ProcessFiler:
    """One that has a lock to pass on."""
    return ProcessFiler(Disk(), os.open(folder / "LOCK", os.O_RDWR | os.O_CREAT))


def child_of(filer: ProcessFiler) -> "subprocess.Popen[bytes]":
    """The process that works for it."""
    assert filer._child is not None
    return filer._child


def test_a_batch_that_the_child_does_leaves_the_very_files_of_one_done_here():
    here, there = a_place(), a_place()
    kept_here: list[Kept] = []
    kept_there: list[Kept] = []
    Filer(Disk()).write(a_batch(here, CHILD_FILES_MIN), kept_here)
    filer = a_filer(there)
    filer.write(a_batch(there, CHILD_FILES_MIN), kept_there)
    same(child_of(filer).poll(), None)
    filer.close()
    same(contents(there), contents(here))
    same(kept_there, kept_here)
    rows = [row for line in contents(there)["done/index.jsonl"].split(b"\n") if line and (row := row_at(line))]
    same([row.id for row in rows], [job_number(i).id for i in range(CHILD_FILES_MIN)])
    same([kept[:2] for kept in kept_there], [(row.id, 1) for row in rows])
    same([event[:4] for event in events_in(contents(there)["events/x.jsonl"])], [(7, "progress", "go", {"percent": 50})])
    assert "live/gone.json" not in contents(there)


def test_a_small_batch_needs_no_child():
    folder = a_place()
    filer = a_filer(folder)
    filer.write(a_batch(folder, CHILD_FILES_MIN - 2), [])
    same(filer._child, None)
    same(len(contents(folder)), CHILD_FILES_MIN + 2)
    filer.close()


def test_what_the_disk_refuses_the_child_is_an_error_here_with_what_was_done_before():
    folder = a_place()
    filer = a_filer(folder)
    batch = a_batch(folder, CHILD_FILES_MIN)
    (folder / "done" / "5.json.tmp").mkdir()
    kept: list[Kept] = []
    error = refuses(OSError, lambda: filer.write(batch, kept))
    assert isinstance(error, OSError)
    same((error.errno, len(kept)), (21, 5))
    (folder / "done" / "5.json.tmp").rmdir()
    again: list[Kept] = []
    filer.write(batch, again)
    same([files for _, files, _ in again], [0] * 5 + [1] * (CHILD_FILES_MIN - 5))
    filer.close()


def test_a_child_that_dies_fails_its_batch_and_the_next_batch_has_another():
    folder = a_place()
    filer = a_filer(folder)
    filer.write(a_batch(folder, CHILD_FILES_MIN), [])
    first = child_of(filer)
    first.kill()
    first.wait()
    refuses(OSError, lambda: filer.write(a_batch(folder, CHILD_FILES_MIN), []), "has ended")
    filer.write(a_batch(folder, CHILD_FILES_MIN), [])
    assert child_of(filer).pid != first.pid
    filer.close()


def test_where_no_child_can_be_started_batches_are_done_here_and_a_child_is_tried_again_later():
    folder = a_place()
    filer = a_filer(folder)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1 if Path("/proc/self/fd").exists() else 3, most[1]))
    try:
        for _ in range(DEATHS_MAX):
            refuses(OSError, lambda: filer.write(a_batch(folder, CHILD_FILES_MIN), []), "cannot be started")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
    kept: list[Kept] = []
    filer.write(a_batch(folder, CHILD_FILES_MIN), kept)
    same((len(kept), filer._child), (CHILD_FILES_MIN, None))
    filer.write(a_batch(folder, CHILD_FILES_MIN), [])
    same(child_of(filer).poll(), None)
    filer.close()


def test_a_child_that_is_told_to_leave_stays_for_what_the_server_still_has():
    folder = a_place()
    filer = a_filer(folder)
    filer.write(a_batch(folder, CHILD_FILES_MIN), [])
    first = child_of(filer)
    for number in (signal.SIGTERM, signal.SIGINT):
        first.send_signal(number)
    filer.write(a_batch(folder, CHILD_FILES_MIN), [])
    same((child_of(filer).pid, first.poll()), (first.pid, None))
    filer.close()
    same(first.returncode, 0)


def test_the_folder_of_a_server_that_was_killed_is_taken_when_its_filer_has_ended_and_not_before():
    folder = a_folder() / "data"
    code = ("import sys; from pathlib import Path; from state.disk import Disk; from state.filer import ProcessFiler;"
            "from state.lock import DataLock;"
            "filer = ProcessFiler(Disk(), DataLock(Path(sys.argv[1])).descriptor); filer._child = filer._start();"
            "print(filer._child.pid, flush=True); sys.stdin.read()")
    server = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    filer = int(server.stdout.readline())
    os.kill(filer, signal.SIGSTOP)
    server.kill()
    server.communicate()
    with open(folder / "LOCK", "rb") as file:
        refuses(BlockingIOError, lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.kill(filer, signal.SIGCONT)
    DataLock(folder).release()
