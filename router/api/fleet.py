"""The four endpoints of the fleet, and what operators do with workers."""

from __future__ import annotations

from functools import partial
from typing import Any

from fleet.protocol import Poll, Result, commands_query, parse_heartbeat, parse_results, result_digest
from fleet.values import spill
from router.api.views import worker_view
from router.app import House
from router.http.messages import Offload, Outcome, Park, Request, Response
from router.http.replies import problem_document
from router.observe.house import worker_card, worker_cards
from router.work.finish import again
from state.errors import Fault, LeaseLost
from state.ids import lease_parts
from state.limits import VALUE_INLINE_BYTES_MAX
from state.records import Job

Answer = dict[str, Any] | Fault        # to one result
NO_STORE = (("Cache-Control", "no-store"),)


def heartbeat(house: House, request: Request) -> Response:
    """POST /heartbeat."""
    return Response(200, house.fleet.heartbeat(parse_heartbeat(request.json())))


def commands(house: House, request: Request) -> Outcome:
    """GET /commands: at once when there is work, else parked for `wait` seconds."""
    poll = commands_query(request.query)
    return _poll(house, poll, house.clock.monotonic() + poll.wait_s)


def _poll(house: House, poll: Poll, until: float) -> Outcome:
    reply, holds_something = house.fleet.poll(poll)
    if holds_something or reply["drain"] or house.clock.monotonic() >= until:
        return Response(200, reply, NO_STORE)
    parked = house.fleet.park(poll)

    def resume(timed_out: bool) -> Outcome:
        house.fleet.unpark(parked)
        return _poll(house, poll, 0.0 if timed_out or house.ending() else until)
    return Park(("poll", poll.worker), until, resume, lambda: house.fleet.unpark(parked))


def result(house: House, request: Request) -> Outcome:
    """POST /result: one or an array."""
    body = request.json()
    results = parse_results(body)
    single = not isinstance(body, list)
    if len(request.body) <= VALUE_INLINE_BYTES_MAX:
        return _settle(house, results, single)

    def store() -> list[Result | Fault]:
        return [r if isinstance(r, Fault) else r._replace(output=spill(r.output, house.content.put)) for r in results]

    def stored(done: Any) -> Outcome:
        if isinstance(done, Exception):
            raise done
        return _settle(house, done, single)
    return Offload(store, stored)


def _settle(house: House, results: list[Result | Fault], single: bool) -> Outcome:
    answers = house.fleet.results(results)
    unknown = [i for i, (r, a) in enumerate(zip(results, answers, strict=True)) if isinstance(a, LeaseLost) and _left_memory(house, r)]
    if not unknown:
        return _answer(answers, single)

    def reread(found: Any) -> Outcome:
        if isinstance(found, Exception):
            raise found
        for i, verdict in found.items():
            answers[i] = verdict
        return _answer(answers, single)
    return Offload(partial(_ask_disk, house, results, answers, unknown), reread)


def _left_memory(house: House, result: Result | Fault) -> bool:
    parts = None if isinstance(result, Fault) else lease_parts(result.lease)
    return parts is not None and parts[0] not in house.store.jobs


def _ask_disk(house: House, results: list[Result | Fault], answers: list[Answer], unknown: list[int]) -> dict[int, Answer]:
    """For results of jobs that have left memory: the same answer again, by what their files keep (blocking)."""
    verdicts: dict[int, Answer] = {}
    for i in unknown:
        result = results[i]
        assert isinstance(result, Result)
        job_id, index, attempt = lease_parts(result.lease) or ("", 0, 0)
        job: Job | None = house.store.engine.read_finished(job_id)
        if job is None or index >= len(job.steps) or attempt != result.attempt:
            continue
        try:
            verdicts[i] = again(job.steps[index], result, result_digest(result.status, result.output, result.error)) or answers[i]
        except Fault as fault:
            verdicts[i] = fault.with_traceback(None)              # whose frames hold the verdicts
    return verdicts


def _answer(answers: list[Answer], single: bool) -> Response:
    if single:
        if isinstance(answers[0], Fault):
            raise answers[0]
        return Response(200, answers[0])
    bodies = [{**problem_document(a), "index": i} if isinstance(a, Fault) else a for i, a in enumerate(answers)]
    accepted = not answers or any(not isinstance(a, Fault) for a in answers)
    return Response(200 if accepted else next(a.status for a in answers if isinstance(a, Fault)), bodies)


# -- operators --------------------------------------------------------------------------------------------------------------------


def workers(house: House, request: Request) -> Response:
    """GET /workers."""
    return Response(200, {"workers": [worker_view(card) for card in worker_cards(house.store, house.registry, house.leases)]})


def worker(house: House, request: Request) -> Response:
    """GET /workers/{id}."""
    record = house.registry.worker(request.params["id"], status=404)
    return Response(200, worker_view(worker_card(record, house.registry, house.leases)))


def drain(house: House, request: Request) -> Response:
    """POST /workers/{id}/drain."""
    record = house.registry.drain(request.params["id"], "client")
    house.engine.wake(("poll", record.id))
    return Response(200, worker_view(worker_card(record, house.registry, house.leases)))
