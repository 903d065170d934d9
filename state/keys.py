"""Idempotency keys: what each was used for, for 24 hours and at most 1,000,000 of them.

A key lives in the record of the job it was used for, or of the feedback on that job, so it is journaled, checkpointed and undone with it. This table
is the index of all those keys, also of jobs that have left memory; insertion order is age.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.engine import Key, KeyUse
from state.limits import IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_S

KeptKeys = tuple[tuple[str, str, str, float, int], ...]         # as a record has them


class Keys(dict[Key, KeyUse]):
    """(scope, key) -> (job id, sha256 of the body, wall time, HTTP status). Times are wall seconds."""

    def recall(self, found: Mapping[Key, KeyUse], now: float) -> None:
        """After a start: take in what is not too old, oldest first. Where the clock was set back some are of a later time, and make none old."""
        young = sorted(((key, use) for key, use in found.items() if use[2] + IDEMPOTENCY_S >= now), key=lambda item: item[1][2])
        self.update(young[-IDEMPOTENCY_KEYS_MAX:])

    def remember(self, key: Key, use: KeyUse) -> None:
        """Take in a key that was just used; the oldest go when they are too many or too old."""
        while self and (len(self) >= IDEMPOTENCY_KEYS_MAX or next(iter(self.values()))[2] + IDEMPOTENCY_S < use[2]):
            del self[next(iter(self))]
        self.pop(key, None)
        self[key] = use

    def take_back(self, now: KeptKeys, before: KeptKeys) -> None:
        """A record is undone: forget the keys that it has now and had not before."""
        for scope, key, *_ in set(now) - set(before):
            self.pop((scope, key), None)

    def used(self, key: Key, now: float) -> KeyUse | None:
        """What the key was used for, if that is not too long ago."""
        use = self.get(key)
        return use if use is not None and use[2] + IDEMPOTENCY_S >= now else None
