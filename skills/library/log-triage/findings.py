"""What a person should look at: errors, new and rare templates, bursts, silences, what began first, and proposals in sentences.

Everything here is computed from the templates and their slots. Rule: a proposal says where to look and why, with numbers and line numbers;
it never claims a cause and never acts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from stamps import LEVELS, Calendar, guessed_level
from templates import Template, Templates
from timeline import ANALYSED_MAX, Burst, Timeline, bursts_of, folded, gaps_of, period_of, totals

NEW_RECORDS_MIN = 20               # of a log, before anything in it can be called new or rare
SHOWN_CHARACTERS = 160             # of a template inside a sentence
PROPOSALS_MAX = 8
LEAD_S = 900.0                     # before the largest error burst: what began in this time may have to do with it
LEAD_SHARE = 0.1                   # of the period, where that is longer
TOGETHER_MIN = 3                   # templates first seen in the same slot that make "something changed here"
RANK = {level: place for place, level in enumerate(LEVELS)}
BAD = ("fatal", "error")


@dataclass(frozen=True, slots=True)
class Options:
    """What the client asked for; `since` is in seconds."""

    top: int = 10
    rare: int = 3
    new_after: float = 0.67
    since: float | None = None
    slots: int = 48


class Findings:
    """The judgement of one log. Times go out as the calendar shows them."""

    def __init__(self, templates: Templates, timeline: Timeline, calendar: Calendar, records: int, options: Options) -> None:
        self.calendar, self.options, self.records = calendar, options, records
        self.live = templates.live()
        self.guessed: set[int] = set()
        for template in self.live:
            if template.level == "unknown":
                guess = guessed_level(template.text)
                if guess is not None:
                    template.level = guess
                    self.guessed.add(template.number)
        self.total = totals(self.live)
        self.period = period_of(self.total, timeline.width_s)
        self.shown: dict[int, Template] = {}
        self.bursts = bursts_of(self.live, self.period, self.total) if self.period else []
        self.gaps = gaps_of(self.total, self.period) if self.period else []
        self.cutoff = self._cutoff()
        self.new = self._new()
        self.rare = self._rare()
        self.suspects = self._suspects()

    # -- What is judged ----------------------------------------------------------------------------------------------------------

    def _cutoff(self) -> float | None:
        """The time (or, in a log without times, the line) from which a first sight is new."""
        if self.period is None:
            last = max((template.last_line for template in self.live), default=0)
            return last * self.options.new_after
        if self.options.since is not None:
            return self.options.since
        return self.period.start_s + self.period.span_s * self.options.new_after

    def _first(self, template: Template) -> float:
        return float(template.first_line) if self.period is None or template.first_at is None else template.first_at

    def _new(self) -> list[Template]:
        if self.records < NEW_RECORDS_MIN or self.cutoff is None:
            return []
        found = [template for template in self.live if self._first(template) >= self.cutoff]
        return sorted(found, key=lambda template: (RANK[template.level], -template.count, template.first_line))

    def _rare(self) -> list[Template]:
        if self.records < NEW_RECORDS_MIN:
            return []
        found = [template for template in self.live if template.count <= self.options.rare]
        return sorted(found, key=lambda template: (RANK[template.level], template.count, -template.last_line))

    def main(self) -> Burst | None:
        """The largest burst of errors."""
        bad = [burst for burst in self.bursts if burst.template.level in BAD and not burst.follows_traffic]
        return max(bad, key=lambda burst: burst.records, default=None)

    def _suspects(self) -> list[tuple[float, Template, str]]:
        """(onset, template, kind) of what began shortly before the largest error burst or with it, in order of onset."""
        main = self.main()
        if main is None or self.period is None:
            return []
        earliest = main.onset - max(LEAD_S, LEAD_SHARE * self.period.span_s)
        found: dict[int, tuple[float, Template, str]] = {}
        for burst in self.bursts:
            quiet = RANK[burst.template.level] > RANK["warn"]
            if not burst.follows_traffic and earliest <= burst.onset <= (main.onset if quiet else main.end):
                found[burst.template.number] = (burst.onset, burst.template, "burst")
        for template in [*self.new, *self.rare]:
            at = template.first_at
            if template.number in found or at is None:
                continue
            loud = RANK[template.level] <= RANK["warn"]
            if earliest <= at <= (main.end if loud else main.onset):
                found[template.number] = (at, template, "rare" if template.count <= self.options.rare else "new")
        return sorted(found.values(), key=lambda item: (item[0], RANK[item[1].level], item[1].first_line))

    # -- What is told ------------------------------------------------------------------------------------------------------------

    def at(self, seconds: float | None) -> str | None:
        """A time as text."""
        return None if seconds is None else self.calendar.shown(seconds)

    def name(self, template: Template) -> str:
        """A template inside a sentence."""
        text = template.text
        text = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS - 1] + "…"
        return f"template {template.number} ({template.level}) `{text}`"

    def refer(self, template: Template) -> int:
        """The number of a template, which will be listed."""
        self.shown[template.number] = template
        return template.number

    def levels(self) -> dict[str, int]:
        """Records per level, worst first."""
        counts: Counter[str] = Counter()
        for template in self.live:
            counts[template.level] += template.count
        return {level: counts[level] for level in LEVELS if counts[level]}

    def told_period(self) -> dict[str, Any] | None:
        """From, to, length and what is known of the zone."""
        if self.period is None:
            return None
        inside = [template for template in self.live if template.last_at is not None]
        end_s = self.period.start_s + self.period.span_s
        first = min((template.first_at for template in inside if template.first_at is not None and template.first_at >= self.period.start_s),
                    default=self.period.start_s)
        last = max((template.last_at for template in inside if template.last_at is not None and template.last_at < end_s), default=end_s)
        return {"from": self.at(first), "to": self.at(last), "seconds": round(last - first, 3), "clock": self.calendar.kind}

    def timeline(self) -> dict[str, Any] | None:
        """Lines, errors and warnings per slot of a round width."""
        if self.period is None:
            return None
        width = self.period.width_for(self.options.slots)
        factor = width // self.period.width_s
        everything = folded(self.total, factor)
        bad = folded(totals(template for template in self.live if template.level in BAD), factor)
        warned = folded(totals(template for template in self.live if template.level == "warn"), factor)
        slots = range(self.period.first // factor, self.period.last // factor + 1)
        return {"slot_s": width, "slots": [{"at": self.at(float(slot * width)), "records": everything[slot], "errors": bad[slot],
                                            "warnings": warned[slot]} for slot in slots]}

    def told_burst(self, burst: Burst) -> dict[str, Any]:
        """A burst with its numbers."""
        from_what = "from none" if not burst.baseline else f"{burst.rate / burst.baseline:.1f} times its usual {rate(burst.baseline)}"
        return {"template": self.refer(burst.template), "from": self.at(burst.onset), "to": self.at(burst.end), "records": burst.records,
                "per_minute": number(burst.rate), "peak_per_minute": number(burst.peak_rate), "baseline_per_minute": number(burst.baseline),
                "ratio": number(burst.ratio) if burst.ratio is not None else None, "other_lines_ratio": number(burst.traffic_ratio),
                "follows_traffic": burst.follows_traffic,
                "why": f"{burst.records} records from {self.at(burst.onset)}, {rate(burst.rate)} a minute, {from_what}; all other lines were at "
                       f"{burst.traffic_ratio:.1f} times their usual rate."}

    def told_suspects(self) -> list[dict[str, Any]]:
        """The suspects in order, each with its lead over the largest error burst."""
        main = self.main()
        told = []
        for onset, template, kind in self.suspects[:self.options.top]:
            lead = round(main.onset - onset, 3) if main else 0.0
            when = f"{seconds(lead)} before" if lead > 0 else f"{seconds(-lead)} after the beginning of" if lead < 0 else "together with"
            told.append({"template": self.refer(template), "kind": kind, "onset": self.at(onset), "seconds_before_largest_error_burst": lead,
                         "why": f"{self.name(template)} began {when} the largest error burst."})
        return told

    def told_template(self, template: Template) -> dict[str, Any]:
        """A template with its counts, times, examples and exceptions."""
        told: dict[str, Any] = {
            "template": template.number, "text": template.text, "level": template.level, "level_guessed": template.number in self.guessed,
            "count": template.count, "share": round(template.count / max(1, self.records), 6), "first_seen": self.at(template.first_at),
            "last_seen": self.at(template.last_at), "first_line": template.first_line, "last_line": template.last_line,
            "examples": [{"line": line, "text": text} for line, text in template.examples]}
        if template.causes:
            told["exceptions"] = [{"text": text, "count": count} for text, count in sorted(template.causes.items(), key=lambda item: -item[1])]
        return told

    def report(self) -> dict[str, Any]:
        """The whole judgement, lists cut to what was asked for."""
        top = self.options.top
        told: dict[str, Any] = {
            "period": self.told_period(), "levels": self.levels(), "timeline": self.timeline(),
            "top": [self.refer(template) for template in sorted(self.live, key=lambda template: -template.count)[:top]],
            "top_errors": [self.refer(template) for template in sorted(self.live, key=lambda template: (RANK[template.level], -template.count))
                           if template.level in BAD][:top],
            "new": {"from": self.at(self.cutoff) if self.period else None, "found": len(self.new),
                    "templates": [self.refer(template) for template in self.new[:top]]},
            "rare": {"at_most": self.options.rare, "found": len(self.rare), "templates": [self.refer(template) for template in self.rare[:top]]},
            "bursts": [self.told_burst(burst) for burst in
                       sorted(self.bursts, key=lambda burst: (burst.follows_traffic, RANK[burst.template.level] > 1, -burst.score))[:top]],
            "silences": [{"from": self.at(begin), "to": self.at(end), "seconds": end - begin} for begin, end in self.gaps[:top]],
            "suspects": self.told_suspects(),
            "proposals": self.proposals(),
        }
        told["templates"] = [self.told_template(template) for _number, template in sorted(self.shown.items())]
        return told

    # -- What is proposed --------------------------------------------------------------------------------------------------------

    def proposals(self) -> list[str]:
        """Where to look, most urgent first."""
        said: list[str] = [*self._about_suspects(), *self._about_changes(), *self._about_errors()]
        for begin, end in self.gaps[:2]:
            said.append(f"Look at why the log is silent for {seconds(end - begin)} from {self.at(begin)}: the process may have been down or stuck.")
        odd = [template for template in self.rare if template.level in BAD and template.number not in {one.number for one in self.new}]
        if odd:
            said.append(f"Look at line {odd[0].first_line}: {self.name(odd[0])} occurs {times(odd[0].count)} in {self.records:,} records.")
        if not said:
            said.append("Nothing stands out: there are no errors, bursts, silences or new bad templates in this log.")
        return list(dict.fromkeys(said))[:PROPOSALS_MAX]

    def _about_suspects(self) -> list[str]:
        main = self.main()
        if main is None:
            return []
        usual = "none" if not main.baseline else f"{rate(main.baseline)} a minute"
        said = [f"Look at {self.name(main.template)}: it rose from {usual} to {rate(main.rate)} a minute at {self.at(main.onset)} "
                f"(first example at line {main.template.first_line})."]
        first = self.suspects[0] if self.suspects else None
        if first is not None and first[1] is not main.template:
            lead = main.onset - first[0]
            when = f"{seconds(lead)} before the largest error burst" if lead > 0 else "together with the largest error burst"
            said.insert(0, f"Look first at what began first: {self.name(first[1])} began at {self.at(first[0])}, {when} "
                           f"(line {first[1].first_line}).")
        return said

    def _about_changes(self) -> list[str]:
        """Several templates first seen together mean that something was changed or restarted."""
        if self.period is None:
            return []
        width = self.period.width_for(ANALYSED_MAX)
        together = Counter(int(template.first_at // width) for template in self.new if template.first_at is not None)
        if not together:
            return []
        slot, count = max(together.items(), key=lambda item: item[1])
        if count < TOGETHER_MIN:
            return []
        return [f"Look at what changed at about {self.at(float(slot * width))}: {count} templates were first seen within {seconds(width)} of it."]

    def _about_errors(self) -> list[str]:
        said = []
        main = self.main()
        worst = [template for template in self.new if template.level in BAD and not (main and template is main.template)]
        for template in worst[:2]:
            said.append(f"Look at {self.name(template)}: it is new, first seen at {self.at(template.first_at) or 'line'} "
                        f"(line {template.first_line}), {times(template.count)} since.")
        bad = sorted((template for template in self.live if template.level in BAD), key=lambda template: -template.count)
        if bad:
            everything = sum(template.count for template in bad)
            cause = max(bad[0].causes.items(), key=lambda item: item[1], default=("", 0))[0]
            said.append(f"Look at {self.name(bad[0])}: it makes {bad[0].count / everything:.0%} of all {everything:,} errors (first at line "
                        f"{bad[0].first_line})" + (f", with {cause}" if cause else "") + ".")
        return said


def number(value: float) -> float:
    """Three significant digits: more would claim too much of a rate."""
    return float(f"{value:.3g}")


def rate(value: float) -> str:
    """A rate inside a sentence."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def times(count: int) -> str:
    """once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def seconds(value: float) -> str:
    """A length of time inside a sentence, in the largest unit that leaves a number above 2."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if value >= 2 * length:
            return f"{value / length:.0f} {unit}"
    return f"{value:.0f} s" if value >= 1 else f"{value:.3f} s"
