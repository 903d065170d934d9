"""kill -9 of the real server, at moments that a seed chooses: what was acknowledged is finished, and no result is taken twice."""

import random
import signal
import subprocess
import sys
import time

from tests import kit
from tests.crash.rig import BRIEF, a_load, a_seed, check_finished_once, doctor, listed, live
from tests.house import Server, a_server, children
from tests.kit import ROOT, same

JOBS = 1_000
ROUNDS, ROUNDS_LONG = 5, 200
ROUND_S_MAX = 0.25             # between a start and the kill
LOOK_EVERY = 25                # rounds: the doctor looks at what was left, and a clean stop lets go of the journal


def test_the_server_killed_with_9_in_the_middle_of_1000_live_jobs_comes_back_and_finishes_every_acknowledged_one_once():
    with a_server(BRIEF, "--slots", "2") as server:
        with a_load(server, clients=1, batch=100, pause_s=0.0) as load:
            load.more(JOBS)
            running = live(server)
            assert running > 100, f"only {running} jobs were live"
            server.kill()
            server.start()
        check_finished_once(server, load)
        server.kill()
        same(doctor(server), [])


def killed_while_it_starts(server: Server, after_s: float) -> None:
    """Start it and kill it before, or just after, it listens."""
    command = [sys.executable, str(ROOT / "server.py"), "--port", str(server.port), "--data", str(server.data), "--skills", str(server.library),
               "--config", str(server.config), *server.arguments]
    with open(server.log, "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    time.sleep(after_s)
    process.kill()
    process.wait()


def one_death(server: Server, rnd: random.Random) -> None:
    """One way to die: alone, with the worker before or after it, while leaving, or once more while starting."""
    way = rnd.choice(("alone", "worker first", "worker too", "leaving", "starting"))
    workers = children(server.process.pid)
    if way == "worker first":
        for pid in workers:
            subprocess.run(["kill", "-9", str(pid)], check=False)
        time.sleep(rnd.uniform(0, 0.1))
    if way == "leaving":
        server.process.send_signal(signal.SIGTERM)
        time.sleep(rnd.uniform(0, 0.3))
    server.kill()
    if way == "worker too":
        for pid in workers:
            subprocess.run(["kill", "-9", str(pid)], check=False, stderr=subprocess.DEVNULL)
    if way == "starting":
        killed_while_it_starts(server, rnd.uniform(0, 0.3))


def test_the_server_killed_again_and_again_at_random_moments_under_load_loses_nothing_and_takes_no_result_twice():
    rnd = random.Random(a_seed())
    with a_server(BRIEF, "--slots", "2") as server:
        with a_load(server) as load:
            for number in range(1, 1 + (ROUNDS_LONG if kit.LONG else ROUNDS)):
                time.sleep(rnd.uniform(0, ROUND_S_MAX))
                one_death(server, rnd)
                if number % LOOK_EVERY == 0:
                    same(doctor(server), [])
                    server.start()
                    same(server.stop(), 0)
                server.start()
            load.more(1)
        check_finished_once(server, load)
        same({row["id"] for row in listed(server)}, {*load.acknowledged.values()})
        server.kill()
        same(doctor(server), [])
