"""POST /tasks, POST /route, POST /dispatch: from words to a job, one at a time or a thousand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from fleet.protocol import parse_dispatch
from router.api.keys import Asked, asked
from router.api.views import job_view
from router.api.waiting import job_reply, wait_s
from router.app import House
from router.http.messages import Offload, Outcome, Park, Request, Response
from router.http.replies import problem_document
from router.work.submit import Admission, Task, digest_of, parse_task
from state.errors import CatalogueLoading, Fault, InvalidTask, ShuttingDown, StorageUnavailable, UnknownJob
from state.limits import BATCH_ITEMS_MAX, VALUE_INLINE_BYTES_MAX
from state.records import Job, encode

RANKED_S_MAX = 5.0             # that a task waits until it is known which skill fits it
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")


def submit(house: House, request: Request) -> Outcome:
    """One task or an array of them."""
    body = request.json()
    if isinstance(body, list):
        return _submit_batch(house, request, body)
    wait = wait_s(request)
    task = parse_task(body)
    return _admit_one(house, request, task, wait, asked(request, "POST /tasks", task.key))


def trace_of(request: Request) -> str:
    """The request's W3C traceparent, "" if there is none that is valid."""
    found = request.headers.get("traceparent", "")
    return found if TRACEPARENT.fullmatch(found) else ""


def dispatch(house: House, request: Request) -> Outcome:
    """Queue work for one named worker."""
    message = parse_dispatch(request.json())
    house.registry.worker(message.worker, status=404)
    task = parse_task(message.members)._replace(target=message.worker)
    return _admit_one(house, request, task, wait_s(request), asked(request, "POST /dispatch", task.key))


def _admit_one(house: House, request: Request, task: Task, wait: float, use: Asked) -> Outcome:
    earlier = use.answered(house)
    if earlier is not None:
        return earlier(wait)
    house.submit.open_for(1)
    return ranked(house, [task], lambda: _admit_ranked(house, request, task, wait, use))


def _admit_ranked(house: House, request: Request, task: Task, wait: float, use: Asked) -> Outcome:
    house.submit.open_for(1)                     # it may have begun to leave meanwhile
    admission = house.submit.admit(task, len(request.body))

    def create() -> Outcome:
        again = use.answered(house)              # the same request may have been answered while this one was on a helper thread
        if again is not None:
            return again(wait)
        job = house.submit.create(admission, "client", use.scope, use.key, use.digest, 202, trace_of(request))
        return job_reply(house, job, wait, 202, (("Location", f"/jobs/{job.id}"),))
    return _after(admission.blocking, create)


def _after(blocking: list[Callable[[], None]], then: Callable[[], Outcome]) -> Outcome:
    """`then` at once, or after what blocks was done on a helper thread."""
    if not blocking:
        return then()

    def call() -> None:
        for work in blocking:
            work()

    def resume(result: Any) -> Outcome:
        if isinstance(result, OSError):
            raise StorageUnavailable(f"the disk refuses writes: {result.strerror}", retry_after_s=1) from result
        if isinstance(result, Exception):
            raise result
        return then()
    return Offload(call, resume)


def _submit_batch(house: House, request: Request, items: list[Any]) -> Outcome:
    """Each item is a unit of its own; the reply is an array of the very bodies of single calls."""
    if not items or len(items) > BATCH_ITEMS_MAX:
        raise InvalidTask(f"a batch has 1 to {BATCH_ITEMS_MAX} tasks, this one has {len(items)}")
    house.submit.open_for(len(items))
    return ranked(house, _unnamed(items), lambda: _admit_batch(house, request, items))


def _unnamed(items: list[Any]) -> list[Task]:
    """The tasks of a batch that have to be ranked; what is no task is refused later, in its place."""
    found = []
    for item in items:
        if isinstance(item, dict) and not item.get("skill"):
            with suppress(InvalidTask):
                found.append(parse_task(item))
    return found


def _admit_batch(house: House, request: Request, items: list[Any]) -> Outcome:
    header = asked(request, "POST /tasks", "")
    measured = len(request.body) > VALUE_INLINE_BYTES_MAX          # else no item can be large, and a share of the whole will do
    share = len(request.body) // len(items)
    admitted = [_admit_item(house, item, i, len(encode(item)) if measured else share, header) for i, item in enumerate(items)]
    earlier: dict[str, Job | None] = {}
    return _after(_blocking(house, admitted, earlier), lambda: _create_batch(house, request, admitted, earlier))


Admitted = tuple[Admission, Asked] | str | Fault        # to be created, the id of the job that its key was used for, or refused


