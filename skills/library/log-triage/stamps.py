"""When was it written, and how bad is it: the time and the level of one log line.

Knows ISO 8601 and its relatives, syslog (RFC 3164 and 5424), access logs, Apache and nginx error logs, Java, glog, ctime, logcat, epoch
seconds to nanoseconds. Lines without a year or a date are placed on a calendar of their own and printed without what they lack.
Rule: what cannot be read is None, never a guess.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

MONTHS = {name: number for number, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)}
NO_YEAR = 2000                     # a leap year, so that Feb 29 exists
DAY_S = 86_400
SEARCHED_CHARACTERS = 64           # a time stands at the head of its line; a date further on belongs to the message
EPOCH_MIN, EPOCH_MAX = 946_684_800, 4_102_444_800      # 2000 to 2100: other numbers are not times

LEVELS = ("fatal", "error", "warn", "info", "debug", "trace", "unknown")           # worst first
LEVEL_WORDS = {
    "fatal": "fatal", "critical": "fatal", "crit": "fatal", "emerg": "fatal", "emergency": "fatal", "alert": "fatal", "panic": "fatal",
    "error": "error", "err": "error", "severe": "error", "eror": "error",
    "warn": "warn", "warning": "warn", "wrn": "warn",
    "info": "info", "information": "info", "informational": "info", "notice": "info", "log": "info", "config": "info", "inf": "info",
    "debug": "debug", "fine": "debug", "dbg": "debug", "trace": "trace", "verbose": "trace", "finer": "trace", "finest": "trace",
}
LETTERS = {"F": "fatal", "E": "error", "W": "warn", "I": "info", "D": "debug", "V": "trace"}          # glog and logcat
NUMBERS = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}                # pino and bunyan
UPPER = "|".join(sorted((word.upper() for word in LEVEL_WORDS if word != "config"), key=len, reverse=True))
LOWER = UPPER.lower()
LEVEL = re.compile(rf"(?:\b(?:level|lvl|severity|loglevel)\s?[=:]\s?\"?)([A-Za-z]+)\"?|[\[<(]?\b({UPPER})\b(?![=\w/-])[\])>]?:?"
                   rf"|[\[<|]\s?((?i:{LOWER}))\s?[\]>|]|^\s*((?i:{LOWER})):(?=\s)|[\[]\w+:({LOWER})[\]]")
ERROR_WORDS = (r"\b(?:error|errors|exception|traceback|fail(?:ed|ure|s|ing)?|fatal|panic(?:ked)?|segfault|segmentation fault|out of memory|oom"
               r"|kill(?:ed|ing) process|refused|unreachable|abort(?:ed|ing)?|corrupt(?:ed|ion)?|denied|cannot|could not|unable|crash(?:ed)?"
               r"|i/o error|fehler|fehlgeschlagen|erreur|échec|échoué|fallo|falló|errore)\b|失敗|エラー|错误|失败|异常|ошибка")
WARN_WORDS = (r"\b(?:warn(?:ing)?|timed? ?out|timeout|retry(?:ing)?|slow|deprecated|degraded|invalid|missing|warnung|avertissement|advertencia)\b"
              r"|警告|предупреждение")
GUESSES = (("error", re.compile(ERROR_WORDS, re.IGNORECASE)), ("warn", re.compile(WARN_WORDS, re.IGNORECASE)))

ISO = r"(\d{4}[-/.]\d\d[-/.]\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,:](\d{1,9}))?(?:\s?(Z|UTC|GMT|[+-]\d\d:?\d\d)(?![\w-]))?"
CLOCK = r"(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
FORMS: dict[str, re.Pattern[str]] = {
    "iso": re.compile(r"[\[(\"]?" + ISO + r"[\])\"]?:?"),
    "syslog": re.compile(r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) +(\d{1,2}) " + CLOCK + r"(?: (\d{4})\b)? (?:[\w.:-]+ )?(?=\S+?(?:\[\d+\])?: |last message)"),
    "ctime": re.compile(r"\[?[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) " + CLOCK + r" (?:[A-Z]{3,4} )?(\d{4})\]?:?"),
    "java": re.compile(r"\[?(\d{1,2})[-/ ]([A-Z][a-z]{2})[-/ ](\d{4})[ :]" + CLOCK + r"(?:\s?(Z|[+-]\d\d:?\d\d))?\]?"),
    "glog": re.compile(r"([FEWIDV])(\d\d)(\d\d) " + CLOCK + r"\s+"),
    "logcat": re.compile(r"(\d\d)-(\d\d) " + CLOCK + r"\s+\d+\s+\d+ ([FEWIDV]) "),
    "hdfs": re.compile(r"(\d{6}) (\d\d)(\d\d)(\d\d) (?=\d+ [A-Z])"),
    "epoch": re.compile(r"\[?(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})\]?(?=[\s,|:;\]])"),
    "short": re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) " + CLOCK + r"(?: (\d{4})\b)?:?"),
    "clock": re.compile(r"\[?" + CLOCK + r"\]?(?=\s)"),
}
PRIORITY = re.compile(r"<\d{1,3}>(?:1 )?(?=\S)")
ISO_LATER = re.compile(r"(?<![\w.])" + ISO)


class Calendar:
    """Turns the parts of a time into seconds since 1970; remembers what is needed for lines that lack a year or a date."""

    def __init__(self, year: int | None) -> None:
        """`year` is that of the first line of a log whose times have none."""
        self.year = year
        self.kind = ""                        # of the first time seen: "utc", "local" (no zone given), "no year" or "no date"
        self._days: dict[str, float | None] = {}
        self._zones: dict[str | None, float] = {None: 0.0, "Z": 0.0, "UTC": 0.0, "GMT": 0.0}
        self._running_year = year or NO_YEAR
        self._month = 0
        self._day_s = 0.0
        self._last_clock_s = 0.0

    def at(self, day: float | None, hour: str, minute: str, second: str, fraction: str | None, zone: str | None = None) -> float | None:
        """Seconds since 1970 of a day (seconds) and a clock; None if the clock has impossible parts."""
        clock = int(hour) * 3600 + int(minute) * 60 + int(second)
        if day is None or clock > DAY_S:
            return None
        self.kind = self.kind or ("utc" if zone else "local")
        offset = self._zones.get(zone)
        if offset is None:
            offset = self._zones[zone] = zone_s(zone or "Z")
        at = day + clock - offset
        return at + float("." + fraction) if fraction else at

    def day(self, text: str) -> float | None:
        """The first second of a day such as `2024-05-01`, `2024/05/01` or `240501`; None if there is no such day."""
        if text not in self._days:
            digits = text if text.isdigit() else text[:4] + text[5:7] + text[8:10]
            century = "20" if len(digits) == 6 else ""
            self._days[text] = day_s(century + digits)
            if len(self._days) > 10_000:
                self._days = {}
                return day_s(century + digits)
        return self._days[text]

    def month_day(self, month: int, day: str, year: str | None) -> float | None:
        """A day named by month and day; the year runs on when the month falls back from the end of a year to its beginning."""
        if not month:
            return None
        if year:
            return self.day(f"{year}-{month:02d}-{int(day):02d}")
        if not self.kind:
            self.kind = "local" if self.year else "no year"
        if self._month - month > 6:
            self._running_year += 1
        self._month = month
        return self.day(f"{self._running_year}-{month:02d}-{int(day):02d}")

    def clock_only(self, hour: str, minute: str, second: str, fraction: str | None) -> float | None:
        """A time of day alone; a day passes when the clock falls back by more than half a day."""
        self.kind = self.kind or "no date"
        at = self.at(0.0, hour, minute, second, fraction)
        if at is None:
            return None
        if self._last_clock_s - at > DAY_S / 2:
            self._day_s += DAY_S
        self._last_clock_s = at
        return self._day_s + at

    def shown(self, at: float) -> str:
        """A time as text, with the parts that the log has: `2024-05-01T10:00:00Z`, without Z, without year, or as a clock."""
        moment = datetime.fromtimestamp(at, UTC)
        text = moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if moment.microsecond >= 1000 else "")
        if self.kind == "no date":
            days = int(at // DAY_S)
            return text[11:] + (f" (+{days} d)" if days else "")
        return text[5:] if self.kind == "no year" else text + ("Z" if self.kind == "utc" else "")


def day_s(digits: str) -> float | None:
    """Seconds since 1970 of a day written YYYYMMDD, or None."""
    try:
        return float((date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) - date(1970, 1, 1)) / timedelta(seconds=1))
    except ValueError:
        return None


def zone_s(zone: str) -> float:
    """Seconds that a zone such as `+02:00` is ahead of UTC."""
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 if len(digits) == 4 else 0
    return float(-seconds if zone[0] == "-" else seconds)


def epoch(number: float) -> float | None:
    """Seconds since 1970 of an epoch number in s, ms, µs or ns; None when it is no time of this century."""
    for scale in (1, 1e3, 1e6, 1e9):
        if EPOCH_MIN <= number / scale < EPOCH_MAX:
            return number / scale
    return None


def read_form(form: str, found: re.Match[str], calendar: Calendar) -> tuple[float | None, str | None]:
    """The time, and the level where the form holds one, of a match of `FORMS[form]`."""
    part = found.groups()
    if form == "iso":
        return calendar.at(calendar.day(part[0]), part[1], part[2], part[3], part[4], part[5]), None
    if form in ("syslog", "short", "ctime"):
        day = calendar.month_day(MONTHS.get(part[0].lower(), 0), part[1], part[6])
        return calendar.at(day, *part[2:6]), None
    if form == "java":
        day = calendar.month_day(MONTHS.get(part[1].lower(), 0), part[0], part[2])
        return calendar.at(day, *part[3:8]), None
    if form == "glog":
        return calendar.at(calendar.month_day(int(part[1]), part[2], None), *part[3:7]), LETTERS[part[0]]
    if form == "logcat":
        return calendar.at(calendar.month_day(int(part[0]), part[1], None), *part[2:6]), LETTERS[part[6]]
    if form == "hdfs":
        return calendar.at(calendar.day(part[0]), part[1], part[2], part[3], None), None
    if form == "epoch":
        calendar.kind = calendar.kind or "utc"
        return epoch(float(part[0])), None
    return calendar.clock_only(*part), None


class Stamps:
    """Finds the time at the head of a line; the form that fitted last is tried first, because a log seldom changes its form."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._order = list(FORMS)

    def split(self, line: str) -> tuple[float | None, str | None, str]:
        """(time, level if the form holds one, the line without its time)."""
        if line[0] == "<":
            line = PRIORITY.sub("", line, count=1)
        for place, form in enumerate(self._order):
            found = FORMS[form].match(line)
            if found is None:
                continue
            at, level = read_form(form, found, self.calendar)
            if at is None:
                continue
            if place and form != "clock":
                self._order.insert(0, self._order.pop(place))
            return at, level, line[found.end():].lstrip()
        found = ISO_LATER.search(line, 0, SEARCHED_CHARACTERS)
        if found is None:
            return None, None, line
        at, level = read_form("iso", found, self.calendar)
        return at, level, (line[:found.start()].rstrip(" [(\"=") + " " + line[found.end():].lstrip(" ])\"")).lstrip()


def split_level(text: str) -> tuple[str | None, str]:
    """(level, the text without it) when a level word stands where loggers put it, else (None, text)."""
    found = LEVEL.search(text, 0, SEARCHED_CHARACTERS)
    if found is None:
        return None, text
    level = LEVEL_WORDS.get((found[1] or found[2] or found[3] or found[4] or found[5]).lower())
    if level is None:
        return None, text
    return level, (text[:found.start()] + text[found.end():].lstrip(" -|")).lstrip(" -|")


def named_level(value: object) -> str | None:
    """The level of a JSON member: a word, or a pino number."""
    if isinstance(value, str):
        return LEVEL_WORDS.get(value.strip().lower())
    return NUMBERS.get(value) if isinstance(value, int) else None


def guessed_level(text: str) -> str | None:
    """The level that the words of a message without one suggest."""
    return next((level for level, words in GUESSES if words.search(text)), None)
