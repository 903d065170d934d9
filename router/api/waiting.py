"""Waiting for a job over HTTP: `?wait=30` or `Prefer: wait=30`, parked without a thread, and the reply that shows the job."""

from __future__ import annotations

from router.api.views import job_view
from router.app import House
from router.http.messages import Outcome, Park, Request, Response
from state.errors import InvalidHeader, InvalidQuery, UnknownJob
from state.limits import PARK_S_MAX
from state.machine import JOB_ENDED
from state.records import Job


def wait_s(request: Request) -> float:
    """Seconds the client wants to wait, at most 60; 0 if it does not. InvalidQuery or InvalidHeader for what is not a number."""
    text = request.query.get("wait")
    if text is not None:
        return _seconds(text, InvalidQuery("wait must be a number of seconds, 0 or more", pointer="wait"))
    for preference in request.headers.get("prefer", "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.strip().lower() == "wait":
            return _seconds(value.strip().strip('"'), InvalidHeader("Prefer: wait must be a number of seconds", pointer="Prefer"))
    return 0.0


def _seconds(text: str, fault: InvalidQuery | InvalidHeader) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise fault from None
    if not seconds >= 0:
        raise fault
    return min(seconds, PARK_S_MAX)


def job_reply(house: House, job: Job, wait: float, status: int, headers: tuple[tuple[str, str], ...] = ()) -> Outcome:
    """The job: at once if it has ended (200) or nobody waits (`status`), else when it ends (200), time is up or the server ends (202)."""
    if job.state in JOB_ENDED:
        return Response(200 if wait or status == 200 else status, job_view(job), headers)
    if wait <= 0:
        return Response(status, job_view(job), headers)
    return _parked(house, job.id, house.clock.monotonic() + wait, headers)


def _parked(house: House, job_id: str, until: float, headers: tuple[tuple[str, str], ...]) -> Park:
    """A new function for each park: one that parked itself again would be a cycle, which nobody collects."""
    return Park(("job", job_id), until, lambda timed_out: _looked_at(house, job_id, until, headers, timed_out))


def _looked_at(house: House, job_id: str, until: float, headers: tuple[tuple[str, str], ...], timed_out: bool) -> Outcome:
    job = house.store.jobs.get(job_id)
    if job is None:
        raise UnknownJob(f"job {job_id} has left memory; GET /jobs/{job_id} reads it")
    if job.state in JOB_ENDED:
        return Response(200, job_view(job), headers)
    return Response(202, job_view(job), headers) if timed_out or house.ending() else _parked(house, job_id, until, headers)
