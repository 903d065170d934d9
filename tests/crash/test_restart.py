"""Restarts under constant submits and polls: no failed result, no lost job, no refusal but clean 503s.

A server that stops answers what it has been sent. Where a supervisor holds the port, who comes between its end and the next one's start waits, and no
request fails. Where nobody does, those are refused by the system: they are counted apart, and must all lie in the gap.
"""

import socket
import threading
import time

from tests import kit
from tests.crash.rig import AGAIN_S, BRIEF, Line, Load, a_load, a_worker, check_finished_once, doctor
from tests.house import Server, a_server
from tests.kit import same

RESTARTS, RESTARTS_LONG = 4, 20
BETWEEN_S = 0.2                # of service


class Readers:
    """Clients that ask for jobs again and again: as they stand, waiting for their end, and lists."""

    def __init__(self, server: Server, load: Load) -> None:
        self.lines = [Line(server.port) for _ in range(3)]
        self._over = threading.Event()
        self.wrong: list[str] = []
        reads = (self._poll, self._wait, self._list)
        self._threads = [threading.Thread(target=read, args=(line, load)) for read, line in zip(reads, self.lines, strict=True)]
        for thread in self._threads:
            thread.start()

    def _poll(self, line: Line, load: Load) -> None:
        while not self._over.wait(AGAIN_S):
            self._look(line, [*load.acknowledged.values()][-20:], "")

    def _wait(self, line: Line, load: Load) -> None:
        while not self._over.wait(AGAIN_S):
            self._look(line, [*load.acknowledged.values()][-1:], "?wait=0.2")

    def _look(self, line: Line, jobs: list[str], query: str) -> None:
        for job_id in jobs:
            job = line.once("GET", f"/jobs/{job_id}{query}")
            if job is not None and (job["id"] != job_id or job["state"] in ("failed", "cancelled")):
                self.wrong.append(kit.pretty(job))

    def _list(self, line: Line, load: Load) -> None:
        while not self._over.wait(AGAIN_S):
            line.once("GET", "/jobs?limit=50")

    def end(self) -> None:
        """No more."""
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_restarts_under_constant_submits_and_polls_fail_no_result_lose_no_job_and_refuse_only_with_clean_503s():
    broken = restarted(RESTARTS_LONG if kit.LONG else RESTARTS, None)
    assert broken, "no client came while nobody listened"


def test_restarts_of_a_server_whose_port_a_supervisor_holds_break_no_connection_attempt_at_all():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        same(restarted(RESTARTS_LONG if kit.LONG else RESTARTS, listener), 0)


def restarted(times: int, listener: socket.socket | None) -> int:
    """Restart a server that is being used; how many requests met nobody, all of them while nobody listened."""
    with a_server(BRIEF, "--slots", "1", listener=listener) as server, a_worker(server, "far", "--slots", "1"):
        gaps = []
        with a_load(server, pause_s=0.02) as load:
            load.more(10)
            readers = Readers(server, load)
            try:
                for _ in range(times):
                    time.sleep(BETWEEN_S)
                    begun = time.monotonic()
                    same(server.stop(), 0)
                    server.start()
                    gaps.append((begun, time.monotonic()))
                load.more(10)
            finally:
                readers.end()
        lines = [*load.lines, *readers.lines]
        same(readers.wrong, [])
        refusals = {(r.status, r.code) for line in lines for r in line.refusals}
        assert refusals <= {(503, "shutting_down")}, refusals
        assert all(r.retry_after.isdigit() for line in lines for r in line.refusals)
        broken = [at for line in lines for at in line.broken]
        assert all(any(begun <= at <= end for begun, end in gaps) for at in broken), "a connection broke while the server served"
        jobs = check_finished_once(server, load)
        same({(step.get("failures", 0), step.get("losses", 0)) for job in jobs for step in job["steps"]}, {(0, 0)})
        took = sum(end - begun for begun, end in gaps) / len(gaps)
        replies, refused = (sum(count) for count in zip(*((line.replies, len(line.refusals)) for line in lines), strict=True))
        print(f"  {len(gaps)} restarts of {took:.2f} s, {len(jobs)} jobs, {replies} replies, {refused} of them 503, {len(broken)} met nobody")
        server.stop()
        same(doctor(server), [])
        return len(broken)
