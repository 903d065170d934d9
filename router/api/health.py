"""GET /health (is the process alive), /ready (would it take work), /version, and / for whoever opens the address."""

from __future__ import annotations

import platform
from typing import Any

from router.app import House
from router.http.messages import Request, Response
from router.observe.house import overview
from state.clock import iso

VERSION = "0.1.0"
HEALTHY = b'{"status":"ok"}'


def health(house: House, request: Request) -> Response:
    """The loop turns: that is all it says."""
    return Response(200, HEALTHY, content_type="application/json")


def ready(house: House, request: Request) -> Response:
    """200 when new jobs are taken; 503 with the reasons when they are not."""
    reasons = []
    refusal = house.store.engine.refusal()
    if house.leaving():
        reasons.append("the server is stopping")
    if refusal is not None:
        reasons.append(refusal.detail)
    body: dict[str, Any] = {"ready": not reasons, "reasons": reasons, "config_problem": house.config_folder.problem,
                            "broken_skills": len(house.library.current().broken),
                            "storage": house.store.engine.status(house.clock.monotonic()),
                            **overview(house.census, house.store, house.leases, house.lanes, house.dispatch)}
    return Response(503 if reasons else 200, body, (("Retry-After", "2"),) if reasons else ())


def version(house: House, request: Request) -> Response:
    """What runs here, and since when."""
    return Response(200, {"name": "yardmaster", "version": VERSION, "python": platform.python_version(), "started_at": iso(house.started_at),
                          "protocol": 1})


def index(house: House, request: Request) -> Response:
    """Where to go from here."""
    return Response(200, {"name": "yardmaster", "version": VERSION, "try": ["POST /tasks", "POST /route", "GET /jobs", "GET /skills", "GET /workers",
                                                                           "GET /ready"]})
