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
    until = house.clock.monotonic() + wait

    def resume(timed_out: bool) -> Outcome:
        now = house.store.jobs.get(job.id)
        if now is None:
            raise UnknownJob(f"job {job.id} has left memory; GET /jobs/{job.id} reads it")
        if now.state in JOB_ENDED:
            return Response(200, job_view(now), headers)
        return Response(202, job_view(now), headers) if timed_out or house.ending() else Park(("job", job.id), until, resume)
    return Park(("job", job.id), until, resume)
