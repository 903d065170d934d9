"""What a watcher of a job sees: its moves and its events as one numbered sequence, the same bytes however often it is read again.

Moves are in the job's history, events in data/events/<id>.jsonl; both draw their numbers from one counter of the job. Moves that the history
no longer holds (beyond 200) are in the event file as events of type `moved`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from state.clock import iso
from state.disk import Disk
from state.projection import Event
from state.records import Job, Moved, unstamped


def read_events(disk: Disk, path: Path) -> list[Event]:
    """The events of a file in order, each number once; a torn line (it was written again after it) is passed over."""
    return events_in(disk.read(path)) if disk.exists(path) else []


def events_in(data: bytes) -> list[Event]:
    """The same, of what such a file holds."""
    found = {event.n: event for event in map(_event_at, data.split(b"\n")) if event is not None}
    return [found[n] for n in sorted(found)]


def _event_at(line: bytes) -> Event | None:
    body = unstamped(line)
    return None if body is None else Event(*json.loads(body))


def event_document(event: Event) -> dict[str, Any]:
    """An event as on the wire."""
    if event.type == "moved":
        return moved_document(Moved(*event.data))
    return {"n": event.n, "type": event.type, "step": event.step, "data": event.data, "at": iso(event.at)}


def moved_document(move: Moved) -> dict[str, Any]:
    """A move as on the wire of a stream."""
    data = {"of": move.of, "from": move.from_state, "to": move.to, "why": move.why, "by": move.by}
    return {"n": move.n, "type": "moved", "step": "" if move.of == "job" else move.of, "data": data, "at": iso(move.at)}


def sequence(job: Job, events: list[Event], after: int) -> list[dict[str, Any]]:
    """Moves and events with number > `after`, in order."""
    found = {event.n: event_document(event) for event in events if event.n > after}
    for move in job.history:
        if move.n > after:
            found[move.n] = moved_document(move)
    return [found[n] for n in sorted(found)]
