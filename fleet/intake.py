"""Intake: brings the content of an attempt to this machine before it may wait for a slot: its bundle, then the artifacts in its input.

Called by the main thread; what blocks runs as errands. Attempts that want the same bundle share one fetch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.attempt import OWN_BUNDLE, PREPARING, Attempt, problem
from fleet.book import Book
from fleet.bundles import Content, Unavailable
from fleet.client import Client
from fleet.errands import Errands, NotWanted
from fleet.pool import Pool
from fleet.protocol import NOT_STARTED
from fleet.values import references, restored


class Intake:
    """`prepare(attempt)` ends with the attempt in the pool, or with `failed(attempt, error)`."""

    def __init__(self, content: Content, errands: Errands, book: Book, pool: Pool, post: Callable[..., None],
                 failed: Callable[[Attempt, dict[str, Any]], None]) -> None:
        self._content, self._errands, self._book, self._pool, self._post, self._failed = content, errands, book, pool, post, failed
        self._awaiting: dict[str, list[Attempt]] = {}     # by bundle that is being fetched

    def prepare(self, attempt: Attempt) -> None:
        """Bring an attempt's content here, then give it to the pool. Called again after each piece."""
        if attempt.state != PREPARING:
            return
        if attempt.bundle != OWN_BUNDLE and self._content.has_bundle(attempt.bundle) is None:
            waiting = self._awaiting.setdefault(attempt.bundle, [])
            waiting.append(attempt)
            if len(waiting) == 1:
                self._errands.put(lambda client: self._fetch_bundle(client, attempt.bundle, waiting))
            return
        try:
            text = attempt.encode_call(bool(attempt.fetched))
            named = [] if attempt.fetched or b'"$artifact"' not in text else references(attempt.input)
        except (ValueError, TypeError, RecursionError) as error:
            self._failed(attempt, problem("bad_input", f"the input cannot be passed on: {error}", False))
            return
        if named:
            self._errands.put(lambda client: self._fetch_input(client, attempt))
        else:
            self._pool.add(attempt)

    def _fetch_bundle(self, client: Client, sha256: str, waiting: list[Attempt]) -> None:
        """Errand."""
        error = None
        try:
            self._errands.persistently(lambda: self._content.fetch_bundle(client, sha256), lambda: any(a.state == PREPARING for a in waiting))
        except Unavailable as why:
            error = problem(why.code, str(why), why.retryable)
        except OSError as why:
            error = problem("worker_disk", f"this worker cannot keep bundle {sha256[:12]}..: {why}")
        except NotWanted:
            error = problem(NOT_STARTED, "nobody waits for it any more")
        self._post(self._bundle_fetched, sha256, error)

    def _bundle_fetched(self, sha256: str, error: dict[str, Any] | None) -> None:
        for attempt in self._awaiting.pop(sha256, []):
            if error is None:
                self.prepare(attempt)
            elif attempt.state == PREPARING:
                self._failed(attempt, error)
        self._trim()

    def _fetch_input(self, client: Client, attempt: Attempt) -> None:
        """Errand: the artifacts that an input names, and the input as the step sees it."""
        used: dict[str, None] = {}

        def path(sha256: str) -> Path:
            used[sha256] = None
            return self._errands.persistently(lambda: self._content.fetch_artifact(client, sha256), lambda: attempt.state == PREPARING)

        try:
            value = restored(attempt.input, lambda sha256: path(sha256).read_bytes(), lambda sha256: str(path(sha256)))
        except Unavailable as why:
            self._post(self._failed, attempt, problem(why.code, str(why), why.retryable))
        except OSError as why:
            self._post(self._failed, attempt, problem("worker_disk", f"this worker cannot keep an artifact: {why}"))
        except (ValueError, RecursionError) as why:
            self._post(self._failed, attempt, problem("bad_input", str(why), False))
        else:
            self._post(self._input_fetched, attempt, value, tuple(used))

    def _input_fetched(self, attempt: Attempt, value: Any, used: tuple[str, ...]) -> None:
        attempt.input, attempt.fetched = value, used
        self.prepare(attempt)
        self._trim()

    def _trim(self) -> None:
        held = self._book.held()
        self._content.trim(self._pool.bundles_in_use() | {a.bundle for a in held} | {sha256 for a in held for sha256 in a.fetched})
