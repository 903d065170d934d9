"""From lines to records: one record is what one call of a logger wrote, with the stack trace that follows it.

Knows plain lines, access logs (common and combined), JSON lines, logfmt, and the wrappers of Docker and Kubernetes around any of them.
Rule: a record has the line number of its first line; nothing of a line is dropped but what `text` says less of (time, level, client, query).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from stamps import ISO_LATER, MONTHS, Calendar, Stamps, epoch, named_level, read_form, split_level

LINE_CHARACTERS_MAX = 8_000       # of a line that is looked at; the rest only counts as read
TRACE_LINES_MAX = 400             # of a record that are looked at
MEMBERS_MAX = 8                   # of a JSON line without a message that stand for it

ACCESS = re.compile(r'(?:\S+ )?(\S+) \S+ (?:\S+|"[^"]*"|[^\[\]"]{1,64}) \[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\] '
                    r'"(?:([A-Z]{3,10}) )?([^\s"]*)[^"]*" (\d{3}) ')
KUBERNETES = re.compile(r"(\S+) (?:stdout|stderr) ([FP]) ")
COMPOSE = re.compile(r"[\w.-]+\s+\| ?")
LOGFMT = re.compile(r"(?:^|\s)(?:msg|message)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))")
LOGFMT_ERROR = re.compile(r"(?:^|\s)(?:err|error)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))")
TIME_MEMBERS = ("time", "timestamp", "@timestamp", "ts", "t", "date", "datetime", "asctime", "eventTime", "_time")
LEVEL_MEMBERS = ("level", "severity", "lvl", "loglevel", "log.level", "levelname", "log_level", "severityText", "priority")
MESSAGE_MEMBERS = ("message", "msg", "event", "text", "body", "log", "error", "err")
TRACE_MEMBERS = ("stack_trace", "stack", "stacktrace", "exception", "exc_info", "traceback", "error.stack_trace", "err", "error", "thrown")

# The lines that go on with the record before them even where they are not indented.
GOES_ON = re.compile(r"Caused by: |Suppressed: |\.\.\. \d+ (?:more|common frames)|at [\w.$<>]+\(|Traceback \(most recent|During handling of the above"
                     r"|The above exception was|goroutine \d+ \[|stack backtrace:|(?:[\w$]+\.)*[\w$]*(?:Exception|Error|Throwable|Interrupt)(?::|$)"
                     r"|--- End of |created by [\w./]+|\)$|\}$|\]$")
EXCEPTION = re.compile(r"^(?:\s*(?:Caused by|Uncaught|Unhandled exception\.?|Exception in thread \"[^\"]*\"):? )?"
                       r"((?:[\w$]+[.:]+)*[A-Z][\w$]*"
                       r"(?:Exception|Error|Throwable|Interrupt|Failure|Exit|Warning|Timeout))\b(?::\s*(.*))?", re.MULTILINE)
PYTHON_EXCEPTION = re.compile(r"(?<=\n)(?=[A-Za-z_])(?!Traceback|During handling|The above)[\w.]+(?:: .*)?$", re.MULTILINE)
PANIC = re.compile(r"^(panic: .*|thread '[^']*' panicked at .*|fatal error: .*)$", re.MULTILINE)
FRAME = re.compile(r'^\s*(?:at ([^\n]{1,200})|File "([^"\n]+)", line (\d+)(?:, in (\S+))?|(/\S+\.\w+:\d+)|\d+: ([\w:<>]+))', re.MULTILINE)


@dataclass(slots=True)
class Record:
    """One logged event. `at` is in seconds (the calendar's), None before the first time of the log."""

    line: int
    raw: str
    text: str
    at: float | None = None
    stamped: bool = False
    level: str | None = None
    trace: list[str] = field(default_factory=list)

    def exception(self) -> tuple[str, str] | None:
        """(class and message, place) of the root cause in the trace: the last one of Java and Python chains."""
        if not self.trace:
            return None
        body = "\n".join(self.trace)
        python = [found for found in PYTHON_EXCEPTION.finditer(body) if "Traceback (most" in body]
        found = python or list(EXCEPTION.finditer(body)) or list(PANIC.finditer(body))
        if not found:
            return None
        root = found[-1]
        frames = list(FRAME.finditer(body, root.end())) or list(FRAME.finditer(body, 0, root.start()))
        # Java, JavaScript and Go list the innermost call first, below the message; Python lists it last, above.
        frame = (frames[0] if FRAME.search(body, root.end()) else frames[-1]) if frames else None
        return root[0].strip().removeprefix("Caused by: ")[:300], place(frame) if frame else ""


def place(frame: re.Match[str]) -> str:
    """A stack frame in a few words."""
    if frame[2]:
        return f"{frame[2]}:{frame[3]}" + (f" in {frame[4]}" if frame[4] else "")
    return next(part for part in (frame[1], frame[5], frame[6]) if part).strip()


def class_of(exception: str) -> str:
    """The name of an exception without its message."""
    return re.split(r"[:\s]", exception, maxsplit=1)[0].rsplit(".", 1)[-1]


class Records:
    """Joins lines into records. The counts tell what the log is made of."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.stamps = Stamps(calendar)
        self.lines = 0
        self.blank = 0
        self.long = 0
        self.backwards = 0               # records whose time lies before that of the record before them
        self.kinds: dict[str, int] = {}

    def join(self, lines: Iterable[str]) -> Iterator[Record]:
        """The records of the log, each when the head of the next one shows that it is complete."""
        open_record: Record | None = None
        at: float | None = None
        for line in lines:
            self.lines += 1
            if len(line) > LINE_CHARACTERS_MAX:
                self.long += 1
                line = line[:LINE_CHARACTERS_MAX]
            if not line or line.isspace():
                self.blank += 1
                continue
            if open_record is not None and self._continues(line, open_record):
                if len(open_record.trace) < TRACE_LINES_MAX:
                    open_record.trace.append(line)
                continue
            record = self.head(line)
            if record.at is None:
                if open_record is not None and trace_goes_on(line, open_record):
                    open_record.trace.append(line)
                    continue
                record.at = at
            else:
                record.stamped = True
                self.backwards += at is not None and record.at < at
                at = record.at
            if open_record is not None:
                yield open_record
            open_record = record
        if open_record is not None:
            yield open_record

    def head(self, line: str) -> Record:
        """The record that begins with this line."""
        record = self._parsed(line)
        return record if record is not None else Record(self.lines, line, line)

    def _continues(self, line: str, record: Record) -> bool:
        """Whether the look of a line alone says that it belongs to the record before it."""
        if line[0] in " \t":
            return record.stamped or record.level is not None or bool(record.trace) or not STARTS_INDENTED.match(line)
        return False

    def _parsed(self, line: str) -> Record | None:
        if line[0] == "{":
            record = self._json(line)
            if record is not None:
                return self._counted("json", record)
        if '] "' in line:
            record = self._access(line)
            if record is not None:
                return self._counted("access", record)
        wrapped = KUBERNETES.match(line)
        if wrapped is not None:
            at, _level, _rest = self.stamps.split(line)
            return self._counted("kubernetes", self._inner(line, line[wrapped.end():], at))
        at, level, text = self.stamps.split(line)
        if at is None:
            compose = COMPOSE.match(line)
            if compose is not None and compose.end() < len(line):
                return self._counted("compose", self._inner(line, line[compose.end():], None))
        record = Record(self.lines, line, text, at, level=level)
        if level is None:
            record.level, record.text = split_level(text)
        if "msg=" in text or "message=" in text:
            logfmt(record)
        return self._counted("plain", record)

    def _counted(self, kind: str, record: Record) -> Record:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        return record

    def _inner(self, line: str, inner: str, at: float | None) -> Record:
        """The record inside a wrapper; the wrapper's time counts only where the inner line has none."""
        record = self._parsed(inner) if inner.strip() else None
        if record is None:
            return Record(self.lines, line, inner, at)
        record.raw = line
        record.at = at if at is not None else record.at
        return record

    def _access(self, line: str) -> Record | None:
        """A line of an access log; its template is method, path without query, and status."""
        found = ACCESS.match(line)
        if found is None:
            return None
        day = self.calendar.month_day(MONTHS.get(found[3].lower(), 0), found[2], found[4])
        at = self.calendar.at(day, found[5], found[6], found[7], None, found[8])
        status = found[11]
        level = "error" if status >= "500" else "warn" if status >= "400" else "info"
        return Record(self.lines, line, f"{found[9] or '-'} {found[10].partition('?')[0] or '-'} {status}", at, level=level)

    def _json(self, line: str) -> Record | None:
        """A JSON line with time, level and message members of the usual names; None if the line is not a JSON object."""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        if isinstance(value.get("log"), str) and "stream" in value:
            return self._inner(line, value["log"].rstrip("\n"), self._member_time(value))
        level = next((found for name in LEVEL_MEMBERS if (found := named_level(value.get(name))) is not None), None)
        if level is None and isinstance(value.get("log"), dict):
            level = named_level(value["log"].get("level"))
        status = value.get("status")
        if level in (None, "info") and isinstance(status, int) and status >= 500:
            level = "error"
        text = next((found for name in MESSAGE_MEMBERS if isinstance(found := value.get(name), str) and found), "")
        record = Record(self.lines, line, text or members(value), self._member_time(value), level=level)
        if "uri" in value or isinstance(value.get("request"), dict) or ("path" in value and "status" in value):
            record.text = request_text(value, record.text)
        first, _, rest = record.text.partition("\n")
        record.text = first
        record.trace = [*rest.splitlines(), *trace_member(value)][:TRACE_LINES_MAX]
        return record

    def _member_time(self, value: dict[str, Any]) -> float | None:
        for name in TIME_MEMBERS:
            found = value.get(name)
            if isinstance(found, int | float) and not isinstance(found, bool):
                self.calendar.kind = self.calendar.kind or "utc"
                return epoch(found)
            if isinstance(found, str):
                stamp = ISO_LATER.match(found)
                return read_form("iso", stamp, self.calendar)[0] if stamp else self.stamps.split(found + " ")[0]
        return None


STARTS_INDENTED = re.compile(r"\s*[\[(]?\d{4}-\d\d|\s*\[?(?:ERROR|WARN|INFO|DEBUG)\b")


def trace_goes_on(line: str, record: Record) -> bool:
    """Whether an unstamped, unindented line belongs to the trace of the record before it."""
    if GOES_ON.match(line):
        starts = line.startswith("Traceback") and not (record.stamped or record.level or record.trace)
        return not starts
    if not record.trace and not record.text.startswith(("Traceback", "panic:", "fatal error:")):
        return False
    last = record.trace[-1] if record.trace else record.text
    # The line after the frames names the exception (Python); after `goroutine` every line is a call until the next head.
    python = any(part.startswith("Traceback") for part in [record.text, *record.trace])
    named = PYTHON_EXCEPTION.match("\n" + line, 1) if python else EXCEPTION.match(line)
    return (last[:1] in " \t" and named is not None) or any(part.startswith("goroutine ") for part in record.trace[:4])


def logfmt(record: Record) -> None:
    """Reduce the text of a logfmt line to its message and its error."""
    message = LOGFMT.search(record.text)
    if message is None:
        return
    error = LOGFMT_ERROR.search(record.text)
    record.text = (message[1] or message[2] or "") + (f" error={error[1] or error[2]}" if error else "")


def request_text(value: dict[str, Any], text: str) -> str:
    """Method, path and status of a request that was logged as JSON."""
    request = value.get("request")
    inner = request if isinstance(request, dict) else value
    method = inner.get("method") or value.get("request_method") or ""
    path = str(inner.get("uri") or inner.get("path") or inner.get("url") or "").partition("?")[0]
    status = value.get("status", value.get("status_code", ""))
    return " ".join(part for part in (text if " " in text or not path else "", str(method), path, str(status)) if part) or text


def members(value: dict[str, Any]) -> str:
    """A JSON line without a message, as `name=value` of its short members."""
    skipped = {*TIME_MEMBERS, *LEVEL_MEMBERS}
    parts = [f"{name}={found}" for name, found in value.items() if name not in skipped and isinstance(found, str | int | float | bool)]
    return " ".join(parts[:MEMBERS_MAX]) or "{" + " ".join(list(value)[:MEMBERS_MAX]) + "}"


def trace_member(value: dict[str, Any]) -> list[str]:
    """The lines of a stack trace that a JSON line carries in a member."""
    for name in TRACE_MEMBERS:
        found = value.get(name)
        if isinstance(found, dict):
            found = found.get("stack") or found.get("stack_trace") or found.get("stacktrace") or (
                f"{found.get('type') or found.get('name') or 'Error'}: {found['message']}" if isinstance(found.get("message"), str) else None)
        if isinstance(found, str) and found.strip():
            return found.splitlines()
    return []
