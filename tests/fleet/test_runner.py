"""Python steps in warm runner processes: what a function gets, what becomes of what it says, and how it is stopped."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from tests.fleet.hands import dead, hands
from tests.kit import same

TOOL = '''
import json, os, subprocess, sys, time
from pathlib import Path

class Final(Exception):
    retryable = False

class Coded(Exception):
    code = "no_rows"

calls = []

def main(value):
    return value

def count(value):
    calls.append(1)
    return [len(calls), os.getpid()]

def boom(value):
    raise {"plain": ValueError("bad value"), "final": Final("never"), "coded": Coded("none left"), "exit": SystemExit(3)}[value]

def bad(value):
    return {"nan": float("nan"), "object": object(), "set": {1}, "folder": Path("/")}[value]

def sleep(value):
    Path(value[1]).open("a").write("x")
    time.sleep(value[0])
    return "slept"

def die(value):
    print("last words", file=sys.stderr)
    os.write(2, b"from below\\n")
    os.kill(os.getpid(), value) if value else os._exit(7)

def talk(value, step):
    print("one")
    print("two", end="")
    print("oops", file=sys.stderr)
    step.log("three")
    step.progress(0.25, "a quarter")
    step.progress(0.26)
    step.progress(1)
    step.chunk({"token": "a"})
    subprocess.run(["sh", "-c", "echo from a child"])
    return {"job": step.job, "attempt": step.attempt, "folder": str(step.work_folder) == os.getcwd()}

def flood(value):
    for i in range(3000):
        print(i)
    return 1

def files(value, step):
    Path("out.bin").write_bytes(b"kept")
    return {"a": step.artifact("out.bin", "out.bin"), "b": Path("out.bin"), "c": step.artifact(b"bytes")}

def litter(value):
    before = os.listdir(".")
    os.mkdir("sub"); Path("sub/x").write_text("x"); Path("y").write_text("y")
    os.chdir("/")
    return before

def phases(value, step):
    ran = []
    one = step.phase("one", lambda: ran.append("one") or 1)
    two = step.phase("two", lambda: ran.append("two") or one + 1)
    return [one, two, ran]

def environment(value):
    return dict(os.environ)

def big(value):
    return "z" * value

def memory(value):
    return len(bytearray(value))

def spin(value):
    while True:
        pass

def surrogate(value):
    return "\\ud800é"

def stuck_import(value):
    return __import__("state").WHO

def spoil(value):
    os.rmdir(os.getcwd())
    return os.getpid()

def group(value):
    child = subprocess.Popen(["sleep", "60"])
    away = subprocess.Popen(["sleep", "60"], start_new_session=True)
    Path(value).write_text(json.dumps([child.pid, away.pid, os.getpid()]))
    time.sleep(60)
'''
FILES = {"tool.py": TOOL, "state.py": "WHO = 'the bundle'\n", "broken.py": "def main(:\n", "missing.py": "import no_such_module\n"}


def test_a_function_is_called_with_its_input_and_its_return_value_is_the_output():
    with hands(FILES) as h:
        for value in ({"a": [1, 2.5, None, True, "ü\n\u2028"]}, None, "x" * 300_000, [], 0):
            same(h.end_of(h.call(value=value)), value)
        same(h.end_of(h.call("tool.py:surrogate")), "\ud800é")


def test_a_runner_stays_warm_and_module_state_with_it():
    with hands(FILES) as h:
        ends = [h.end_of(h.call("tool.py:count")) for _ in range(5)]
        same([end[0] for end in ends], [1, 2, 3, 4, 5])
        same(len({end[1] for end in ends}), 1)


def test_a_runner_is_replaced_after_its_calls_are_used_up():
    with hands(FILES) as h:
        called = 0
        while all(n < 1_000 for n, _ in h.ends.values()):      # a machine that stalls for a moment has calls go to another runner
            called += 150
            assert called < 10_000
            for _ in range(150):
                h.call("tool.py:count")
            h.until(lambda called=called: len(h.ends) == called)
        worn = {pid for n, pid in h.ends.values() if n == 1_000}
        same(max(n for n, _ in h.ends.values()), 1_000)
        h.until(lambda: all(dead(pid) for pid in worn), "the end of the old runner")
        h.end_of(h.call("tool.py:count"))


def test_an_exception_fails_the_step_with_its_words_and_the_convention_makes_it_final():
    with hands(FILES) as h:
        plain = h.error_of(h.call("tool.py:boom", "plain"))
        same((plain["code"], plain["message"], plain["retryable"]), ("step_raised", "ValueError: bad value", True))
        assert "tool.py" in plain["traceback"] and "runner_child" not in plain["traceback"]
        final, coded = h.error_of(h.call("tool.py:boom", "final")), h.error_of(h.call("tool.py:boom", "coded"))
        same((final["retryable"], coded["code"], coded["retryable"]), (False, "no_rows", True))
        same(h.error_of(h.call("tool.py:boom", "exit"))["message"], "SystemExit: 3")
        same(h.end_of(h.call(value=1)), 1)


def test_an_output_that_is_not_json_or_too_large_is_a_final_error():
    with hands(FILES) as h:
        for value in ("nan", "object", "set", "folder"):
            error = h.error_of(h.call("tool.py:bad", value))
            same((value, error["code"], error["retryable"]), (value, "output_not_json", False))
        error = h.error_of(h.call("tool.py:big", 5_000, limits={"output_bytes": 4_000}))
        same((error["code"], error["retryable"]), ("output_too_large", False))


def test_an_entry_that_cannot_be_used_is_a_final_error():
    with hands(FILES) as h:
        for entry in ("tool.py:nothing", "broken.py:main", "missing.py:main", "absent.py:main"):
            error = h.error_of(h.call(entry))
            same((entry, error["code"], error["retryable"]), (entry, "entry_broken", False))


def test_a_bundle_may_have_modules_named_like_ours():
    with hands(FILES) as h:
        same(h.end_of(h.call("tool.py:stuck_import")), "the bundle")


def test_what_a_function_says_becomes_events_of_its_own_attempt():
    with hands(FILES) as h:
        attempt = h.call("tool.py:talk", job="j_9", attempt=3)
        same(h.end_of(attempt), {"job": "j_9", "attempt": 3, "folder": True})
        logs = [(line["stream"], line["text"]) for line in h.said(attempt)]
        same(sorted(logs), sorted([("stdout", "one"), ("stderr", "oops"), ("log", "three"), ("stderr", "from a child"), ("stdout", "two")]))
        same(h.said(attempt, "progress"), [{"fraction": 0.25, "message": "a quarter"}, {"fraction": 1.0, "message": ""}])
        same(h.said(attempt, "chunk"), [{"token": "a"}])
        flooding = h.call("tool.py:flood")
        same(h.end_of(flooding), 1)
        same((len(h.said(flooding)), h.said(flooding)[-1]["text"]), (1_001, "2000 more lines were dropped"))


def test_files_that_a_function_keeps_are_put_aside_before_the_work_folder_is_emptied():
    with hands(FILES) as h:
        attempt = h.call("tool.py:files")
        output = h.end_of(attempt)
        kept = {sha256: (Path(place).read_bytes(), size) for _, (sha256, place, size) in h.uploads}
        for name, content in (("a", b"kept"), ("b", b"kept"), ("c", b"bytes")):
            sha256 = hashlib.sha256(content).hexdigest()
            same((output[name]["$artifact"], kept[sha256]), (f"sha256:{sha256}", (content, len(content))))
        same((output["a"]["name"], output["b"]["name"], "name" in output["c"]), ("out.bin", "out.bin", False))


def test_each_call_finds_its_work_folder_empty_and_is_in_it():
    with hands(FILES) as h:
        same([h.end_of(h.call("tool.py:litter")) for _ in range(3)], [[], [], []])


def test_a_runner_whose_work_folder_cannot_be_cleaned_leaves_and_costs_the_next_call_nothing():
    with hands(FILES) as h:
        for _ in range(30):
            h.end_of(h.call("tool.py:count"))
        spoilt, behind = h.call("tool.py:spoil"), [h.call("tool.py:count") for _ in range(3)]
        pids = [h.end_of(a)[1] for a in behind]
        assert h.end_of(spoilt) not in pids and len(set(pids)) == 1


def test_a_phase_waits_for_its_acknowledgement_and_is_not_run_again():
    with hands(FILES) as h:
        attempt = h.call("tool.py:phases")
        h.until(lambda: h.said(attempt, "phase"))
        same(h.said(attempt, "phase"), [{"name": "one", "value": 1}])
        h.pool.acknowledge(attempt)
        h.until(lambda: len(h.said(attempt, "phase")) == 2)
        h.pool.acknowledge(attempt)
        same(h.end_of(attempt), [1, 2, ["one", "two"]])
        again = h.call("tool.py:phases", phases={"one": 10})
        h.until(lambda: h.said(again, "phase"))
        h.pool.acknowledge(again)
        same(h.end_of(again), [10, 11, ["two"]])


def test_the_environment_is_scrubbed_and_the_steps_own_is_added():
    os.environ["WORKER_ONLY"] = "secret"
    try:
        with hands(FILES) as h:
            found = h.end_of(h.call("tool.py:environment", spec={"entry": "tool.py:environment", "env": {"MODE": "fast"}}))
    finally:
        del os.environ["WORKER_ONLY"]
    same((sorted(found), found["MODE"]), (["HOME", "LANG", "MODE", "PATH", "TMPDIR", "YARDMASTER_ATTEMPT"], "fast"))
    assert found["HOME"].startswith(str(h.work))


def test_a_call_over_its_time_is_killed_with_its_runner_and_the_next_gets_a_fresh_one():
    with hands(FILES) as h:
        first = h.end_of(h.call("tool.py:count"))
        error = h.error_of(h.call("tool.py:sleep", [60, str(h.tmp / "s")], timeout_s=0.15))
        same((error["code"], error["retryable"]), ("timeout", True))
        assert dead(first[1])
        assert h.end_of(h.call("tool.py:count"))[1] != first[1]


def test_a_runner_that_dies_fails_its_call_with_the_reason_and_its_last_words():
    with hands(FILES) as h:
        error = h.error_of(h.call("tool.py:die", 11))
        same((error["code"], error["retryable"], error["signal"]), ("runner_died", True, 11))
        assert "from below" in error["stderr"]
        same(h.error_of(h.call("tool.py:die", 0))["exit_code"], 7)
        same(h.end_of(h.call(value=1)), 1)


def test_memory_and_cpu_limits_hold():
    with hands(FILES) as h:
        error = h.error_of(h.call("tool.py:memory", 400 << 20, limits={"memory_mb": 200}))
        same(error["message"], "MemoryError: ")
        same(h.end_of(h.call("tool.py:memory", 1 << 20, limits={"memory_mb": 200})), 1 << 20)
        error = h.error_of(h.call("tool.py:spin", limits={"cpu_s": 0.01}, timeout_s=30))
        same((error["code"], error["signal"]), ("runner_died", 24))


def test_short_calls_lie_ahead_and_those_behind_one_that_stalls_go_elsewhere():
    with hands(FILES, slots=2) as h:
        for _ in range(30):
            h.end_of(h.call("tool.py:sleep", [0, str(h.tmp / "s")]))
        stalled = h.call("tool.py:sleep", [0.4, str(h.tmp / "stalled")])
        behind = [h.call("tool.py:sleep", [0, str(h.tmp / "behind")]) for _ in range(3)]
        h.pool.turn(time.monotonic())
        same(len(h.pool.running), 1)
        h.until(lambda: all(a.lease in h.ends for a in behind))
        assert stalled.lease not in h.ends
        same(h.end_of(stalled), "slept")
        same((len((h.tmp / "stalled").read_text()), len((h.tmp / "behind").read_text())), (1, 3))


def test_calls_behind_one_that_is_killed_are_not_lost_and_not_run_twice():
    with hands(FILES) as h:
        for _ in range(30):
            h.end_of(h.call("tool.py:sleep", [0, str(h.tmp / "s")]))
        stalled = h.call("tool.py:sleep", [60, str(h.tmp / "stalled")], timeout_s=0.1)
        behind = [h.call("tool.py:sleep", [0, str(h.tmp / "behind")]) for _ in range(5)]
        same(h.error_of(stalled)["code"], "timeout")
        same([h.end_of(a) for a in behind], ["slept"] * 5)
        same(len((h.tmp / "behind").read_text()), 5)


def test_a_cancelled_call_that_has_not_started_never_starts_and_a_running_one_is_killed():
    with hands(FILES) as h:
        for _ in range(30):
            h.end_of(h.call("tool.py:sleep", [0, str(h.tmp / "s")]))
        running = h.call("tool.py:sleep", [60, str(h.tmp / "running")], timeout_s=8)
        ahead, last = (h.call("tool.py:sleep", [0, str(h.tmp / name)]) for name in ("ahead", "last"))
        h.until(lambda: (h.tmp / "running").exists())
        h.pool.cancel(ahead)
        h.pool.cancel(running)
        same(h.end_of(last), "slept")
        assert not (h.tmp / "ahead").exists() and ahead.lease not in h.ends and running.lease not in h.ends


def test_a_killed_call_takes_with_it_all_that_it_started():
    with hands(FILES) as h:
        attempt = h.call("tool.py:group", str(h.tmp / "pids"), timeout_s=1.0)
        same(h.error_of(attempt)["code"], "timeout")
        pids = json.loads((h.tmp / "pids").read_text())
        h.until(lambda: all(dead(pid) for pid in pids), "the end of the group")


def test_an_exclusive_step_never_lies_ahead_and_nothing_lies_behind_it():
    with hands(FILES) as h:
        for _ in range(30):
            h.end_of(h.call("tool.py:sleep", [0, str(h.tmp / "s")]))
        once = [h.call("tool.py:sleep", [0.05, str(h.tmp / "once")], effects="once") for _ in range(2)]
        after = h.call("tool.py:sleep", [0, str(h.tmp / "after")])
        h.pool.turn(time.monotonic())
        same((once[0].state, once[1].state, after.state), ("running", "waiting", "waiting"))
        h.until(lambda: len(h.ends) == 33)


def test_a_step_that_may_run_only_once_does_not_start_while_its_lease_may_be_over():
    with hands(FILES) as h:
        h.fresh = False
        once, other = h.call(effects="once", value=1), h.call(value=2)
        same(h.end_of(other), 2)
        same(once.state, "waiting")
        h.fresh = True
        same(h.end_of(once), 1)


def test_a_stream_of_short_steps_does_not_keep_a_slot_from_another_skill():
    with hands(FILES) as h:
        for _ in range(30):
            h.end_of(h.call())
        for _ in range(300):
            h.call()
        other = h.call(limits={"files": 200}, value="other")
        for _ in range(300):
            h.call()
        same(h.end_of(other), "other")
        assert len(h.ends) < 600
        h.until(lambda: len(h.ends) == 631)


def test_no_more_processes_work_than_there_are_slots_and_warm_ones_are_bounded():
    with hands(FILES, slots=2) as h:
        attempts = [h.call("tool.py:count", limits={"files": 100 + i}) for i in range(8)]
        while len(h.ends) < 8:
            h.until(lambda seen=len(h.ends): len(h.ends) > seen)
            assert len(h.pool.running) <= 2
        pids = [h.ends[a.lease][1] for a in attempts]
        h.until(lambda: sum(not dead(pid) for pid in pids) <= 4, "the end of the oldest")
