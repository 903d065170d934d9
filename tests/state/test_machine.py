"""The law: the tables are what DESIGN section 4 says, and nothing goes round them."""

import json
from itertools import product

from state import files, machine
from state.clock import iso
from state.errors import IllegalMove
from state.records import Worker
from state.store import Move
from tests.kit import refuses, same
from tests.state.builders import WALL, FilePlace, MemoryPlace, a_job, add_worker, commit, create, everything, lease

# The lines of DESIGN section 4, word for word but for their remarks; "the state it was paused from" is queued, processing or waiting.
LINES = {
    "job": """
        queued -> processing, waiting, paused, failed, cancelled
        processing -> waiting, paused, done, failed, cancelled
        waiting -> processing, paused, failed, cancelled
        paused -> queued, processing, waiting, failed, cancelled
        failed -> queued
        done ->
        cancelled ->""",
    "step": """
        pending -> ready, skipped, cancelled
        ready -> leased, waiting, failed, skipped, cancelled
        leased -> done, ready, waiting, failed, cancelled, unknown
        waiting -> ready, done, failed, skipped, cancelled
        unknown -> ready, done, failed, cancelled
        failed -> ready
        skipped -> pending
        cancelled -> pending
        done ->""",
    "worker": """
        new -> live
        live -> stale, draining
        stale -> live, gone, draining
        gone -> live
        draining -> drained, gone
        drained -> live, gone""",
}


def edges(kind):
    """{(from, to)} of the lines of a kind."""
    found = set()
    for line in LINES[kind].strip().splitlines():
        state, _, targets = line.partition("->")
        found |= {(state.strip(), to.strip()) for to in targets.split(",") if to.strip()}
    return found


def allowed(kind, state, to, paused_from=""):
    """Whether the law takes the edge."""
    try:
        machine.check(kind, "x", state, state, to, paused_from)
    except IllegalMove:
        return False
    return True


def test_every_pair_of_states_of_every_kind_is_an_edge_exactly_where_the_design_says_so():
    for kind, table in machine.TABLES.items():
        states = set(table) | {to for targets in table.values() for to in targets}
        same(states, set(table))
        for state, to in product(states, repeat=2):
            paused_from = to if kind == "job" and state == "paused" else ""
            same((kind, state, to, allowed(kind, state, to, paused_from)), (kind, state, to, (state, to) in edges(kind)))


def test_a_paused_job_resumes_only_as_what_it_was_paused_from():
    for paused_from, to in product(("queued", "processing", "waiting"), machine.JOB):
        same(allowed("job", "paused", to, paused_from), to in (paused_from, "failed", "cancelled"))


def test_a_move_from_a_state_that_the_thing_is_not_in_is_refused_even_if_the_edge_exists():
    for kind, table in machine.TABLES.items():
        for state, named in product(table, repeat=2):
            for to in table[named]:
                if state != named:
                    refuses(IllegalMove, lambda k=kind, s=state, n=named, t=to: machine.check(k, "x", s, n, t, t), state, named)


def test_things_begin_where_the_design_says_and_nowhere_else():
    begins = {"job": {"queued"}, "step": {"pending", "ready"}, "worker": {"new"}}
    for kind, table in machine.TABLES.items():
        for state in table:
            if state in begins[kind]:
                machine.check_birth(kind, "x", state)
            else:
                refuses(IllegalMove, lambda k=kind, s=state: machine.check_birth(k, "x", s), state)


def test_what_has_ended_is_what_has_no_way_on_but_a_retry():
    same({s for s, targets in machine.JOB.items() if targets <= {"queued"}}, set(machine.JOB_ENDED))
    same({s for s, targets in machine.STEP.items() if targets <= {"ready", "pending"} and s != "pending"}, set(machine.STEP_ENDED))


