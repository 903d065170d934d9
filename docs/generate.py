#!/usr/bin/env python3
"""Prints the pages that could drift from the code: STATES, ROUTES, ERRORS and LIMITS, each from the table that the program itself uses.

usage: python3 docs/generate.py [--check]        writes docs/*.md; with --check it writes nothing and ends with 1 if a page is old

`pages()` gives {file name: text} and reads only source; `tests/test_docs.py` compares. What a state means is said here: the tables hold none of
it, and a state without a sentence is a KeyError.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from router.api.routes import ROUTES  # noqa: E402 - the path is set above
from state import errors  # noqa: E402
from state.machine import BIRTH, JOB_ENDED, STEP_ENDED, TABLES, Table  # noqa: E402

NOTICE = "<!-- Printed by docs/generate.py from {source}. Do not edit: change the source and run it again. -->\n"
LIMIT = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]+) = (?P<value>[^#\n]+?)(?: +# (?P<reason>.+))?$")
HEADING = re.compile(r"^# -- (?P<words>.+?) -+$")
FACTORS = {"KIB": "KiB", "MIB": "MiB"}
UNITS = (("_S_MAX", "s"), ("_S", "s"))
OWN_UNITS = {"BODY_BYTES_PER_S_MIN": "KiB/s", "PIPELINE_PER_TURN_MAX": "requests", "DESCRIPTORS_RESERVED": "descriptors", "PRIORITY_MAX": "points",
             "PRIORITY_DEFAULT": "points", "AGEING_S": "s a point", "HISTORY_FIRST_KEPT": "entries", "PREFETCH_MAX": "leases",
             "UNCHARGED_MAX": "grants"}

ABOUT_STATES = """\
Each kind of thing that has a lifecycle has one table, in `state/machine.py`, and one function through which it moves. A move names the
state that it leaves. An edge that is not in the table does not exist: whoever tries it gets `illegal_move`, nothing changes, and
`data/audit.jsonl` has a line more.
"""
ABOUT_ROUTES = """\
Who may call: `open` anybody, `client` who has the secret, `fleet` who has the secret or the worker secret. Without a secret, which only
a loopback address allows, everybody on the machine may call everything. Body: `json` is parsed on the loop and bounded, `upload` is
streamed to disk. Every `GET` takes `HEAD` too, but for `/commands`. [PROTOCOL.md](PROTOCOL.md) shows them at work, [ERRORS.md](ERRORS.md)
how they refuse.
"""
ABOUT_ERRORS = """\
Every refusal is `application/problem+json` (RFC 9457) with a stable `code`. Programs branch on `code`; people read `detail` and `hint`;
`pointer` is a JSON Pointer into the body, or the name of a header or query parameter. 429 and 503 carry `Retry-After`. The status is the
usual one: `unknown_worker` is 404 on all routes but `/commands`.
"""
ABOUT_LIMITS = """\
Limits of the whole house. Those that an operator may change are defaults here and settings in [config/](OPERATIONS.md#configuration);
the others are constants, each with its reason. What belongs to one module alone stands at the top of that module.
"""

MEANINGS = {
    "job": {
        "queued": "No step has been granted yet.",
        "processing": "At least one step is ready or leased.",
        "waiting": "No step is ready or leased, and one is waiting or unknown. Computed, never set by hand.",
        "paused": "Somebody paused it: nothing is granted, running steps end. It resumes into the state that it was paused from.",
        "done": "All steps are done. Final.",
        "failed": "A step failed for good, or the deadline passed. Final, unless somebody retries it.",
        "cancelled": "Somebody cancelled it. Final.",
    },
    "step": {
        "pending": "Waits for steps named in its `after`.",
        "ready": "May be granted now.",
        "leased": "A worker holds its lease, and runs it or has it at hand.",
        "waiting": "For its retry time, or because this version cannot run its kind.",
        "unknown": "Its effects may have happened and it may run only once. An operator resolves it.",
        "done": "Has its output.",
        "failed": "Will not be tried again by itself.",
        "skipped": "Another step of its job failed before this one began.",
        "cancelled": "Stopped while it ran or before, by a cancel, a deadline, or the failure of another step.",
    },
    "worker": {
        "new": "Only at birth: its first heartbeat moves it on at once.",
        "live": "Heard lately; gets work.",
        "stale": "Silent for `stale_s`, or not heard since the server started: gets no work. Its leases end by their own clock.",
        "gone": "Silent for `gone_s`; its leases are given to others. Forgotten after a day.",
        "draining": "Asked to drain; gets nothing new, ends what it holds.",
        "drained": "Its last lease has ended. A newer process of its name is live again.",
    },
}
MOVERS = {"job": "`router/work`", "step": "`router/work`", "worker": "`fleet/registry.py`"}
NOTES = {
    "job": ["From `paused` a job goes to `failed` or `cancelled`, or back to the very state that it was paused from; nothing else, whatever the "
            "table allows."],
    "step": ["`failed` to `ready`, and `skipped` or `cancelled` to `pending`, happen only when somebody retries the job.",
             "Out of `unknown` leads only `POST /jobs/{id}/steps/{step}/resolve`, a retry or a cancel."],
    "worker": [],
}


def states() -> str:
    """docs/STATES.md."""
    parts = [NOTICE.format(source="state/machine.py"), "# States\n", ABOUT_STATES]
    ended = {"job": JOB_ENDED, "step": STEP_ENDED, "worker": frozenset[str]()}
    for kind, table in TABLES.items():
        parts += [f"## {kind}\n", f"Moved by {MOVERS[kind]}. Begins as {_listed(sorted(BIRTH[kind]))}."
                  + (f" Ended: {_listed([s for s in table if s in ended[kind]])}." if ended[kind] else "") + "\n",
                  _diagram(kind, table), "| state | means | may become |", "|---|---|---|"]
        parts += [f"| `{state}` | {MEANINGS[kind][state]} | {_listed([t for t in table if t in targets]) or 'nothing: final'} |"
                  for state, targets in table.items()]
        parts += ["", *(note + "\n" for note in NOTES[kind])]
    return "\n".join(parts).rstrip() + "\n"


def _diagram(kind: str, table: Table) -> str:
    rows = [f"    [*] --> {state}" for state in sorted(BIRTH[kind])]
    rows += [f"    {state} --> {target}" for state, targets in table.items() for target in table if target in targets]
    return "\n".join(["```mermaid", "stateDiagram-v2", *rows, "```\n"])


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def routes() -> str:
    """docs/ROUTES.md."""
    parts = [NOTICE.format(source="router/api/routes.py"), "# Routes\n", ABOUT_ROUTES,
             "| method | path | who | body | does |", "|---|---|---|---|---|"]
    parts += [f"| {r.method} | `{r.path}` | {r.role} | {r.body} | {r.does} |" for r in ROUTES]
    return "\n".join(parts) + "\n"


def faults() -> list[type[errors.Fault]]:
    """Every refusal, in the order of state/errors.py, then what is none of them."""
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.Fault)]
    return [kind for kind in kinds if kind is not errors.Fault] + [errors.Fault]


def error_codes() -> str:
    """docs/ERRORS.md."""
    parts = [NOTICE.format(source="state/errors.py"), "# Errors\n", ABOUT_ERRORS,
             "| code | status | means |", "|---|---|---|"]
    for kind in faults():
        means = "A mistake of the server: logged with its trace, which never leaves the server." if kind is errors.Fault else \
            " ".join((kind.__doc__ or "").split()).replace("|", "\\|")
        parts.append(f"| `{kind.code}` | {kind.status} | {means} |")
    return "\n".join(parts) + "\n"


def limits() -> str:
    """docs/LIMITS.md."""
    parts = [NOTICE.format(source="state/limits.py"), "# Limits\n", ABOUT_LIMITS]
    for heading, rows in _limits():
        parts += [f"## {heading}\n", "| name | value | unit | why |", "|---|---|---|---|", *rows, ""]
    return "\n".join(parts).rstrip() + "\n"


def _limits() -> Iterator[tuple[str, list[str]]]:
    """(heading, rows) for each section of state/limits.py."""
    heading, rows = "", list[str]()
    for line in (ROOT / "state" / "limits.py").read_text(encoding="utf-8").splitlines():
        found = HEADING.match(line)
        if found:
            if rows:
                yield heading, rows
            heading, rows = found["words"], []
        elif heading and (row := LIMIT.match(line)):
            value, unit = _quantity(row["name"], row["value"].strip())
            rows.append(f"| `{row['name']}` | {value} | {unit} | {(row['reason'] or '').replace('|', chr(92) + '|')} |")
    yield heading, rows


def _quantity(name: str, value: str) -> tuple[str, str]:
    """(what it says, its unit): `32 * KIB` is 32 KiB, `24 * 3600.0` is 86400 s."""
    for factor, unit in FACTORS.items():
        if value.endswith(f"* {factor}"):
            return _product(value.removesuffix(f"* {factor}").rstrip("* ")), OWN_UNITS.get(name, unit)
    unit = next((unit for suffix, unit in UNITS if name.endswith(suffix)), name.removesuffix("_MAX").rsplit("_", 1)[-1].lower())
    return _product(value), OWN_UNITS.get(name, unit)


def _product(text: str) -> str:
    result = 1.0
    for factor in text.split("*"):
        result *= float(factor.replace("_", ""))
    return f"{result:,.0f}" if result == int(result) else f"{result:g}"


def pages() -> dict[str, str]:
    """File name below docs/ to its text."""
    return {"STATES.md": states(), "ROUTES.md": routes(), "ERRORS.md": error_codes(), "LIMITS.md": limits()}


def main(argv: list[str]) -> int:
    """Write the pages, or say which are old."""
    old = [name for name, text in pages().items() if not (path := ROOT / "docs" / name).exists() or path.read_text(encoding="utf-8") != text]
    for name in old:
        if "--check" not in argv:
            (ROOT / "docs" / name).write_text(pages()[name], encoding="utf-8")
        print(f"docs/{name} {'is old' if '--check' in argv else 'written'}")
    return 1 if old and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
