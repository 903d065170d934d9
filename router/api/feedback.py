"""POST and GET /jobs/{id}/feedback: whether the skill that ran a job was the right one. `server.py learn` makes examples of it.

It changes nothing of the job, and outlasts it: an idempotency key of feedback is kept with the feedback, and it has a route of its own to be read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from router.api.jobs import with_job
from router.api.keys import REPLAYED, Asked, asked
from router.api.views import feedback_view
from router.app import House
from router.http.messages import Outcome, Request, Response
from skills.parse import normal, unusable
from state.errors import InvalidFeedback, UnknownFeedback
from state.limits import FEEDBACK_NOTE_CHARACTERS_MAX
from state.records import Feedback, Job

EXAMPLE = 'such as {"right": false, "skill": "csv-profile"}'


class Said(NamedTuple):
    """What a client says. `skill` is the one that would have been right, "" if nobody knows."""

    right: bool
    skill: str
    note: str


def give(house: House, request: Request) -> Outcome:
    """Keep what is said in the place of what was said before."""
    said = parse_feedback(request.json())
    job_id = request.params["id"]
    use = asked(request, f"POST /jobs/{job_id}/feedback", "")
    if (again := _answered(house, use)) is not None:
        return again
    if said.skill:
        house.library.skill(said.skill)

    def keep(job: Job) -> Response:
        earlier = _answered(house, use)          # the same request may have been answered while the job was read on a helper thread
        if earlier is not None:
            return earlier
        if said.skill == job.skill:
            raise InvalidFeedback(f"{job.skill} ran this job: it cannot be both wrong and the one that is wanted", pointer="/skill")
        feedback = Feedback(job.id, said.right, job.skill, job.decision.get("rule", ""), job.task, said.skill, said.note, "client", 0.0)
        return Response(200, feedback_view(house.store.keep_feedback(feedback, use.scope, use.key, use.digest)))
    return with_job(house, job_id, keep)


def parse_feedback(value: Any) -> Said:
    """What a body says; InvalidFeedback with the pointer of the first wrong member. Unknown members are ignored."""
    if not isinstance(value, dict) or not isinstance(value.get("right"), bool):
        raise InvalidFeedback(f"right must be true or false, {EXAMPLE}", pointer="/right")
    right, skill, note = value["right"], value.get("skill", ""), value.get("note", "")
    for name, text in (("skill", skill), ("note", note)):
        if not isinstance(text, str):
            raise InvalidFeedback(f"{name} must be text", pointer=f"/{name}")
    if right and skill:
        raise InvalidFeedback("skill names the one that would have been right, so it goes with \"right\": false", pointer="/skill")
    if "skill" in value and not right and unusable(normal(skill)):
        raise InvalidFeedback(f"no skill has such a name: it {unusable(normal(skill))}", pointer="/skill", hint="GET /skills lists what there is")
    if len(note) > FEEDBACK_NOTE_CHARACTERS_MAX:
        raise InvalidFeedback(f"note has {len(note)} characters, {FEEDBACK_NOTE_CHARACTERS_MAX} are allowed", pointer="/note")
    return Said(right, normal(skill), note)


def _answered(house: House, use: Asked) -> Response | None:
    """The feedback as it stands, for a request that was answered before. What is no longer kept may be said anew."""
    known = use.known(house)
    feedback = house.store.feedback.get(known) if known is not None else None
    return None if feedback is None else Response(200, feedback_view(feedback), (REPLAYED,))


def show(house: House, request: Request) -> Outcome:
    """What was said last, also when the job itself is no longer kept."""
    job_id = request.params["id"]
    feedback = house.store.feedback.get(job_id)
    if feedback is not None:
        return Response(200, feedback_view(feedback))

    def none(job: Job) -> Response:
        raise UnknownFeedback(f"nobody has said whether {job.skill} was right for job {job.id}", hint=f"POST /jobs/{job.id}/feedback says it")
    return with_job(house, job_id, none)
