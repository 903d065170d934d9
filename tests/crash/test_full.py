"""A disk that is full, or lets no file grow: clean refusals with stable codes, nothing acknowledged is lost, and all goes on when there is room."""

import resource
import subprocess
import sys
import time

from tests import kit
from tests.crash.injected import InjectedDisk
from tests.crash.mounted import SmallDisk, a_small_disk
from tests.crash.rig import BRIEF, Load, a_load, check_finished_once, doctor
from tests.house import Server, a_server, children, eventually
from tests.kit import ROOT, Skip, a_folder, same

FULL_S = 1.1                   # long enough for a probe of the storage
SMALL_MB = 96                  # more than one segment of the journal
CODES = {"storage_unavailable", "disk_low", "slow_down"}


def refused_cleanly(load: Load, least: set[str]) -> None:
    """Every refusal had a code of this kind and said when to come again; those in `least` were among them; no connection broke."""
    refusals = [refusal for line in load.lines for refusal in line.refusals]
    codes = {refusal.code for refusal in refusals}
    assert least <= codes <= CODES, codes
    assert all(refusal.retry_after.isdigit() for refusal in refusals), refusals[:3]
    same([line.broken for line in load.lines], [[] for _ in load.lines])


def is_said(server: Server, load: Load, *words: str) -> None:
    """/ready is 503 with the reason, a job that is not granted says why, and reads go on."""
    ready = eventually("/ready says so", lambda: next((r for r in [server.ask("GET", "/ready")] if any(w in str(r.value) for w in words)), None))
    assert ready.status == 503 and ready.headers["retry-after"].isdigit(), ready
    for path in ("/health", *[f"/jobs/{job_id}" for job_id in [*load.acknowledged.values()][-3:]]):    # those that share a turn with a write fail
        eventually(f"{path} is answered", lambda path=path: server.ask("GET", path).status == 200)


def files_may_have(server: Server, size: int) -> None:
    """From now on the server, and what it has started, may not write beyond so many bytes of a file."""
    if not hasattr(resource, "prlimit"):
        raise Skip("this system cannot limit the file size of another process")
    for pid in (server.process.pid, *children(server.process.pid)):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def goes_through_a_full_disk(server: Server, disk: SmallDisk | InjectedDisk) -> None:
    """It fills up under load, is freed, is full at a start, and is freed again."""
    with a_load(server) as load:
        load.more(50)
        disk.fill()
        is_said(server, load, "MiB are free", "No space left on device")
        eventually("a client was refused", lambda: any(line.refusals for line in load.lines))
        refused = server.ask("POST", "/artifacts", body=bytes(1 << 20), headers={"Content-Type": "application/octet-stream"})
        assert (refused.status, refused.value["code"]) in ((503, "storage_unavailable"), (507, "disk_low")), refused
        disk.free()
        load.more(50)
        refused_cleanly(load, set())                       # before the restart, which does break connections
        same(server.stop(), 0)                             # a killed one leaves zeros at the journal's end, whose room would do for a start
        disk.fill()
        command = [sys.executable, *disk.python(), str(ROOT / "server.py"), "--port", "0", "--data", str(server.data), "--skills",
                   str(server.library), "--no-worker"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
        same((ended.returncode, ended.stdout, len(ended.stderr.splitlines())), (2, "", 1))
        assert "[Errno 28]" in ended.stderr and str(server.data) in ended.stderr, ended.stderr
        disk.free()
        server.start()
        load.more(20)
    check_finished_once(server, load)
    server.stop()
    same(doctor(server, disk.python()), [])


def test_a_disk_that_is_full_refuses_cleanly_loses_nothing_and_goes_on_when_there_is_room():
    folder = a_folder()
    with a_small_disk(folder, SMALL_MB, Skip) as disk, a_server(BRIEF, "--slots", "2", data=folder / "data", python=disk.python()) as server:
        goes_through_a_full_disk(server, disk)


def test_a_disk_layer_that_has_no_space_left_does_the_same_where_no_file_system_may_be_mounted():
    folder = a_folder()
    disk = InjectedDisk(folder)
    with a_server(BRIEF, "--slots", "2", data=folder / "data", python=disk.python()) as server:
        goes_through_a_full_disk(server, disk)


def test_a_journal_that_may_not_grow_refuses_writes_cleanly_and_goes_on_when_it_may():
    with a_server(BRIEF, "--slots", "2") as server:
        with a_load(server) as load:
            load.more(50)
            for _ in range(3 if kit.LONG else 1):
                files_may_have(server, 0)
                is_said(server, load, "the disk refuses writes")
                time.sleep(FULL_S)
                files_may_have(server, resource.RLIM_INFINITY)
                load.more(50)
        refused_cleanly(load, {"storage_unavailable"})
        check_finished_once(server, load)
        server.kill()
        same(doctor(server), [])
