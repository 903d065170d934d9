"""GET /skills and GET /skills/{name}."""

from __future__ import annotations

from router.api.views import broken_view, said_view, skill_row, skill_view
from router.app import House
from router.http.messages import Request, Response


def skills(house: House, request: Request) -> Response:
    """The library as it is at this moment, broken folders with their reasons."""
    catalogue = house.library.current()
    return Response(200, {
        "skills": [{**skill_row(s), "feedback": said_view(house.store.feedback.said_of(s.name))} for s in catalogue.skills.values()],
        "broken": [broken_view(b) for b in catalogue.broken],
        "catalogue": catalogue.version, "scan_lag_s": round(house.library.scan_lag_s, 3),
    })


def skill(house: House, request: Request) -> Response:
    """One skill, whole."""
    found = house.library.skill(request.params["name"])
    return Response(200, {**skill_view(found), "feedback": said_view(house.store.feedback.said_of(found.name))})