def test_an_illegal_move_raises_changes_nothing_and_leaves_one_line_that_names_the_calling_place():
    place = MemoryPlace()
    store = place.open()
    job_id = create(store, steps=2)
    add_worker(store)
    commit(store)
    before = everything(store)
    attempts = [
        ("job", job_id, "queued", "queued", "done", lambda: store.move_job(job_id, [Move("job", "queued", "done", "x")], "me")),
        ("job", job_id, "queued", "waiting", "processing", lambda: store.move_job(job_id, [Move("job", "waiting", "processing", "x")], "me")),
        ("step", f"{job_id}/s1", "pending", "pending", "leased",
         lambda: store.move_job(job_id, [Move("s0", "ready", "leased", "fine"), Move("s1", "pending", "leased", "x")], "me")),
        ("worker", "w1", "live", "live", "gone", lambda: store.move_worker("w1", "live", "gone", "x", "me")),
        ("job", store.ids.job(), None, None, "done", lambda: store.create_job(a_job(place.store.ids.job())._replace(state="done"), "x", "me")),
    ]
    for count, (kind, entity, state, from_state, to, attempt) in enumerate(attempts, 1):
        with store:
            refuses(IllegalMove, attempt)
        assert not store.dirty(), kind
        same(everything(store), before)
        same((len(place.engine.audited), store.illegal_moves), (count, count))
        line = place.engine.audited[-1]
        assert state is None or line["entity"] == entity, line
        same({k: line[k] for k in ("kind", "state", "from", "to", "by")}, {"kind": kind, "state": state, "from": from_state, "to": to, "by": "me"})
        assert line["place"].startswith("test_machine.py:") and "lambda" in line["place"], line


def test_the_audit_file_says_of_each_illegal_move_when_and_from_which_place_it_was_attempted_over_restarts_and_up_to_a_bound():
    place = FilePlace()
    store = place.open()
    job_id = create(store)
    commit(store)
    most, files.AUDIT_LINES_MAX = files.AUDIT_LINES_MAX, 3
    try:
        for _ in range(2):
            for _ in range(2):
                place.clock.go(1.5)
                with store:
                    refuses(IllegalMove, lambda store=store: store.move_job(job_id, [Move("job", "queued", "done", "x")], "me"))
            store = place.open()
    finally:
        files.AUDIT_LINES_MAX = most
    lines = [json.loads(line) for line in place.file("audit.jsonl").read_text().splitlines()]
    same([(line["n"], line["at"]) for line in lines], [(n, iso(WALL + 1.5 * n)) for n in (1, 2, 3)])
    for line in lines:
        same({k: line[k] for k in ("kind", "entity", "state", "from", "to", "by")},
             {"kind": "job", "entity": job_id, "state": "queued", "from": "queued", "to": "done", "by": "me"})
        assert line["place"].startswith("test_machine.py:") and "lambda" in line["place"], line


def test_moves_of_one_call_are_taken_together_or_not_at_all():
    store = MemoryPlace().open()
    job_id = create(store)
    with store:
        moves = [Move("job", "queued", "processing", "fine"), Move("s0", "leased", "done", "not yet")]
        refuses(IllegalMove, lambda: store.move_job(job_id, moves, "me"))
    same((store.jobs[job_id].state, store.jobs[job_id].steps[0].state, len(store.jobs[job_id].history)), ("queued", "ready", 1))


def test_each_move_is_in_the_history_with_from_to_why_by_and_at():
    place = MemoryPlace()
    store = place.open()
    job_id = create(store)
    place.clock.go(1.5)
    lease(store, job_id)
    moves = store.jobs[job_id].history
    same([(m.n, m.of, m.from_state, m.to, m.why, m.by) for m in moves], [
        (1, "job", None, "queued", "accepted", "client"),
        (2, "s0", "ready", "leased", "granted to w1", "w1"),
        (3, "job", "queued", "processing", "s0 is leased", "w1"),
    ])
    same([round(m.at - moves[0].at, 3) for m in moves], [0.0, 1.5, 1.5])


def test_a_worker_that_begins_elsewhere_than_new_is_refused():
    store = MemoryPlace().open()
    with store:
        refuses(IllegalMove, lambda: store.create_worker(Worker("w", "live", "b", 1, {}, 0, 0.0, 0.0)), "live")
    same(store.workers, {})