def _admit_item(house: House, item: Any, index: int, size: int, header: Asked) -> Admitted:
    try:
        task = parse_task(item)
        key = task.key or (f"{header.key}[{index}]" if header.key else "")
        use = Asked("POST /tasks", key, digest_of(encode(item)) if key else "")
        known = use.known(house)
        return known if known is not None else (house.submit.admit(task, size), use)
    except Fault as fault:
        return fault.with_traceback(None)


def _blocking(house: House, admitted: list[Admitted], earlier: dict[str, Job | None]) -> list[Callable[[], None]]:
    """What has to be done on a helper thread first: each definition pinned once, large inputs stored, finished jobs read."""
    pins: dict[str, list[Callable[[], None]]] = {}
    work: list[Callable[[], None]] = []
    for item in admitted:
        if isinstance(item, tuple) and item[0].own:
            work += item[0].blocking
        elif isinstance(item, tuple):
            pins[item[0].definition.sha256] = item[0].blocking
        elif isinstance(item, str) and item not in house.store.jobs:
            work.append(partial(_read_earlier, house, item, earlier))
    return [pin for some in pins.values() for pin in some] + work


def _read_earlier(house: House, job_id: str, earlier: dict[str, Job | None]) -> None:
    earlier[job_id] = house.store.engine.read_finished(job_id)


def _create_item(house: House, request: Request, item: Admitted, earlier: dict[str, Job | None]) -> Job:
    if isinstance(item, Fault):
        raise item
    if isinstance(item, str):
        known = house.store.jobs.get(item) or earlier.get(item)
        if known is None:
            raise UnknownJob(f"the key was used for job {item}, whose retention has ended")
        return known
    admission, use = item
    used_by = use.known(house)                  # by an item before this one
    if used_by is not None:
        return house.store.job(used_by)
    return house.submit.create(admission, "client", use.scope, use.key, use.digest, 202, trace_of(request))


def _create_batch(house: House, request: Request, admitted: list[Admitted], earlier: dict[str, Job | None]) -> Response:
    bodies: list[dict[str, Any]] = []
    first_problem = 0
    accepted = False
    for index, item in enumerate(admitted):
        try:
            job = _create_item(house, request, item, earlier)
            house.store.split()
            bodies.append(job_view(job))
            accepted = True
        except Fault as fault:
            house.store.rollback()
            house.store.begin()
            first_problem = first_problem or fault.status
            bodies.append({**problem_document(fault.with_traceback(None)), "index": index})       # frames of its trace hold the item, the fault
    return Response(202 if accepted else first_problem, bodies)


def ranked(house: House, tasks: Sequence[Task], then: Callable[[], Outcome]) -> Outcome:
    """`then`, once it is known which skills fit the tasks that name none."""
    unnamed = [task for task in tasks if not task.skill]
    if unnamed and house.library.reading:
        raise CatalogueLoading("the library is large and still being read", retry_after_s=2, hint='name a skill with "skill", or come again')
    return _ranked(house, unnamed, then, house.clock.monotonic() + RANKED_S_MAX) if unnamed else then()


def _ranked(house: House, tasks: Sequence[Task], then: Callable[[], Outcome], until: float) -> Outcome:
    key = house.matching.ask(house.submit.catalogue(), map(house.submit.query, tasks), house.config().matching.candidates)
    if key is None:
        return then()
    return Park(key, until, lambda timed_out: _look_again(house, tasks, then, until, timed_out))


def _look_again(house: House, tasks: Sequence[Task], then: Callable[[], Outcome], until: float, timed_out: bool) -> Outcome:
    """The catalogue may be another one by now."""
    if house.ending():
        raise ShuttingDown("the server is stopping and takes no new jobs", retry_after_s=2)
    if timed_out:
        house.log.warning("ranking_late", waited_s=RANKED_S_MAX, tasks=len(tasks))
        raise CatalogueLoading(f"which skill fits was not found within {RANKED_S_MAX:.0f} s", retry_after_s=2,
                               hint='name one with "skill", or come again')
    return _ranked(house, tasks, then, until)


def route(house: House, request: Request) -> Outcome:
    """The decision for a task, without starting anything."""
    task = parse_task(request.json())
    return ranked(house, [task], lambda: _route(house, task))


def _route(house: House, task: Task) -> Response:
    decision, definition = house.submit.route(task)
    view: dict[str, Any] = {"decision": decision.document(), "candidates": decision.facts.get("candidates", []),
                            "catalogue": house.submit.catalogue().version}
    if definition is not None:
        view |= {"skill": definition.name, "version": definition.version, "definition": definition.sha256, "runnable": definition.runnable}
        if not definition.runnable:
            view["not_runnable"] = definition.not_runnable
    return Response(200, view)
