"""Every way we say no: one type per stable code, with its HTTP status.

A `Fault` is raised anywhere and rendered in one place (`router/http/replies.py`) as RFC 9457 problem+json. Programs branch on `code`,
people read `detail` and `hint`, editors jump to `pointer` (an RFC 6901 JSON Pointer into the request body, or a header or query
name). What is not a `Fault` is rendered as `internal` and logged; a stack trace never leaves the server.
Errors of an operator's own files (`skills.parse.SkillError`, `router.config.ConfigError`) are not refusals of a request: they live with their files.
"""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """A refusal that the client is told about. `members` are extension members of the problem document."""

    status = 500
    code = "internal"

    def __init__(self, detail: str, *, pointer: str | None = None, hint: str | None = None,
                 retry_after_s: int | None = None, status: int | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.members = members
        if status is not None:
            self.status = status


# -- The request itself is not acceptable (raised by the HTTP engine and the gate) --------------------------------------------


class BadRequest(Fault):
    """The bytes are not one unambiguous HTTP/1.x request; the connection closes."""
    status, code = 400, "bad_request"


class InvalidJson(Fault):
    """The body is not JSON; `detail` says at which line and column."""
    status, code = 400, "invalid_json"


class InvalidQuery(Fault):
    """A query parameter has a value that this route does not take."""
    status, code = 400, "invalid_query"


class InvalidHeader(Fault):
    """A header such as Prefer or Idempotency-Key has a value that cannot be used."""
    status, code = 400, "invalid_header"


class Unauthorized(Fault):
    """The bearer secret is missing or wrong."""
    status, code = 401, "unauthorized"


class Forbidden(Fault):
    """The secret is good, but not for this route (a worker secret on a client route)."""
    status, code = 403, "forbidden"


class OriginNotAllowed(Fault):
    """A page of a foreign origin may not reach this router."""
    status, code = 403, "origin_not_allowed"


class NoSuchRoute(Fault):
    """No route has this path."""
    status, code = 404, "no_such_route"


class MethodNotAllowed(Fault):
    """The path exists, the method does not; `allow` lists those that do."""
    status, code = 405, "method_not_allowed"


class RequestTimeout(Fault):
    """The head or the body came too slowly."""
    status, code = 408, "request_timeout"


class BodyTooLarge(Fault):
    """The body is over the limit of its route."""
    status, code = 413, "body_too_large"


class UriTooLong(Fault):
    """The request target is over its limit."""
    status, code = 414, "uri_too_long"


class UnsupportedMediaType(Fault):
    """The route takes JSON and the request says it sends something else."""
    status, code = 415, "unsupported_media_type"


class ExpectationFailed(Fault):
    """`Expect` holds something other than 100-continue."""
    status, code = 417, "expectation_failed"


class WrongHost(Fault):
    """The Host header names another machine (DNS rebinding)."""
    status, code = 421, "wrong_host"


class HeadTooLarge(Fault):
    """The request head has too many bytes or fields."""
    status, code = 431, "head_too_large"


class NotImplementedMethod(Fault):
    """The method or transfer coding is unknown to this server."""
    status, code = 501, "not_implemented"


class VersionNotSupported(Fault):
    """Not HTTP/1.0 or HTTP/1.1."""
    status, code = 505, "version_not_supported"


class TooManyConnections(Fault):
    """The connection cap is reached."""
    status, code = 503, "too_many_connections"


# -- What was asked cannot be done ---------------------------------------------------------------------------------------------


class InvalidTask(Fault):
    """The body is JSON but not a task; `pointer` names the member."""
    status, code = 422, "invalid_task"


class InvalidInput(Fault):
    """The input does not fit the skill's schema; `errors` lists every failure with its pointer."""
    status, code = 422, "invalid_input"


class InvalidFeedback(Fault):
    """The body is JSON but does not say whether the job's skill was right; `pointer` names the member."""
    status, code = 422, "invalid_feedback"


class NoSkillMatches(Fault):
    """No skill fits well enough, and nothing is guessed; `candidates` lists the nearest."""
    status, code = 422, "no_skill_matches"


class SkillUnclear(Fault):
    """Some skill fits, but it is not clear which; `candidates` lists those to choose from, and the task is sent again with `skill`."""
    status, code = 300, "skill_unclear"


class SkillDisabled(Fault):
    """The skill's state is disabled or archived: no new jobs, whoever names it."""
    status, code = 409, "skill_disabled"


class CatalogueLoading(Fault):
    """The skills are being read for matching, which takes long; a task that names its skill is taken meanwhile."""
    status, code = 503, "catalogue_loading"


class UnknownSkill(Fault):
    """No skill has this name."""
    status, code = 404, "unknown_skill"


class SkillBroken(Fault):
    """The skill's folder has never compiled; the reason is in `detail`."""
    status, code = 409, "skill_broken"


class UnknownJob(Fault):
    """No job has this id (or its retention has ended)."""
    status, code = 404, "unknown_job"


class UnknownFeedback(Fault):
    """Nobody has said whether this job's skill was right, or it was so long ago that it is no longer kept."""
    status, code = 404, "unknown_feedback"


class UnknownStep(Fault):
    """The job has no step of this id."""
    status, code = 404, "unknown_step"


class UnknownArtifact(Fault):
    """No artifact has this sha256."""
    status, code = 404, "unknown_artifact"


class UnknownBundle(Fault):
    """No bundle has this sha256."""
    status, code = 404, "unknown_bundle"


class DigestMismatch(Fault):
    """The bytes sent do not have the sha256 in the path."""
    status, code = 422, "digest_mismatch"


class IllegalMove(Fault):
    """The law has no such edge, or the thing is no longer in the state the caller named. Nothing was changed."""
    status, code = 409, "illegal_move"


class IdempotencyKeyReused(Fault):
    """The key was used for another body."""
    status, code = 422, "idempotency_key_reused"


# -- The fleet ------------------------------------------------------------------------------------------------------------------


class InvalidMessage(Fault):
    """A heartbeat, result or dispatch is JSON but not of the protocol's shape; `pointer` names the member."""
    status, code = 422, "invalid_message"


class UnknownWorker(Fault):
    """No worker of this name has ever sent a heartbeat (409 on /commands, 404 elsewhere)."""
    status, code = 409, "unknown_worker"


class WorkerSuperseded(Fault):
    """A newer process runs under this worker's name."""
    status, code = 409, "worker_superseded"


class LeaseLost(Fault):
    """The lease has ended, was never granted, or belongs to somebody else. The result is not taken."""
    status, code = 409, "lease_lost"


class ResultConflict(Fault):
    """The attempt was settled before with other bytes."""
    status, code = 409, "result_conflict"


class TooManyWorkers(Fault):
    """The fleet is full."""
    status, code = 429, "too_many_workers"


# -- Not now ----------------------------------------------------------------------------------------------------------------------


class QueueFull(Fault):
    """Too many live jobs or too many queued bytes."""
    status, code = 429, "queue_full"


class SlowDown(Fault):
    """Job files lag behind; new submissions wait until the disk has caught up."""
    status, code = 429, "slow_down"


class ShuttingDown(Fault):
    """The server is leaving; its successor will answer."""
    status, code = 503, "shutting_down"


class StorageUnavailable(Fault):
    """The disk refused a write. Reads go on; nothing was acknowledged."""
    status, code = 503, "storage_unavailable"


class DocumentDamaged(Fault):
    """A finished job's file does not have the checksum that it was written with."""
    status, code = 500, "document_damaged"


class DiskLow(Fault):
    """The disk is nearly full: submissions are refused so that running work can end."""
    status, code = 507, "disk_low"
