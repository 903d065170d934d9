"""The messages of the fleet: what workers and the server say to each other. Both sides import this page.

Parsers take JSON values, ignore members that they do not know, and refuse wrong types with `InvalidMessage` and a JSON Pointer. A worker
written with curl may leave out all that has a default here. Nothing on this page does anything: no clock, no disk, no network.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from state.compact import encoder
from state.errors import Fault, InvalidMessage, InvalidQuery
from state.limits import BATCH_ITEMS_MAX, PARK_S_MAX, PREFETCH_MAX

PROTOCOL = 1
SLOTS_MAX = 4_096                     # more than any machine has cores; beyond it is a typing error
MAX_GRANTS_MAX = SLOTS_MAX + PREFETCH_MAX
LABELS_MAX = 64                       # a worker is described, not documented
LABEL_CHARACTERS_MAX = 128
HELD_MAX = 2 * MAX_GRANTS_MAX         # leases that run, wait or are not yet delivered
EVENTS_MAX = 2_000                    # of one result message; a worker cuts its events long before
MESSAGE_CHARACTERS_MAX = 4_000        # of an error; the last 4 kB of stderr explain a failure

_sorted = encoder(ascii_only=True, sort_keys=True)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
BOOT = re.compile(r"(\d{1,15})-([A-Za-z0-9]{1,64})")
LEASE = re.compile(r"[A-Za-z0-9_.-]{1,128}")
LABEL = re.compile(r"[^\s=,]+(=[^\s,]*)?")

RUN, CANCEL = "run", "cancel"         # types of commands
NOT_STARTED = "not_started"           # error code of an interrupted attempt that had not begun
STATUSES = ("partial", "done", "failed", "interrupted")
EVENT_TYPES = ("progress", "log", "chunk", "phase")
EFFECTS = ("none", "many", "once")
KINDS = ("python", "run", "http")     # what a worker can run


class Heartbeat(NamedTuple):
    """A worker says that it lives. `held` None: it does not list its leases, all are renewed. `seen` None: it does not count grants.

    `running` lists those of `held` whose attempt has begun; None: all have.
    """

    worker: str
    boot: str | None
    slots: int
    labels: dict[str, str]
    held: list[str] | None
    running: list[str] | None
    seen: int | None
    load: float | None
    memory_mb: int | None
    disk_free_mb: int | None
    prefetch: int


class Result(NamedTuple):
    """What became of one attempt, or a part of it (`partial`: events only, which also renews the lease)."""

    worker: str
    boot: str | None
    lease: str
    attempt: int
    status: str
    output: Any
    error: dict[str, Any] | None
    events: list[dict[str, Any]]


class Dispatch(NamedTuple):
    """Work for one named worker."""

    worker: str
    skill: str
    input: Any
    task: str | None
    members: dict[str, Any]


class Poll(NamedTuple):
    """One GET /commands. `max` 0 asks for cancels only; `wait_s` 0 is plain polling."""

    worker: str
    max: int
    wait_s: float
    seen: int | None
    boot: str | None


# -- Reading members -----------------------------------------------------------------------------------------------------------


def _refuse(pointer: str, wanted: str) -> InvalidMessage:
    """The refusal for a member that is missing or of the wrong type."""
    return InvalidMessage(f"{pointer or 'the message'} must be {wanted}", pointer=pointer)


def _object(value: Any, at: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise _refuse(at, "an object")
    return value


def _text(value: Any, at: str, shape: re.Pattern[str], wanted: str) -> str:
    if type(value) is not str or not shape.fullmatch(value):
        raise _refuse(at, wanted)
    return value


def _integer(value: Any, at: str, least: int, most: int) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        raise _refuse(at, f"an integer from {least} to {most}")
    return value


def _number(value: Any, at: str) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1e15:
        raise _refuse(at, "a number of 0 or more")
    return float(value)


def _whole(value: Any, at: str) -> int | None:
    number = _number(value, at)
    return None if number is None else int(number)


def worker_name(value: Any, at: str = "/worker") -> str:
    """A worker's name, 1-64 characters; else InvalidMessage."""
    return _text(value, at, NAME, "a worker's name: 1-64 letters, digits, dots, dashes, underscores, beginning with a letter or digit")


def _boot(value: Any, at: str) -> str | None:
    return None if value is None else _text(value, at, BOOT, "a boot id such as 1767225600000-5f3a9c")


