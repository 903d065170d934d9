"""Triage of a log: lines in, templates and what is unusual about them out.

`triage(input, step)` is the entry. The log is read once, in pieces; memory holds the templates, not the lines.
Nothing here acts on a system: the result is facts and proposals in sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from findings import Findings, Options
from reading import InputError, Text
from records import LINE_CHARACTERS_MAX, Records
from stamps import Calendar, Stamps
from templates import TEMPLATES_MAX, Templates
from timeline import Timeline

PROGRESS_LINES = 50_000
LINE_KEPT_CHARACTERS = LINE_CHARACTERS_MAX + 1     # of a line without end, so that a file without line ends cannot fill the memory
COMPRESSED_RATIO = 10                              # what gzip makes of logs, for the progress


class Step(Protocol):
    """What this tool uses of the running step."""

    def progress(self, fraction: float | None, message: str) -> None:
        """Tell how far the work is."""


def triage(data: dict[str, Any], step: Step) -> dict[str, Any]:
    """The triage of `data["text"]` (a string or a path); the other members are options, see skill.toml. Raises `InputError`."""
    text = Text(data["text"] if isinstance(data["text"], Path) else str(data["text"]), data.get("encoding"))
    calendar = Calendar(data.get("year"))
    records, templates, timeline = Records(calendar), Templates(), Timeline()
    read = Reading(text)
    count = untimed = stamped = 0
    for record in records.join(read.lines(step)):
        count += 1
        template = templates.add(record)
        stamped += record.stamped
        if record.at is None:
            untimed += 1
        else:
            timeline.add(template, record.at)
    if not count:
        raise InputError("the log is empty: it has no line with text")
    options = Options(top=data.get("top", 10), rare=data.get("rare", 3), new_after=data.get("new_after", 0.67), since=moment(data.get("since")),
                      slots=data.get("slots", 48))
    findings = Findings(templates, timeline, calendar, count, options)
    notes = [*text.notes(), *notes_on(records, templates, findings, count, stamped, untimed)]
    return {"lines": records.lines, "records": count, "template_count": len(findings.live), **findings.report(), "notes": notes}


def moment(since: str | None) -> float | None:
    """The seconds of the option `since`. Raises `InputError` when it is not a time."""
    if since is None:
        return None
    at = Stamps(Calendar(None)).split(since + " ")[0]
    if at is None:
        raise InputError(f"`since` is not a time that this skill knows: {since!r}; write it like 2024-05-01T10:00:00Z")
    return at


class Reading:
    """Lines of a text with progress."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def lines(self, step: Step) -> Iterator[str]:
        """Every line without its end; CR LF counts as one end."""
        rest, told, read = "", 0, 0
        size = max(1, self.text.size_bytes) * (COMPRESSED_RATIO if self.text.compressed else 1)
        number = 0
        for piece in self.text.pieces():
            read += len(piece)
            parts = (rest + piece).split("\n")
            rest = parts.pop()[:LINE_KEPT_CHARACTERS]
            number += len(parts)
            for line in parts:
                yield line[:-1] if line.endswith("\r") else line
            if number - told >= PROGRESS_LINES:
                told = number
                step.progress(min(0.99, read / size), f"{number:,} lines read")
        if rest:
            yield rest


def notes_on(records: Records, templates: Templates, findings: Findings, count: int, stamped: int, untimed: int) -> list[str]:
    """What limits the result, in sentences."""
    notes = []
    kind = findings.calendar.kind
    if findings.period is None:
        notes.append("No line has a time that this skill knows: there is no timeline and there are no bursts; new means first seen late in the file.")
    elif stamped < count:
        notes.append(f"{count - stamped:,} of {count:,} records have no time of their own; they count at the time of the record before them"
                     + (f", and the first {untimed:,} at none." if untimed else "."))
    if kind == "local":
        notes.append("The times name no zone; they are shown as they stand.")
    elif kind in ("no year", "no date"):
        notes.append(f"The times have {kind}; they are shown without it" + (" (give `year`)." if kind == "no year" else "."))
    if findings.period is not None and findings.period.strays:
        notes.append(f"{findings.period.strays} records have times far outside the rest of the log; they are counted but not in the timeline.")
    if records.backwards > count // 100:
        notes.append(f"{records.backwards:,} records are older than the record before them: the file may be several logs joined.")
    if records.long:
        notes.append(f"{records.long:,} lines are longer than 8,000 characters; only their beginning was looked at.")
    if templates.overflowed:
        notes.append(f"There are more than {TEMPLATES_MAX:,} templates; later ones are counted together as `<other messages>`.")
    elif len(findings.live) > 50 and len(findings.live) > count / 3:
        notes.append(f"The lines have little in common ({len(findings.live):,} templates for {count:,} records): this may not be a log.")
    return notes
