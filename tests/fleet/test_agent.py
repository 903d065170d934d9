"""A worker's life, tried on the real process against a scripted peer: work arrives, runs, is reported, and nothing is lost or done twice."""

from __future__ import annotations

import hashlib
import io
import signal
import time
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from fleet.__main__ import main
from tests.fleet.peer import Peer, command, eventually, run_command, worker
from tests.kit import a_folder, refuses, same

TOOL = '''
import os, time
from pathlib import Path

def main(value):
    return value

def mark(value):
    with open(value[0], "a") as file:
        file.write("x")
    time.sleep(value[1])
    return "marked"

def said(value, step):
    step.progress(0.5, "half")
    time.sleep(value)
    return 1

def phases(value, step):
    return [step.phase("one", lambda: 1), step.phase("two", lambda: 2)]

def read(value):
    return {"text": len(value["text"]), "rows": len(value["rows"]), "file": value["file"].read_text(), "kind": type(value["file"]).__name__}

def stream(value, step):
    for i in range(value):
        step.chunk([i, "c" * 60_000])
    return "streamed"

def grow(value, step):
    Path("made.bin").write_bytes(b"made")
    return {"small": 1, "text": "z" * 200_000, "file": step.artifact("made.bin")}
'''
RUN = "#!/bin/sh\ncat; echo oops >&2\n"


def offered(peer: Peer) -> str:
    """The bundle of these tests."""
    return peer.bundle({"tool.py": TOOL, "run.sh": RUN}, ("run.sh",))


def gone(process: Any, seconds: float = 5) -> int:
    """The exit code."""
    return int(process.wait(seconds))


def test_a_worker_registers_works_and_holds_its_leases_until_they_are_acknowledged():
    with Peer() as peer:
        bundle = offered(peer)
        with worker(peer, "--label", "gpu=h100", "--label", "big", "--memory-mb", "512"):
            peer.wait(lambda: peer.polls)
            beat = peer.heartbeats[0]
            same((beat["worker"], beat["protocol"], beat["slots"], beat["labels"], beat["held"], beat["memory_mb"]),
                 ("w1", 1, 1, {"gpu": "h100", "big": ""}, [], 512))
            assert "seen" not in beat and beat["disk_free_mb"] > 0 and beat["load"] >= 0
            peer.answers["/result"] = [(503, {"code": "storage_unavailable"})] * 3
            peer.give(command(7, bundle, value={"a": 1}))
            peer.wait(lambda: any(b["held"] == ["l_7"] and b["seen"] == 7 for b in peer.heartbeats), "a heartbeat with the lease")
            (result,) = peer.ends()
            same({k: result[k] for k in ("worker", "boot", "lease", "attempt", "status", "output")},
                 {"worker": "w1", "boot": beat["boot"], "lease": "l_7", "attempt": 1, "status": "done", "output": {"a": 1}})
            count = len(peer.heartbeats)
            peer.wait(lambda: any(b["held"] == [] for b in peer.heartbeats[count:]), "a heartbeat without the lease")
            peer.give(run_command(8, bundle, ["./run.sh"], [1, "ü"]))
            result = peer.ends(2)[1]
            same((result["output"], result["events"][0]["data"]["text"], result["events"][0]["k"]), ([1, "ü"], "oops", 1))
            peer.wait(lambda: peer.polls[-1].get("seen") == "8", "a poll that has seen both")


def test_results_wait_while_the_server_is_away_and_go_to_its_successor():
    peer = Peer()
    with peer:
        bundle = offered(peer)
        place = a_folder() / "mark"
        with worker(peer):
            peer.give(command(1, bundle, "tool.py:mark", [str(place), 0.3]))
            eventually(place.exists, "the start")
            peer.__exit__()
            time.sleep(0.4)
            same(peer.results, [])
            with peer:
                (result,) = peer.ends()
                same((result["output"], place.read_text()), ("marked", "x"))
                peer.give(command(2, bundle, value=2))
                same(peer.ends(2)[1]["output"], 2)

def test_a_refused_result_is_dropped_and_one_refused_for_the_moment_is_sent_again():
    with Peer() as peer:
        bundle = offered(peer)
        later = [(429, {"code": "slow_down", "retry_after": 0}), (408, {}), (500, {})]
        peer.answers["/result"] = [(409, {"code": "lease_lost", "detail": "gone"}), *later]
        with worker(peer) as process:
            peer.give(command(1, bundle, value=1))
            peer.wait(lambda: len(peer.answers["/result"]) == 3)
            peer.wait(lambda: peer.heartbeats and peer.heartbeats[-1]["held"] == [] and peer.heartbeats[-1].get("seen") == 1, "the lease is let go")
            peer.give(command(2, bundle, value=2))
            same([result["output"] for result in peer.ends()], [2])
            same(peer.answers["/result"], [])
            eventually(lambda: any(b"result_dropped" in line for line in process.said), "a line in the log")


