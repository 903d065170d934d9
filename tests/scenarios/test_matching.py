"""Which skill fits is found in a process of its own: submits wait for it, nobody else does, and whatever becomes of it every task is answered."""

import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from tests.house import a_server, a_skill, alive, children, eventually
from tests.kit import ROOT, same

STEP = '[[steps]]\nid = "go"\nkind = "python"\nentry = "tool.py:go"\ntimeout_s = 5\n'
TOOL = "def go(input):\n    return {}\n"
SKILLS = {**a_skill("alarm", TOOL, STEP, 'examples = ["wake me at seven"]', "Sets an alarm clock. Use when somebody wants to be woken."),
          **a_skill("weather", TOOL, STEP, 'examples = ["will it rain tomorrow"]', "Says what the weather will be.")}
WAKE, RAIN = "wake me at seven tomorrow", "will it rain at noon"


def ranker_of(server):
    """The process id of the one that ranks, None before it is there."""
    return next((pid for pid in children(server.process.pid) if b"skills.ranker" in Path(f"/proc/{pid}/cmdline").read_bytes()), None)


def routed(server, text):
    """The skill that a task would go to."""
    return server.post("/route", {"task": text})["skill"]


def test_a_task_is_ranked_in_a_process_that_begins_with_the_first_and_ends_with_the_server():
    with a_server(SKILLS) as server:
        same(server.post("/tasks?wait=30", {"skill": "alarm", "input": {}})["state"], "done")
        same(ranker_of(server), None)                      # a task that names its skill needs none
        same([server.post("/tasks?wait=30", {"task": text, "input": {}})["skill"] for text in (WAKE, RAIN, WAKE)], ["alarm", "weather", "alarm"])
        ranker = ranker_of(server)
        same(server.stop(), 0)
        eventually("the process has ended", lambda: not alive(ranker))


def test_a_batch_waits_for_all_its_texts_and_each_goes_its_way():
    with a_server(SKILLS) as server:
        tasks = [{"task": WAKE, "input": {}}, {"task": "zzz xxx", "input": {}}, {"skill": "weather", "input": {}}, {"task": RAIN, "input": {}}, 7,
                 {"task": 7}, {"task": WAKE + " please" * 300, "input": {}}, {"task": "x" * 100_001}]
        reply = server.ask("POST", "/tasks", tasks)
        same([item.get("skill") or item["code"] for item in reply.value],
             ["alarm", "no_skill_matches", "weather", "weather", "invalid_task", "invalid_task", "alarm", "invalid_task"])


def test_an_edit_counts_as_soon_as_it_is_seen():
    with a_server(SKILLS) as server:
        same(routed(server, WAKE), "alarm")
        for name, text in a_skill("radio", TOOL, STEP, 'examples = ["turn the radio on"]', "Plays the radio.").items():
            (server.library / name).parent.mkdir(exist_ok=True)
            (server.library / name).write_text(text)
        eventually("the skill is seen", lambda: [skill["name"] for skill in server.get("/skills")["skills"]][1:2] == ["radio"])
        same(routed(server, "turn the radio on please"), "radio")
        shutil.rmtree(server.library / "radio")
        eventually("it is gone", lambda: len(server.get("/skills")["skills"]) == 2)
        same(server.post("/route", {"task": "turn the radio on please"})["decision"]["dispatch"], False)


def test_a_process_that_dies_is_replaced_and_every_task_is_answered():
    with a_server(SKILLS) as server:
        for number in range(5):
            same(routed(server, f"{WAKE} {'again ' * number}"), "alarm")
            os.kill(ranker_of(server), signal.SIGKILL)
        same(routed(server, RAIN), "weather")


@contextmanager
def one_that_waits(server):
    """(the process that ranks, which stands still; a list that gets the reply to a task that waits for it)."""
    same(routed(server, WAKE), "alarm")
    ranker = ranker_of(server)
    os.kill(ranker, signal.SIGSTOP)
    replies = []
    waits = threading.Thread(target=lambda: replies.append(server.ask("POST", "/tasks", {"task": RAIN, "input": {}})))
    waits.start()
    try:
        yield ranker, replies
    finally:
        waits.join(30)


def test_who_waits_too_long_is_told_to_come_again_and_nobody_else_waits():
    with a_server(SKILLS) as server:
        with one_that_waits(server) as (ranker, replies):
            began = time.monotonic()
            same(server.post("/tasks?wait=30", {"skill": "weather", "input": {}})["state"], "done")
            same(routed(server, WAKE), "alarm")            # that answer is known
            assert time.monotonic() - began < 4.0
        same((replies[0].status, replies[0].value["code"], replies[0].headers["retry-after"]), (503, "catalogue_loading", "2"))
        os.kill(ranker, signal.SIGCONT)
        same(routed(server, RAIN), "weather")


def test_a_server_that_is_stopped_answers_those_that_wait_and_does_not_wait_for_the_process():
    with a_server(SKILLS) as server:
        with one_that_waits(server) as (ranker, replies):
            eventually("it is asked", lambda: server.get("/ready") and time.sleep(0.2) is None)
            began = time.monotonic()
            same(server.stop(), 0)
        same((replies[0].status, replies[0].value["code"]), (503, "shutting_down"))
        assert time.monotonic() - began < 4.0
        eventually("the process has ended", lambda: not alive(ranker))


SLOWLY = ("-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import skills.cache as cache, router.app; "
          "cache.FIRST_S = cache.READING_SLICE_S = 0.0; router.app.READ_ON_S = 0.15; import server; sys.exit(server.main(sys.argv[2:]))")


def test_while_a_large_library_is_read_skills_are_taken_by_name_and_tasks_that_name_none_are_put_off():
    more = {name: text for number in range(12) for name, text in a_skill(f"more-{number:02}", TOOL, STEP).items()}
    with a_server({**SKILLS, **more}, python=SLOWLY) as server:
        server.refused("POST", "/tasks", {"task": WAKE}, "catalogue_loading", 503)
        server.refused("POST", "/route", {"task": WAKE}, "catalogue_loading", 503)
        server.refused("POST", "/tasks", {"skill": "nobody"}, "catalogue_loading", 503)
        same(server.post("/tasks?wait=30", {"skill": "weather", "input": {}})["state"], "done")
        eventually("all is read", lambda: server.ask("POST", "/route", {"task": WAKE}).status == 200)
        same((routed(server, WAKE), len(server.get("/skills")["skills"])), ("alarm", 14))
        server.refused("POST", "/tasks", {"skill": "nobody"}, "unknown_skill", 404)
