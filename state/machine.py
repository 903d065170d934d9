"""The law: which moves exist. One table for each kind of thing that has a lifecycle; an edge that is not here does not exist.

Three questions for each kind. Where does its state live: in its record (`state/records.py`), nowhere else. How does it change: through
`Store.move_job` and `Store.move_worker`, which ask `check` here. Who may change it: `router/work` (jobs, steps) and `fleet/registry.py` (workers).
Nothing here decides whether a move is wise; that is judgement (`router/policy`). docs/STATES.md is printed from these tables.
"""

from __future__ import annotations

from state.errors import IllegalMove

Table = dict[str, frozenset[str]]


def _table(**edges: str) -> Table:
    return {state: frozenset(targets.split()) for state, targets in edges.items()}


JOB: Table = _table(
    queued="processing waiting paused failed cancelled",
    processing="waiting paused done failed cancelled",
    waiting="processing paused failed cancelled",
    paused="queued processing waiting failed cancelled",      # of the first three only the state it was paused from: see `check`
    failed="queued",                                          # explicit retry
    done="",
    cancelled="",
)

STEP: Table = _table(
    pending="ready skipped cancelled",
    ready="leased waiting failed skipped cancelled",
    leased="done ready waiting failed cancelled unknown",
    waiting="ready done failed skipped cancelled",            # for a retry time, an approval, a signal, a child, a budget, a provider
    unknown="ready done failed cancelled",                    # operator only
    done="",
    failed="ready",                                           # this and the next two edges: only when the job is retried
    skipped="pending",
    cancelled="pending",
)

WORKER: Table = _table(
    new="live",
    live="stale draining",
    stale="live gone draining",
    draining="drained gone",
    drained="live gone",
    gone="live",
)

TABLES: dict[str, Table] = {"job": JOB, "step": STEP, "worker": WORKER}
BIRTH = {"job": frozenset({"queued"}), "step": frozenset({"pending", "ready"}), "worker": frozenset({"new"})}
JOB_ENDED = frozenset({"done", "failed", "cancelled"})        # nothing runs any more; a failed job can still be retried
STEP_ENDED = frozenset({"done", "failed", "skipped", "cancelled"})


def check(kind: str, name: str, state: str, from_state: str, to: str, paused_from: str = "") -> None:
    """Raise IllegalMove unless the thing is in `from_state` and the table of its kind has the edge `from_state` -> `to`."""
    if state != from_state:
        raise IllegalMove(f"{kind} {name} is {state}, not {from_state}", entity=name, state=state, wanted=to)
    if to not in TABLES[kind].get(from_state, ()):
        raise IllegalMove(f"{kind} {name} cannot go from {from_state} to {to}", entity=name, state=state, wanted=to)
    if from_state == "paused" and kind == "job" and to not in ("failed", "cancelled", paused_from):
        raise IllegalMove(f"job {name} was paused from {paused_from} and cannot resume as {to}", entity=name, state=state, wanted=to)


def check_birth(kind: str, name: str, state: str) -> None:
    """Raise IllegalMove unless things of this kind may begin in `state`."""
    if state not in BIRTH[kind]:
        raise IllegalMove(f"{kind} {name} cannot begin as {state}", entity=name, state=None, wanted=state)