def test_many_short_steps_are_held_ahead_and_their_results_go_together():
    with Peer() as peer:
        bundle = offered(peer)
        with worker(peer):
            for n in range(1, 31):
                peer.give(command(n, bundle, value=n))
            peer.ends(30)
            peer.wait(lambda: int(peer.polls[-1]["max"]) > 20, "a poll that asks for more than its slot")
            posts = len(peer.posts)
            peer.give(*(command(n, bundle, value=n) for n in range(100, 900)))
            results = peer.ends(830)
            same(sorted(r["output"] for r in results[30:]), list(range(100, 900)))
            same(sorted({len(post) > 1 for post in peer.posts[posts:]})[-1], True)
            assert len(peer.posts) - posts < 400
            peer.give(*(command(n, bundle, value=n, timeout_s=60) for n in range(1001, 1010)))
            peer.ends(839)
            peer.give(command(1010, bundle, value=1, timeout_s=60))
            peer.ends(840)
            peer.wait(lambda: int(peer.polls[-1]["max"]) < 20, "a poll that asks for less after long steps")


def test_a_batch_that_is_refused_as_a_whole_is_sent_one_by_one_and_the_bad_one_is_replaced_by_a_failure_that_says_so():
    with Peer() as peer:
        bundle = offered(peer)
        peer.answers["/result"] = [(503, {})] * 3
        peer.whole = lambda items: (400, {"code": "invalid_json"}) if len(items) > 1 else None
        peer.judge = lambda result: {"code": "invalid_message", "status": 422} if result.get("output") == 2 else {"accepted": True}
        with worker(peer, "--slots", "3") as process:
            peer.give(*(command(n, bundle, value=n) for n in (1, 2, 3)))
            peer.wait(lambda: len(peer.results) == 4 and peer.heartbeats[-1]["held"] == [], "an end to all three")
            same((sorted(r["output"] for r in peer.results if "output" in r), max(map(len, peer.posts))), ([1, 2, 3], 1))
            (instead,) = [r for r in peer.results if "error" in r]
            same((instead["status"], instead["error"]["code"], instead["error"]["retryable"]), ("failed", "result_refused", False))
            eventually(lambda: sum(b"result_dropped" in line for line in process.said) == 1, "a line in the log")


def test_a_grant_that_comes_twice_is_run_once():
    with Peer() as peer:
        bundle, place = offered(peer), a_folder() / "mark"
        with worker(peer):
            one = command(1, bundle, "tool.py:mark", [str(place), 0.1])
            peer.give(one)
            eventually(place.exists, "the start")
            peer.give(dict(one))
            peer.ends()
            peer.give(dict(one), command(2, bundle, value=2))
            same([r["lease"] for r in peer.ends(2)], ["l_1", "l_2"])
            same(place.read_text(), "x")


def test_a_cancelled_step_is_stopped_and_one_that_has_not_started_never_starts():
    with Peer() as peer:
        bundle, folder = offered(peer), a_folder()
        with worker(peer):
            for n in range(1, 21):
                peer.give(command(n, bundle, value=n))
            peer.ends(20)
            peer.wait(lambda: int(peer.polls[-1]["max"]) > 3)
            peer.give(command(31, bundle, "tool.py:mark", [str(folder / "a"), 60]), command(32, bundle, "tool.py:mark", [str(folder / "b"), 0]),
                      command(33, bundle, "tool.py:mark", [str(folder / "c"), 0]))
            eventually((folder / "a").exists, "the start")
            peer.give({"type": "cancel", "lease": "l_32"})
            peer.wait(lambda: "l_32" not in peer.heartbeats[-1]["held"] and "l_31" in peer.heartbeats[-1]["held"], "the first cancel")
            peer.cancel = ["l_31"]
            same(peer.ends(21)[20]["lease"], "l_33")
            same(((folder / "a").read_text(), (folder / "b").exists(), [r["lease"] for r in peer.settled()[20:]]), ("x", False, ["l_33"]))


def test_a_worker_without_a_free_slot_still_hears_cancels_at_once_and_asks_again_when_it_has_room():
    with Peer(heartbeat_s=60) as peer:
        bundle, folder = offered(peer), a_folder()
        with worker(peer):
            peer.give(command(1, bundle, "tool.py:mark", [str(folder / "a"), 0.5], timeout_s=60))
            peer.wait(lambda: peer.polls and peer.polls[-1]["max"] == "0", "a poll for cancels")
            peer.ends()
            peer.wait(lambda: peer.polls[-1]["max"] == "1", "a poll for work")
            peer.give(command(2, bundle, "tool.py:mark", [str(folder / "b"), 60], timeout_s=60))
            peer.wait(lambda: peer.polls[-1]["max"] == "0" and peer.polls[-1]["seen"] == "2", "a poll for cancels")
            asked = time.monotonic()
            peer.give({"type": "cancel", "lease": "l_2"}, command(3, bundle, value=3))
            same(peer.ends(2)[1]["output"], 3)
            assert time.monotonic() - asked < 3