def labels_of(value: Any, at: str = "/labels") -> dict[str, str]:
    """Labels from `{"k": "v"}` or `["k=v", "k"]`; a label without a value has the value ``""``."""
    if value is None:
        return {}
    if type(value) is list:
        pairs = [str(item).partition("=")[::2] if type(item) is str else (item, "") for item in value]
    else:
        pairs = [(k, "" if v is True or v is None else v) for k, v in _object(value, at).items()]
    if len(pairs) > LABELS_MAX:
        raise _refuse(at, f"at most {LABELS_MAX} labels")
    labels: dict[str, str] = {}
    for key, text in pairs:
        whole = f"{key}={text}" if text else key
        if type(key) is not str or type(text) is not str or len(whole) > LABEL_CHARACTERS_MAX or not LABEL.fullmatch(whole):
            raise _refuse(at, f"labels such as gpu=h100 or big-memory, each of at most {LABEL_CHARACTERS_MAX} characters without spaces")
        labels[key] = text
    return labels


def offers(labels: Mapping[str, str]) -> frozenset[str]:
    """What these labels satisfy: `{"gpu": "h100"}` fits the needs `gpu` and `gpu=h100`."""
    return frozenset(labels) | frozenset(f"{k}={v}" for k, v in labels.items() if v)


# -- Messages to the server ----------------------------------------------------------------------------------------------------


def parse_heartbeat(value: Any) -> Heartbeat:
    """The body of POST /heartbeat; `{"worker": "w1"}` alone is a worker with one slot. Raises InvalidMessage."""
    body = _object(value, "")
    if body.get("protocol", PROTOCOL) != PROTOCOL:
        raise _refuse("/protocol", f"{PROTOCOL}, the only version that this server speaks")
    held, running = _leases(body.get("held"), "/held"), _leases(body.get("running"), "/running")
    return Heartbeat(
        worker=worker_name(body.get("worker")), boot=_boot(body.get("boot"), "/boot"),
        slots=_integer(body.get("slots", 1), "/slots", 0, SLOTS_MAX), labels=labels_of(body.get("labels")), held=held, running=running,
        seen=None if body.get("seen") is None else _integer(body["seen"], "/seen", 0, 2**62),
        load=_number(body.get("load"), "/load"), memory_mb=_whole(body.get("memory_mb"), "/memory_mb"),
        disk_free_mb=_whole(body.get("disk_free_mb"), "/disk_free_mb"),
        prefetch=_integer(body.get("prefetch", 0), "/prefetch", 0, PREFETCH_MAX))


def _leases(value: Any, at: str) -> list[str] | None:
    if value is None:
        return None
    if type(value) is not list or len(value) > HELD_MAX:
        raise _refuse(at, f"an array of at most {HELD_MAX} leases")
    return [_text(lease, f"{at}/{i}", LEASE, "a lease id") for i, lease in enumerate(value)]


def parse_results(value: Any) -> list[Result | Fault]:
    """The body of POST /result: one message or an array; a bad item becomes its own Fault (the pointer begins with its index)."""
    if type(value) is not list:
        return [_result_or_fault(value, "")]
    if len(value) > BATCH_ITEMS_MAX:
        raise _refuse("", f"at most {BATCH_ITEMS_MAX} results")
    return [_result_or_fault(item, f"/{i}") for i, item in enumerate(value)]


def _result_or_fault(value: Any, at: str) -> Result | Fault:
    try:
        return _result(value, at)
    except InvalidMessage as fault:
        return fault


def _result(body: Any, at: str) -> Result:
    """One result; the common shape passes with few calls, because a busy server reads thousands a second."""
    if type(body) is not dict:
        raise _refuse(at, "an object")
    status = body.get("status")
    if status not in STATUSES:
        raise _refuse(f"{at}/status", f"one of {', '.join(STATUSES)}")
    error = body.get("error")
    if error is not None or status == "failed":
        error = parse_error(error, f"{at}/error")
    events = body.get("events")
    attempt = body.get("attempt")
    if type(attempt) is not int or attempt < 1:
        attempt = _integer(attempt, f"{at}/attempt", 1, 2**62)
    return Result(worker_name(body.get("worker"), f"{at}/worker"), _boot(body.get("boot"), f"{at}/boot"),
                  _text(body.get("lease"), f"{at}/lease", LEASE, "a lease id"), attempt, status, body.get("output"),
                  error, _events(events, f"{at}/events") if events else [])


