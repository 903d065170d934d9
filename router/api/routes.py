"""The routes: a row each, with all policy in columns. docs/ROUTES.md is printed from this table.

`role`: open (nobody is asked), client (the secret), fleet (the secret or the worker secret). `body`: none, json, or upload (streamed to disk).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from router.api import content, events, feedback, fleet, health, jobs, skills, tasks
from router.app import House
from router.http.messages import Outcome, Receive, Request

Handler = Callable[[House, Request], Outcome | Receive]


class Route(NamedTuple):
    """One row. `path` has parameters in braces, each one segment."""

    method: str
    path: str
    handler: Handler
    role: str
    body: str
    does: str


ROUTES: tuple[Route, ...] = (
    Route("POST", "/tasks", tasks.submit, "client", "json", "submit a task, or an array of them"),
    Route("POST", "/route", tasks.route, "client", "json", "show which skill a task would go to, and start nothing"),
    Route("GET", "/jobs", jobs.listing, "client", "none", "list jobs, newest first (state, skill, limit, cursor)"),
    Route("GET", "/jobs/{id}", jobs.show, "client", "none", "one job (wait)"),
    Route("GET", "/jobs/{id}/history", jobs.history, "client", "none", "every move of the job and its steps"),
    Route("GET", "/jobs/{id}/why", jobs.why, "client", "none", "why the job is where it is"),
    Route("GET", "/jobs/{id}/events", events.events, "client", "none", "moves and events after a number, as JSON or as a stream"),
    Route("POST", "/jobs/{id}/pause", jobs.pause, "client", "json", "grant none of its steps"),
    Route("POST", "/jobs/{id}/resume", jobs.resume, "client", "json", "go on"),
    Route("POST", "/jobs/{id}/cancel", jobs.cancel, "client", "json", "end it now"),
    Route("POST", "/jobs/{id}/retry", jobs.retry, "client", "json", "run a failed job again from where it failed"),
    Route("POST", "/jobs/{id}/steps/{step}/resolve", jobs.resolve, "client", "json", "say what became of an unknown step"),
    Route("POST", "/jobs/{id}/feedback", feedback.give, "client", "json", "say whether its skill was the right one"),
    Route("GET", "/jobs/{id}/feedback", feedback.show, "client", "none", "what was said of its skill"),
    Route("GET", "/skills", skills.skills, "client", "none", "the library, with what is broken in it"),
    Route("GET", "/skills/{name}", skills.skill, "client", "none", "one skill with its schemas"),
    Route("GET", "/workers", fleet.workers, "client", "none", "the fleet"),
    Route("GET", "/workers/{id}", fleet.worker, "client", "none", "one worker"),
    Route("POST", "/workers/{id}/drain", fleet.drain, "client", "json", "give it nothing new"),
    Route("POST", "/heartbeat", fleet.heartbeat, "fleet", "json", "a worker says that it lives"),
    Route("GET", "/commands", fleet.commands, "fleet", "none", "a worker asks for work (worker, max, wait, seen)"),
    Route("POST", "/result", fleet.result, "fleet", "json", "a worker delivers one result, or an array of them"),
    Route("POST", "/dispatch", tasks.dispatch, "client", "json", "queue work for one named worker"),
    Route("POST", "/artifacts", content.receive, "fleet", "upload", "store content; the reply names its sha256"),
    Route("PUT", "/artifacts/{sha256}", content.receive, "fleet", "upload", "store content under the sha256 it must have"),
    Route("GET", "/artifacts/{sha256}", content.artifact, "fleet", "none", "content by its sha256"),
    Route("GET", "/bundles/{sha256}", content.bundle, "fleet", "none", "the files of a pinned skill, as a tar"),
    Route("GET", "/worker.pyz", content.worker_pyz, "fleet", "none", "the worker as one file that python3 runs"),
    Route("GET", "/health", health.health, "open", "none", "the process is alive"),
    Route("GET", "/ready", health.ready, "open", "none", "new jobs are taken, or why not"),
    Route("GET", "/version", health.version, "client", "none", "what runs here"),
    Route("GET", "/", health.index, "client", "none", "where to go from here"),
)


class Table:
    """Finds the row for a method and path: fixed paths by one look-up, others by number and first of their segments."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._shaped: dict[tuple[int, str], list[tuple[list[str], dict[str, Route]]]] = {}
        for route in routes:
            if "{" not in route.path:
                self._fixed.setdefault(route.path, {})[route.method] = route
                continue
            parts = route.path.split("/")
            rows = self._shaped.setdefault((len(parts), parts[1]), [])
            known = next((methods for shape, methods in rows if shape == parts), None)
            if known is None:
                known = {}
                rows.append((parts, known))
            known[route.method] = route

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """(rows by method, parameters); no rows if the path is unknown."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, {}
        parts = path.split("/")
        for shape, methods in self._shaped.get((len(parts), parts[1] if len(parts) > 1 else ""), ()):
            if all(have == want or (want.startswith("{") and have) for have, want in zip(parts, shape, strict=True)):
                return methods, {want[1:-1]: have for have, want in zip(parts, shape, strict=True) if want.startswith("{")}
        return {}, {}
