"""Run steps: one process per attempt, in any language."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.fleet.hands import dead, hands
from tests.kit import same

SHELL = """#!/bin/sh
case "$1" in
  echo) cat ;;
  text) printf 'plain words' ;;
  exit) echo "because of $2" >&2; exit "$2" ;;
  env) env ;;
  where) pwd; ls -A; touch litter ;;
  loud) i=0; while [ $i -lt 1200 ]; do echo "line $i" >&2; i=$((i+1)); done ;;
  endless) while :; do printf '0123456789012345678901234567890123456789012345678901234567890123'; done ;;
  sleep) sleep 60 & echo $! > "$2.tmp"; echo $$ >> "$2.tmp"; mv "$2.tmp" "$2"; wait ;;
  leave) setsid sleep 60 & sleep 0.05; echo "$!" ;;
  limits) ulimit -n; ulimit -c ;;
  self) kill -9 $$ ;;
esac
"""
FILES = {"tool.sh": SHELL, "plain.py": "import sys, json\nprint(json.dumps({'argv': sys.argv[1:], 'input': json.load(sys.stdin)}))\n"}


def test_the_input_is_json_on_stdin_and_stdout_is_the_output():
    with hands(FILES) as h:
        value = {"text": "ü" * 200_000, "n": [1, None]}
        same(json.loads(h.end_of(h.run("./tool.sh", "echo", value=value))), value)
        same(h.end_of(h.run("./tool.sh", "text")), "plain words")


def test_dot_slash_means_the_bundle_and_arguments_are_never_read_by_a_shell():
    with hands(FILES) as h:
        end = json.loads(h.end_of(h.run("python3", "./plain.py", "$(id); *", "./no-such-file", "./../work", value=1)))
        same(end, {"argv": ["$(id); *", "./no-such-file", "./../work"], "input": 1})


def test_the_work_folder_is_fresh_and_removed_afterwards():
    with hands(FILES) as h:
        places = [h.end_of(h.run("./tool.sh", "where")).split() for _ in range(2)]
        assert places[0] != places[1] and all(len(place) == 1 for place in places)
        h.until(lambda: not any(Path(place[0]).exists() for place in places))


def test_exit_codes_say_whether_trying_again_is_worth_it():
    with hands(FILES, slots=2) as h:
        for code, kind, retryable in ((1, "exit_code", True), (75, "retry_later", True), (64, "exit_code", False), (78, "exit_code", False),
                                      (79, "exit_code", True), (127, "exit_code", True)):
            error = h.error_of(h.run("./tool.sh", "exit", str(code)))
            same((code, error["code"], error["retryable"], error["exit_code"], error["stderr"]), (code, kind, retryable, code, f"because of {code}"))
            assert f"because of {code}" in error["message"]
        error = h.error_of(h.run("./tool.sh", "self"))
        same((error["code"], error["signal"], error["retryable"]), ("killed_by_signal", 9, True))


def test_a_program_that_cannot_be_started_is_a_final_error():
    with hands(FILES) as h:
        for program in ("no-such-program", "./plain.py", "./absent.sh"):
            error = h.error_of(h.run(program))
            same((program, error["code"], error["retryable"]), (program, "cannot_start", False))
            assert program.removeprefix("./") in error["message"]


def test_stderr_becomes_bounded_log_events():
    with hands(FILES) as h:
        attempt = h.run("./tool.sh", "loud")
        h.end_of(attempt)
        lines = [line["text"] for line in h.said(attempt)]
        same((len(lines), lines[0], lines[-1]), (1_001, "line 0", "200 more lines were dropped"))


def test_more_stdout_than_allowed_kills_the_program():
    with hands(FILES) as h:
        error = h.error_of(h.run("./tool.sh", "endless", limits={"output_bytes": 100_000}))
        same((error["code"], error["retryable"]), ("output_too_large", False))


def test_the_environment_is_scrubbed_and_limits_are_set():
    os.environ["WORKER_ONLY"] = "secret"
    try:
        with hands(FILES) as h:
            text = h.end_of(h.run("./tool.sh", "env", env={"MODE": "fast"}))
            limits = h.end_of(h.run("./tool.sh", "limits", limits={"files": 77}))
    finally:
        del os.environ["WORKER_ONLY"]
    names = {line.partition("=")[0] for line in text.splitlines()} - {"PWD", "OLDPWD", "SHLVL", "_"}
    same(names, {"HOME", "LANG", "MODE", "PATH", "SKILL_FOLDER", "TMPDIR", "YARDMASTER_ATTEMPT"})
    same(limits.split(), ["77", "0"])


def test_a_timeout_kills_the_whole_group():
    with hands(FILES) as h:
        attempt = h.run("./tool.sh", "sleep", str(h.tmp / "pids"), timeout_s=0.3)
        same(h.error_of(attempt)["code"], "timeout")
        pids = [int(word) for word in (h.tmp / "pids").read_text().split()]
        h.until(lambda: all(map(dead, pids)), "the end of the group")
        same(len(pids), 2)


def test_a_cancelled_program_is_killed_and_nothing_is_told():
    with hands(FILES) as h:
        attempt = h.run("./tool.sh", "sleep", str(h.tmp / "pids"), timeout_s=8)
        h.until(lambda: (h.tmp / "pids").exists())
        h.pool.cancel(attempt)
        h.until(lambda: not h.pool.running)
        h.until(lambda: all(dead(int(word)) for word in (h.tmp / "pids").read_text().split()), "the end of the group")
        same(h.ends, {})


def test_what_left_its_session_ends_with_its_attempt():
    with hands(FILES) as h:
        pid = int(h.end_of(h.run("./tool.sh", "leave")))
        h.until(lambda: dead(pid), "the end of the stray")
        assert pid > 1