def parse_error(value: Any, at: str = "/error") -> dict[str, Any]:
    """`{"code", "message", "retryable"}` with defaults; `traceback`, `stderr`, `exit_code` and `signal` are kept when they are there."""
    body = _object(value, at)
    code, message, retryable = body.get("code", "step_failed"), body.get("message", ""), body.get("retryable", True)
    if type(code) is not str or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", code):
        raise _refuse(f"{at}/code", "a short lower-case word with underscores")
    if type(message) is not str:
        raise _refuse(f"{at}/message", "text")
    if type(retryable) is not bool:
        raise _refuse(f"{at}/retryable", "true or false")
    error: dict[str, Any] = {"code": code, "message": message[:MESSAGE_CHARACTERS_MAX], "retryable": retryable}
    for name in ("traceback", "stderr"):
        if type(body.get(name)) is str:
            error[name] = body[name][-MESSAGE_CHARACTERS_MAX:]
    for name in ("exit_code", "signal"):
        if type(body.get(name)) is int:
            error[name] = body[name]
    return error


def _events(value: Any, at: str) -> list[dict[str, Any]]:
    """Events of an attempt: `k` numbers them from 1, so that a message sent again adds nothing twice."""
    if type(value) is not list or len(value) > EVENTS_MAX:
        raise _refuse(at, f"an array of at most {EVENTS_MAX} events")
    events = []
    for i, item in enumerate(value):
        body = _object(item, f"{at}/{i}")
        if body.get("type") not in EVENT_TYPES:
            raise _refuse(f"{at}/{i}/type", f"one of {', '.join(EVENT_TYPES)}")
        events.append({"k": _integer(body.get("k"), f"{at}/{i}/k", 1, 2**62), "type": body["type"], "data": body.get("data")})
    return events


def parse_dispatch(value: Any) -> Dispatch:
    """The body of POST /dispatch; `members` is the whole body, for what a task takes beside (priority, deadline_s)."""
    body = _object(value, "")
    skill, task = body.get("skill"), body.get("task")
    if type(skill) is not str or not skill:
        raise _refuse("/skill", "the name of a skill")
    if task is not None and type(task) is not str:
        raise _refuse("/task", "text")
    return Dispatch(worker_name(body.get("worker")), skill, body.get("input", {}), task, body)


def commands_query(query: Mapping[str, str | list[str]]) -> Poll:
    """The query of GET /commands; `max` is 1 and `wait` 0 unless given. Raises InvalidQuery with the parameter's name as pointer."""
    def number(name: str, default: str | None, most: float) -> float | None:
        text = _last(query.get(name, default))
        if text is None:
            return None
        try:
            found = float(text)
        except ValueError:
            found = -1.0
        if math.isnan(found) or found < 0:
            raise InvalidQuery(f"{name} must be a number of 0 or more, not {text[:40]!r}", pointer=name)
        return min(found, most)

    worker, boot = _last(query.get("worker")), _last(query.get("boot"))
    if worker is None or not NAME.fullmatch(worker):
        raise InvalidQuery("worker must be a worker's name", pointer="worker", hint="GET /commands?worker=w1&max=1&wait=25")
    if boot is not None and not BOOT.fullmatch(boot):
        raise InvalidQuery("boot must be a boot id", pointer="boot")
    seen = number("seen", None, 2**62)
    return Poll(worker, int(number("max", "1", MAX_GRANTS_MAX) or 0), number("wait", "0", PARK_S_MAX) or 0.0,
                None if seen is None else int(seen), boot)


def _last(value: str | list[str] | None) -> str | None:
    if isinstance(value, list):
        return value[-1] if value else None
    return value


# -- Order, sameness, status -----------------------------------------------------------------------------------------------------


def newer_boot(one: str, other: str) -> bool:
    """True when the process `one` started after `other`; equal milliseconds go by the random part, so that two are never both the newer."""
    return _boot_order(one) > _boot_order(other)


def _boot_order(boot: str) -> tuple[int, str]:
    started, _, random = boot.partition("-")
    return int(started), random


def result_digest(status: str, output: Any, error: Any) -> str:
    """sha256 (hex) of what settles an attempt: status, output, error. Events are not part of it: they may be sent in other pieces."""
    return hashlib.sha256(_sorted([status, output, error]).encode()).hexdigest()


def worth_retrying(status: int) -> bool:
    """True for the HTTP statuses after which a worker sends the same message again; any other 4xx means: drop it."""
    return status >= 500 or status in (408, 425, 429)