def test_a_worker_that_the_server_forgot_registers_again():
    with Peer() as peer:
        bundle = offered(peer)
        with worker(peer):
            peer.give(command(50, bundle, value=1))
            peer.ends()
            peer.seen_granted = 0
            peer.answers["/commands"] = [(409, {"code": "unknown_worker", "hint": "POST /heartbeat"})]
            peer.give({"type": "cancel", "lease": "l_0"})
            peer.wait(lambda: not peer.answers["/commands"] and "seen" not in peer.heartbeats[-1], "a heartbeat that counts anew")
            peer.give(command(1, bundle, value=2))
            same(peer.ends(2)[1]["output"], 2)
            peer.wait(lambda: peer.polls[-1].get("seen") == "1", "the new count")


def test_a_superseded_worker_stops():
    with Peer() as peer, worker(peer) as process:
        peer.wait(lambda: peer.polls)
        peer.answers["/heartbeat"] = [(409, {"code": "worker_superseded", "detail": "a newer process"})]
        same(gone(process), 3)


def test_sigterm_lets_running_steps_end_and_gives_back_what_has_not_started():
    with Peer() as peer:
        bundle, folder = offered(peer), a_folder()
        with worker(peer) as process:
            for n in range(1, 21):
                peer.give(command(n, bundle, value=n))
            peer.ends(20)
            peer.wait(lambda: int(peer.polls[-1]["max"]) > 3)
            peer.give(command(31, bundle, "tool.py:mark", [str(folder / "a"), 0.3]), command(32, bundle, "tool.py:mark", [str(folder / "b"), 0]),
                      command(33, bundle, "tool.py:mark", [str(folder / "c"), 0], effects="once"))
            eventually((folder / "a").exists, "the start")
            process.send_signal(signal.SIGTERM)
            peer.wait(lambda: len(peer.settled()) > 20)
            peer.give(command(34, bundle, value=34))
            same(gone(process), 0)
            ends = {r["lease"]: r for r in peer.settled()[20:]}
            same({lease: (r["status"], r.get("error", {}).get("code")) for lease, r in ends.items()},
                 {"l_31": ("done", None), "l_32": ("interrupted", "not_started"), "l_33": ("interrupted", "not_started")})
            same((folder / "b").exists(), False)


def test_what_does_not_end_within_the_grace_is_interrupted_and_a_second_signal_kills():
    with Peer() as peer:
        bundle, folder = offered(peer), a_folder()
        for signals, code, told in ((1, 0, ["interrupted"]), (2, 1, [])):
            peer.results.clear()
            place = folder / f"mark{signals}"
            with worker(peer, "--grace", "0.2" if signals == 1 else "9") as process:
                peer.give(command(signals, bundle, "tool.py:mark", [str(place), 60]))
                eventually(place.exists, "the start")
                for _ in range(signals):
                    process.send_signal(signal.SIGTERM)
                    time.sleep(0.05)
                same((gone(process), [r["status"] for r in peer.settled()]), (code, told))


def test_a_drained_worker_polls_no_more_until_it_is_told_otherwise():
    with Peer(drain=True) as peer:
        bundle = offered(peer)
        with worker(peer):
            peer.wait(lambda: len(peer.heartbeats) >= 3)
            same(peer.polls, [])
            peer.numbers["drain"] = False
            peer.give(command(1, bundle, value=1))
            same(peer.ends()[0]["output"], 1)


