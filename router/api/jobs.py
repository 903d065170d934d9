"""GET /jobs and below, and the verbs on a job. A job that has left memory is read on a helper thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleet.values import spill
from router.api.keys import asked
from router.api.views import finished_row, job_row, job_view
from router.api.waiting import job_reply, wait_s
from router.app import House
from router.http.messages import Offload, Outcome, Request, Response
from skills.definition import Definition
from state.errors import IllegalMove, InvalidQuery, InvalidTask, UnknownJob
from state.finished import Row
from state.ids import is_job_id
from state.journal import Damage
from state.limits import VALUE_INLINE_BYTES_MAX
from state.machine import JOB, JOB_ENDED
from state.records import Job, history_document
from state.streams import sequence

LIST_DEFAULT, LIST_MAX = 50, 1_000
SCAN_MAX = 20_000              # jobs in memory looked at for one page; a page with few matches goes on from its cursor


def with_job(house: House, job_id: str, then: Callable[[Job], Outcome]) -> Outcome:
    """`then(job)`, wherever the job is; UnknownJob if it is nowhere."""
    job = house.store.jobs.get(job_id)
    if job is not None:
        return then(job)
    if not is_job_id(job_id):
        raise UnknownJob(f"{job_id!r} is not a job id", hint="job ids look like j_01J0Z3NDEKTSV4RRFFQ69G5FAV")

    def read(found: Any) -> Outcome:
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise UnknownJob(f"no job {job_id} is here; finished jobs are kept for a time")
        return then(house.store.jobs.get(job_id, found))
    return Offload(lambda: house.store.engine.read_finished(job_id), read)


def show(house: House, request: Request) -> Outcome:
    """GET /jobs/{id}."""
    wait = wait_s(request)
    return with_job(house, request.params["id"], lambda job: job_reply(house, job, wait, 200))


def why(house: House, request: Request) -> Outcome:
    """GET /jobs/{id}/why."""
    return with_job(house, request.params["id"], lambda job: Response(200, house.why.explain(job)))


def history(house: House, request: Request) -> Outcome:
    """GET /jobs/{id}/history: every move, also those that the job's own history has no room for."""
    def answer(job: Job) -> Outcome:
        if len(job.history) == 0 or job.history[-1].n - job.history[0].n + 1 == len(job.history):
            return Response(200, {"job": job.id, "history": history_document(job.history)})

        def merged(events: Any) -> Outcome:
            if isinstance(events, Exception):
                raise events
            moves = [d for d in sequence(job, events + house.store.engine.pending_events(job.id), 0) if d["type"] == "moved"]
            rows = [{"n": d["n"], **d["data"], "at": d["at"]} for d in moves]
            return Response(200, {"job": job.id, "history": rows})
        return Offload(lambda: house.store.engine.read_events(job.id), merged)
    return with_job(house, request.params["id"], answer)


# -- lists ------------------------------------------------------------------------------------------------------------------------


def listing(house: House, request: Request) -> Outcome:
    """GET /jobs?state=&skill=&limit=&cursor=: newest first."""
    query = request.query
    state, skill, cursor = query.get("state", ""), query.get("skill", ""), query.get("cursor", "")
    limit = _limit(query.get("limit"))
    if state and state not in JOB:
        raise InvalidQuery(f"state must be one of {', '.join(JOB)}", pointer="state")
    if cursor and not is_job_id(cursor):
        raise InvalidQuery("cursor must be the next of a page before", pointer="cursor")
    most = SCAN_MAX if state or skill else limit + 1
    looked = house.store.newest(cursor, most)
    live = [job for job in looked if (not state or job.state == state) and (not skill or job.skill == skill)]
    more_live = len(looked) == most
    if state and state not in JOB_ENDED:
        following = live[limit - 1].id if len(live) > limit else looked[-1].id if more_live else None
        return Response(200, {"jobs": [job_row(j) for j in live[:limit]], "next": following})

    def wanted(row: Row) -> bool:
        return (not state or row.state == state) and (not skill or row.skill == skill)

    def merge(found: Any) -> Outcome:
        if isinstance(found, Exception):
            raise found
        rows, following = found
        by_id = {r.id: finished_row(r) for r in rows} | {j.id: job_row(j) for j in live[:limit + 1]}
        page = [by_id[job_id] for job_id in sorted(by_id, reverse=True)]
        if len(page) > limit:
            return Response(200, {"jobs": page[:limit], "next": page[limit - 1]["id"]})
        if more_live:
            following = max(following or "", looked[-1].id)
        return Response(200, {"jobs": page, "next": following})
    return Offload(lambda: house.store.engine.page_finished(cursor, limit, wanted, house.store.jobs.__contains__), merge)


