"""Does a document keep the law? Its history is walked from its birth to its state, edge by edge, with the tables that the store asks.

Pure: a record and its events in, sentences out. Where entries are missing the walk goes on from what the next one says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from state import machine
from state.errors import IllegalMove
from state.projection import Event
from state.records import Job, Moved


def missing(job: Job, events: Iterable[Event]) -> list[int]:
    """Numbers up to the job's newest that neither its history nor its events have."""
    known = {move.n for move in job.history} | {event.n for event in events}
    return [n for n in range(1, job.last_n + 1) if n not in known] if len(known) < job.last_n else []


def unlawful(job: Job, events: Iterable[Event] = ()) -> Iterator[str]:
    """What the job's history has that cannot have happened; nothing for a lawful one. Moves that were cut out of it are looked for in `events`."""
    moves = {move.n: move for move in job.history}
    moves.update((event.n, Moved(*event.data)) for event in events if event.type == "moved")
    gaps = missing(job, events)
    if any(before.n >= after.n for before, after in pairwise(job.history)):
        yield "the entries of its history are not in order"
    walk = Walk()
    for n in sorted(moves):
        if gaps and gaps[0] < n:
            walk.lose()
            gaps = [gap for gap in gaps if gap > n]
        yield from walk.step(moves[n])
    if gaps:
        walk.lose()
    yield from walk.ends(job)


class Walk:
    """Where entry after entry leads to."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._grants: dict[str, int] = {}
        self._paused_from = ""
        self._at = 0.0
        self._begun = self._lost = False

    def lose(self) -> None:
        """Entries are missing here: anything lawful may have happened."""
        self._states, self._paused_from, self._lost, self._begun = {}, "", True, True

    def step(self, move: Moved) -> Iterator[str]:
        """What is wrong with the next entry."""
        if move.at < self._at:
            yield f"entry {move.n} is older than the one before it"
        self._at = move.at
        kind = "job" if move.of == "job" else "step"
        known = self._states.get(move.of)
        if move.from_state is None:
            if self._begun or kind != "job" or move.to not in machine.BIRTH["job"]:
                yield f"entry {move.n} is a birth of {move.of} as {move.to}, which is none"
        elif known is None and not self._lost and (kind == "job" or move.from_state not in machine.BIRTH["step"]):
            yield f"entry {move.n} takes {move.of} from {move.from_state}, where it cannot have begun"
        else:
            try:
                machine.check(kind, move.of, known or move.from_state, move.from_state, move.to, self._paused_from or move.to)
            except IllegalMove as error:
                yield f"entry {move.n}: {error}"
        if kind == "job":
            self._paused_from = (move.from_state or "") if move.to == "paused" else self._paused_from
        self._states[move.of] = move.to
        self._grants[move.of] = self._grants.get(move.of, 0) + (move.to == "leased")
        self._begun = True

    def ends(self, job: Job) -> Iterator[str]:
        """Where the history leads is where the record is."""
        if self._states.get("job", job.state if self._lost else None) != job.state:
            yield f"its state is {job.state}, its history ends with {self._states.get('job')}"
        for step in job.steps:
            last = self._states.get(step.id)
            if last is not None and last != step.state:
                yield f"step {step.id} is {step.state}, its history ends with {last}"
            elif last is None and not self._lost and step.state not in machine.BIRTH["step"]:
                yield f"step {step.id} is {step.state}, and no entry says how it came there"
            if not self._lost and self._grants.get(step.id, 0) != step.attempt:
                yield f"step {step.id} is at attempt {step.attempt}, its history has {self._grants.get(step.id, 0)} grants"
        for name in sorted(self._states.keys() - {"job"} - {step.id for step in job.steps}):
            yield f"its history moves {name}, which is none of its steps"
        if job.state in machine.JOB_ENDED and any(step.state in ("leased", "ready") for step in job.steps):
            yield f"it is {job.state} with a step that is ready or leased"
