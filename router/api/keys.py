"""Idempotency keys on the wire: bare or quoted, compared by the sha256 of the body, answered with the job as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from router.api.waiting import job_reply
from router.app import House
from router.http.messages import Offload, Outcome, Request
from router.work.submit import KEY_CHARACTERS_MAX, digest_of
from state.errors import IdempotencyKeyReused, InvalidHeader, UnknownJob
from state.records import Job

KEY = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1," + str(KEY_CHARACTERS_MAX) + "}")
REPLAYED = ("Idempotency-Replayed", "true")


class Asked(NamedTuple):
    """One idempotent request: its scope (the route), its key ("" for none) and the sha256 of its body."""

    scope: str
    key: str
    digest: str

    def answered(self, house: House) -> Callable[[float], Outcome] | None:
        """How to answer it again, given how long the client waits; None if it is new. IdempotencyKeyReused for another body."""
        use = house.store.used_key(self.scope, self.key) if self.key else None
        if use is None:
            return None
        job_id, digest, _, status = use
        self._same(digest)

        def again(wait: float) -> Outcome:
            headers = (("Location", f"/jobs/{job_id}"), REPLAYED)
            job = house.store.jobs.get(job_id)
            if job is not None:
                return job_reply(house, job, wait, status, headers)
            return Offload(lambda: house.store.engine.read_finished(job_id),
                           lambda found: job_reply(house, _found(found, job_id), wait, status, headers))
        return again

    def known(self, house: House) -> str | None:
        """Id of the job that the key was used for; None if it is new. IdempotencyKeyReused for another body."""
        use = house.store.used_key(self.scope, self.key) if self.key else None
        if use is None:
            return None
        self._same(use[1])
        return use[0]

    def _same(self, digest: str) -> None:
        if digest != self.digest:
            raise IdempotencyKeyReused("this key was used with another body within the last 24 hours", pointer="Idempotency-Key",
                                       hint="take a new key for a new request")


def asked(request: Request, scope: str, body_key: str) -> Asked:
    """The request's key from its header, else from its body; InvalidHeader for what is not a key."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return Asked(scope, body_key, digest_of(request.body) if body_key else "")
    key = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
    if not KEY.fullmatch(key):
        raise InvalidHeader(f"Idempotency-Key must be 1 to {KEY_CHARACTERS_MAX} visible ASCII characters, bare or in double quotes",
                            pointer="Idempotency-Key")
    return Asked(scope, key, digest_of(request.body))


def _found(found: Job | Exception | None, job_id: str) -> Job:
    if isinstance(found, Exception):
        raise found
    if found is None:
        raise UnknownJob(f"the key was used for job {job_id}, whose retention has ended")
    return found