def test_an_input_with_artifacts_arrives_inline_or_as_a_path_and_big_parts_of_an_output_go_up():
    with Peer() as peer:
        bundle = offered(peer)
        text, rows, file = peer.artifact(b"t" * 100_000), peer.artifact(b"[1,2,3]"), peer.artifact(b"in a file")
        value = {"text": {"$artifact": f"sha256:{text}", "as": "text", "bytes": 100_000}, "rows": {"$artifact": f"sha256:{rows}", "as": "json"},
                 "file": {"$artifact": f"sha256:{file}", "name": "a.txt"}}
        with worker(peer):
            peer.give(command(1, bundle, "tool.py:read", value), run_command(2, bundle, ["./run.sh"], {"file": value["file"]}),
                      command(3, bundle, "tool.py:grow"), command(4, bundle, "tool.py:read", {"file": {"$artifact": "sha256:" + "a" * 64}}))
            ends = {r["lease"]: r for r in peer.ends(4)}
        same(ends["l_1"]["output"], {"text": 100_000, "rows": 3, "file": "in a file", "kind": "PosixPath"})
        given = ends["l_2"]["output"]["file"]
        same((given["$artifact"], Path(given["path"]).read_bytes()), (f"sha256:{file}", b"in a file"))
        grown = ends["l_3"]["output"]
        same((grown["small"], grown["text"]["as"], grown["text"]["bytes"]), (1, "text", 200_000))
        for reference, content in ((grown["text"], b"z" * 200_000), (grown["file"], b"made")):
            same((reference["$artifact"], peer.content[reference["$artifact"][7:]]), ("sha256:" + hashlib.sha256(content).hexdigest(), content))
        same((ends["l_4"]["status"], ends["l_4"]["error"]["code"]), ("failed", "artifact_missing"))


def test_progress_is_told_while_the_step_runs_and_a_lost_lease_stops_it():
    with Peer() as peer:
        bundle = offered(peer)
        with worker(peer):
            peer.give(command(1, bundle, "tool.py:said", 0.3))
            peer.wait(lambda: peer.events("progress"))
            same((peer.settled(), peer.results[0]["status"]), ([], "partial"))
            same(peer.ends()[0].get("events"), None)
            peer.judge = lambda result: {"code": "lease_lost", "status": 409} if result["status"] == "partial" else {"accepted": True}
            peer.give(command(2, bundle, "tool.py:said", 60, timeout_s=8))
            peer.wait(lambda: peer.heartbeats[-1]["held"] == [] and peer.heartbeats[-1].get("seen") == 2, "the end of the lost step")
            peer.give(command(3, bundle, value=3))
            same(peer.ends(2)[1]["output"], 3)


def test_a_stream_larger_than_the_buffers_arrives_whole_and_in_order():
    with Peer() as peer:
        bundle = offered(peer)
        peer.answers["/result"] = [(503, {})] * 2
        with worker(peer):
            peer.give(command(1, bundle, "tool.py:stream", 150))
            same(peer.ends()[0]["output"], "streamed")
        same([data[0] for data in peer.events("chunk")], list(range(150)))
        same([event["k"] for result in peer.results for event in result.get("events", [])], list(range(1, 151)))


def test_a_phase_is_stored_before_the_function_goes_on():
    with Peer() as peer:
        bundle = offered(peer)
        peer.answers["/result"] = [(503, {"retry_after": 0})]
        with worker(peer):
            peer.give(command(1, bundle, "tool.py:phases"))
            same(peer.ends()[0]["output"], [1, 2])
            same(peer.events("phase"), [{"name": "one", "value": 1}, {"name": "two", "value": 2}])
            peer.judge = lambda result: {"code": "invalid_message", "status": 422} if result["status"] == "partial" else {"accepted": True}
            peer.give(command(2, bundle, "tool.py:phases"))
            same(peer.ends(2)[1]["error"]["code"], "phase_refused")


def test_a_command_that_cannot_be_read_fails_for_good_and_a_missing_bundle_may_come_later():
    with Peer() as peer, worker(peer):
        peer.give({**command(1, "b" * 64), "kind": "prompt"}, command(2, "b" * 64), {"type": "run", "n": 3})
        ends = {r["lease"]: r["error"] for r in peer.ends(2)}
        same((ends["l_1"]["code"], ends["l_1"]["retryable"], ends["l_2"]["code"], ends["l_2"]["retryable"]),
             ("bad_command", False, "bundle_missing", True))


def test_the_embedded_worker_reads_its_secret_from_a_pipe_and_ends_with_it():
    with Peer() as peer, worker(peer, "--secret-file", "-") as process:
        assert process.stdin
        process.stdin.write(b"s3cret\n")
        process.stdin.flush()
        peer.wait(lambda: peer.polls)
        same(peer.authorizations, {"Bearer s3cret"})
        process.stdin.close()
        same(gone(process), 0)
        process.stdin = None


def test_wrong_flags_are_one_clear_line():
    for flags, word in ((["--name", "a b"], "name"), (["--slots", "0"], "slots"), (["--label", "a b"], "label"),
                        (["--secret-file", "/no/such/file"], "/no/such/file"), (["--server", "ftp://x"], "ftp://x")):
        said = io.StringIO()
        with redirect_stderr(said):
            left = refuses(SystemExit, lambda f=flags: main(["--server", "http://127.0.0.1:9", *f]))
        same((flags, left.code, said.getvalue().count("\n"), word in said.getvalue()), (flags, 2, 1, True))