def _limit(text: str | None) -> int:
    if text is None:
        return LIST_DEFAULT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LIST_MAX:
        raise InvalidQuery(f"limit must be an integer from 1 to {LIST_MAX}", pointer="limit")
    return int(text)


# -- verbs ------------------------------------------------------------------------------------------------------------------------


def pause(house: House, request: Request) -> Outcome:
    """POST /jobs/{id}/pause."""
    return _verb(house, request, "pause", lambda job: house.control.pause(job.id, "client"))


def resume(house: House, request: Request) -> Outcome:
    """POST /jobs/{id}/resume."""
    return _verb(house, request, "resume", lambda job: house.control.resume(job.id, "client"))


def cancel(house: House, request: Request) -> Outcome:
    """POST /jobs/{id}/cancel."""
    return _verb(house, request, "cancel", lambda job: house.control.cancel(job.id, "client"))


def retry(house: House, request: Request) -> Outcome:
    """POST /jobs/{id}/retry."""
    return _verb(house, request, "retry", lambda job: house.control.retry(job.id, "client"), wait_s(request), status=202)


def resolve(house: House, request: Request) -> Outcome:
    """POST /jobs/{id}/steps/{step}/resolve {"to": "done", "output": ...}."""
    body = request.json()
    if not isinstance(body, dict) or not isinstance(body.get("to"), str):
        raise InvalidTask('the body says what became of the step, such as {"to": "done", "output": {}}', pointer="/to")
    to, step = body["to"], request.params["step"]

    def resolved(output: Any) -> Outcome:
        if isinstance(output, Exception):
            raise output
        return _verb(house, request, f"steps/{step}/resolve", lambda job: house.control.resolve(job.id, step, to, output, "client"))
    if len(request.body) <= VALUE_INLINE_BYTES_MAX:
        return resolved(body.get("output"))
    return Offload(lambda: spill(body.get("output"), house.content.put), resolved)


def _verb(house: House, request: Request, name: str, act: Callable[[Job], Job], wait: float = 0.0, status: int = 200) -> Outcome:
    job_id = request.params["id"]
    use = asked(request, f"POST /jobs/{job_id}/{name}", "")
    earlier = use.answered(house)
    if earlier is not None:
        return earlier(wait)

    def on_live(job: Job) -> Outcome:
        again = use.answered(house)              # the same request may have been answered while this one was on a helper thread
        if again is not None:
            return again(wait)
        changed = act(job)
        if use.key:
            house.store.use_key(changed.id, use.scope, use.key, use.digest, status)
        return job_reply(house, house.store.jobs[job.id], wait, status, (("Location", f"/jobs/{job.id}"),))
    live = house.store.jobs.get(job_id)
    if live is not None and house.definitions.has(live.definition):
        return on_live(live)
    return _verb_on_finished(house, job_id, name, on_live)


def _verb_on_finished(house: House, job_id: str, name: str, on_live: Callable[[Job], Outcome]) -> Outcome:
    """Of the verbs only retry does something to a job that has left memory, or was recovered after its end: it comes back with its definition."""
    def found(job: Job) -> Outcome:
        if job.id in house.store.jobs and house.definitions.has(job.definition):
            return on_live(house.store.jobs[job.id])
        if name == "retry" and job.state == "failed":
            return Offload(lambda: house.definitions.load(job.definition), lambda definition: readmit(job, definition))
        if name == "cancel" and job.state == "cancelled":
            return Response(200, job_view(job))
        raise IllegalMove(f"job {job.id} is {job.state} and cannot be changed by {name}", entity=job.id, state=job.state)

    def readmit(job: Job, definition: Definition | Exception) -> Outcome:
        if isinstance(definition, Damage):
            raise IllegalMove(f"job {job.id} cannot be run again: {definition}", entity=job.id, state=job.state) from definition
        if isinstance(definition, Exception):
            raise definition
        house.definitions.pinned(definition)
        return on_live(house.store.jobs.get(job.id) or house.store.readmit_job(job))
    return with_job(house, job_id, found)


