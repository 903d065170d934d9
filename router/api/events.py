"""GET /jobs/{id}/events: a job's moves and events as one numbered sequence, as JSON or as a resumable stream (SSE).

`?after=n` or `Last-Event-ID: n` continues after number n. A stream ends with the move that ends the job; resumed after that it answers 204, which
tells a browser's EventSource to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from router.api.jobs import with_job
from router.api.waiting import wait_s
from router.app import House
from router.http.messages import WAIT, Offload, Outcome, Park, Request, Response, Stream
from router.http.messages import Wait as WaitMark
from router.observe.watch import Watcher
from state.errors import InvalidHeader, InvalidQuery
from state.machine import JOB_ENDED
from state.projection import Event
from state.records import Job, encode
from state.streams import sequence

RETRY_MS = 1_000               # before a browser connects again
PING_EVERY_S = 15.0            # so that proxies and readers know that the stream lives
PING = b": ping\n\n"


def events(house: House, request: Request) -> Outcome:
    """The sequence after a number."""
    after = _after(request)
    stream = "text/event-stream" in request.headers.get("accept", "")
    wait = wait_s(request)

    def answer(job: Job) -> Outcome:
        if stream:
            return _read(house, job, lambda found: _stream(house, house.store.jobs.get(job.id, job), found, after))
        return _read(house, job, lambda found: _page(house, house.store.jobs.get(job.id, job), found, after, house.clock.monotonic() + wait))
    return with_job(house, request.params["id"], answer)


def _after(request: Request) -> int:
    text = request.query.get("after")
    if text is not None:
        if not text.isascii() or not text.isdigit():
            raise InvalidQuery("after must be the number of an event", pointer="after")
        return int(text[:15])
    text = request.headers.get("last-event-id", "0")
    if not text.isascii() or not text.isdigit():
        raise InvalidHeader("Last-Event-ID must be the number of an event", pointer="Last-Event-ID")
    return int(text[:15])


def _read(house: House, job: Job, then: Callable[[list[Event]], Outcome]) -> Outcome:
    """The events in the job's file and those on their way there; a job whose moves are all its numbers has none to read."""
    if job.last_n == len(job.history):
        return then([])

    def read(found: Any) -> Outcome:
        if isinstance(found, Exception):
            raise found
        return then(found + house.store.engine.pending_events(job.id))
    return Offload(lambda: house.store.engine.read_events(job.id), read)


def _known(house: House, job: Job, found: list[Event], after: int) -> tuple[list[dict[str, Any]], bool]:
    """The sequence after a number, and whether it is whole: events of this very turn are not in `found` yet, so that what comes behind them waits."""
    documents = sequence(job, found, after)
    whole = job.seq <= house.store.seq or len(documents) >= job.last_n - after
    return (documents if whole else [d for i, d in enumerate(documents, after + 1) if d["n"] == i]), whole


def _page(house: House, job: Job, found: list[Event], after: int, until: float) -> Outcome:
    documents, whole = _known(house, job, found, after)
    if documents or (whole and job.state in JOB_ENDED) or house.ending() or house.clock.monotonic() >= until:
        last = job.last_n if whole else documents[-1]["n"] if documents else after
        return Response(200, {"job": job.id, "state": job.state, "events": documents, "last": max(after, last)})

    def again(timed_out: bool) -> Outcome:
        now = house.store.jobs.get(job.id, job)
        return _read(house, now, lambda more: _page(house, now, more, after, 0.0 if timed_out else until))
    return Park(("events", job.id), until, again)


def _stream(house: House, job: Job, found: list[Event], after: int) -> Outcome:
    documents, whole = _known(house, job, found, after)
    if not documents and whole and job.state in JOB_ENDED:
        return Response(204)
    watcher = Watcher(after)
    watcher.add(documents)
    house.watch.add(job.id, watcher)
    pinged = [house.clock.monotonic()]
    first = [b"retry: %d\n" % RETRY_MS]

    def pull() -> bytes | WaitMark | None:
        taken = watcher.take()
        if taken:
            pinged[0] = house.clock.monotonic()
            start, first[0] = first[0], b""
            return start + b"".join(_block(document) for document in taken)
        now = house.store.jobs.get(job.id)
        if watcher.overrun or house.ending() or now is None or (now.state in JOB_ENDED and watcher.last_n >= now.last_n):
            return None
        if house.clock.monotonic() - pinged[0] >= PING_EVERY_S:
            pinged[0] = house.clock.monotonic()
            return PING
        return WAIT
    headers = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
    return Stream(200, headers, "text/event-stream", ("events", job.id), pull, lambda: house.watch.remove(job.id, watcher))


def _block(document: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (document["n"], document["type"].encode(), encode(document))
