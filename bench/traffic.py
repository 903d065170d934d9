"""Requests a second: GET /health and the durable POST /tasks, on 1, 32 and 256 connections, beside the stock server with replies of the same size.

The real server runs with default flags, so while tasks are posted its worker works them off on the same cores; the rows `no worker` show what
taking them in costs alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from load import Result
from report import Figure
from subject import TASK, House, Subject, a_house, a_stock_server, an_asgi_server, encoded

CONNECTIONS = (1, 32, 256)
UVICORN_PER_S = 29_000       # uvicorn + Starlette with one worker at 32 connections; DESIGN section 9 wants more


class Effort(NamedTuple):
    """How long and how often a rate is taken."""

    seconds: float
    rounds: int


FULL, QUICK = Effort(1.0, 3), Effort(0.4, 1)


class Sample(NamedTuple):
    """One round: what the generator says, and the CPU that the server took."""

    load: Result
    server_cpu_s: float


class Request(NamedTuple):
    """What is sent and which status must come back."""

    text: str
    status: int


HEALTH = Request(encoded("GET", "/health"), 200)
POST = Request(encoded("POST", "/tasks", TASK), 202)


def health(quick: bool, python: str = "") -> Iterator[Figure]:
    """GET /health beside the stock server, and beside uvicorn where a Python that has it is named."""
    effort = QUICK if quick else FULL
    if python:
        with a_house() as house, an_asgi_server(python, _sizes(house)[0]) as peer:
            for connections in CONNECTIONS:
                ours, theirs = _side_by_side(house, peer, HEALTH, connections, effort)
                rates = [sum(s.load.per_s() for s in samples) / len(samples) for samples in (ours, theirs)]
                yield Figure(f"GET /health, {_on(connections)}, times uvicorn", "", [rates[0] / rates[1]], 1.0,
                             beside={"ours": rates[0], "uvicorn": rates[1]})
    with a_house() as house, a_stock_server(*_sizes(house)) as stock:
        for connections in CONNECTIONS:
            ours, theirs = _side_by_side(house, stock, HEALTH, connections, effort)
            yield _figure(f"GET /health, {_on(connections)}", ours, theirs, UVICORN_PER_S if connections == 32 else None)


def post(quick: bool) -> Iterator[Figure]:
    """POST /tasks beside the stock server, which only answers: default flags, then without a worker."""
    effort = QUICK if quick else FULL
    for arguments, label in (((), ""), (("--no-worker",), ", no worker")):
        with a_house(*arguments) as house, a_stock_server(*_sizes(house)) as stock:
            for connections in CONNECTIONS:
                ours, theirs = _side_by_side(house, stock, POST, connections, effort)
                yield _figure(f"POST /tasks, {_on(connections)}{label}", ours, theirs, None)


def _on(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def _sizes(house: House) -> tuple[int, int]:
    """Bytes of the bodies of GET /health and POST /tasks, which must be right."""
    alive, posted = house.ask("GET", "/health"), house.ask("POST", "/tasks", TASK)
    if alive.status != 200 or posted.status != 202 or json.loads(posted.body)["state"] != "queued":
        raise RuntimeError(f"unexpected replies: {alive} {posted}")
    return len(alive.body), len(posted.body)


def _side_by_side(house: House, stock: Subject, request: Request, connections: int, effort: Effort) -> tuple[list[Sample], list[Sample]]:
    """Rounds in turn, so that whatever else the machine does meets both."""
    ours, theirs = [], []
    for _ in range(effort.rounds):
        ours.append(_sample(house, request, connections, effort.seconds))
        theirs.append(_sample(stock, request, connections, effort.seconds))
        if request is POST and house.workers():
            house.drained()
    return ours, theirs


def _sample(subject: Subject, request: Request, connections: int, seconds: float) -> Sample:
    before = subject.cpu_s()
    keep = request is POST and isinstance(subject, House)
    load = subject.load(request.text, request.status, connections, seconds, keep=keep).result()
    if keep and len(set(load.ids)) != load.replies:
        raise RuntimeError(f"{load.replies} replies name {len(set(load.ids))} jobs")
    return Sample(load, subject.cpu_s() - before)


def _figure(name: str, ours: list[Sample], theirs: list[Sample], reach: float | None) -> Figure:
    stock_per_s = median(s.load.per_s() for s in theirs)
    return Figure(name, "/s", [s.load.per_s() for s in ours], reach, beside={
        "stock": stock_per_s, "times stock": median(s.load.per_s() for s in ours) / stock_per_s,
        "ms p50": median(s.load.latency_ms["p50"] for s in ours), "ms p99": median(s.load.latency_ms["p99"] for s in ours),
        "server us each": median(s.server_cpu_s / s.load.replies for s in ours) * 1e6,
        "stock us each": median(s.server_cpu_s / s.load.replies for s in theirs) * 1e6,
        "generator % of a core": 100 * max(s.load.cpu_share() for s in ours), "refused 429": sum(s.load.refused for s in ours)})
