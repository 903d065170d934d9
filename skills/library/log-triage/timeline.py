"""How often, and when: slots of time for every template, and what rose above its own baseline in them.

Slots are stored sparsely at a width that grows only when there are too many, so one wrong clock does not coarsen the whole log.
Rule: a burst is always told with its numbers: its rate, its own baseline, and what all other lines did in the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from templates import Template

WIDTHS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800,
            2_419_200, 7_257_600, 29_030_400)      # up to 48 weeks; each divides the next
STORED_MAX = 400_000               # slots of all templates together: about 40 MB
ANALYSED_MAX = 240                 # slots of the period in which bursts are looked for
BURST_RECORDS_MIN = 10             # fewer are chance
BURST_SCORE_MIN = 6.0              # standard deviations of a Poisson process above the baseline
BURST_RATIO_MIN = 3.0
BURST_RUNS_MAX = 3                 # more often than this is a rhythm (a cron job), not a burst
BURST_SHARE_MAX = 0.6              # of the period: what lasts longer is the normal state
TRAFFIC_SHARE = 2.0                # a burst must rise this much more than all other lines, else it only follows the traffic
STRAY_SHARE = 0.001                # of the records may lie far outside the rest (wrong clocks)
STRAY_GAP = 5.0                    # how far, in lengths of the period of the rest

assert all(wide % narrow == 0 for narrow, wide in pairwise(WIDTHS_S))


@dataclass(frozen=True, slots=True)
class Burst:
    """A rise of one template above its own baseline. Times in seconds, rates per minute."""

    template: Template
    onset: float
    end: float
    records: int
    rate: float
    peak_rate: float
    baseline: float
    score: float
    traffic_ratio: float
    follows_traffic: bool

    @property
    def ratio(self) -> float | None:
        """How many times the baseline; None when the baseline is zero."""
        return self.rate / self.baseline if self.baseline else None


class Timeline:
    """Counts records of templates in slots of time."""

    def __init__(self) -> None:
        self.width_s = WIDTHS_S[0]
        self._stored = 0
        self._touched: list[Template] = []

    def add(self, template: Template, at: float) -> None:
        """Count one record of a template at a time."""
        slot = int(at // self.width_s)
        slots = template.slots
        if slot in slots:
            slots[slot] += 1
            return
        if not slots:
            self._touched.append(template)
        slots[slot] = 1
        self._stored += 1
        if self._stored > STORED_MAX and self.width_s < WIDTHS_S[-1]:
            self._widen()

    def _widen(self) -> None:
        wider = WIDTHS_S[WIDTHS_S.index(self.width_s) + 1]
        self._touched = [template for template in self._touched if template.slots]
        for template in self._touched:
            template.slots = dict(folded(template.slots, wider // self.width_s))
        self._stored = sum(len(template.slots) for template in self._touched)
        self.width_s = wider


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a log covers, in stored slots of `width_s`; `strays` records lie far outside and are left out of the times."""

    first: int
    last: int
    width_s: int
    strays: int

    @property
    def start_s(self) -> float:
        """The beginning in seconds."""
        return float(self.first * self.width_s)

    @property
    def span_s(self) -> float:
        """The length in seconds, at least one slot."""
        return float((self.last - self.first + 1) * self.width_s)

    def width_for(self, slots_max: int) -> int:
        """The narrowest round width with which the period has at most this many slots."""
        fitting = (width for width in WIDTHS_S if width >= self.width_s and self.span_s / width + 1 <= slots_max)
        return next(fitting, WIDTHS_S[-1])


def folded(slots: dict[int, int], factor: int) -> Counter[int]:
    """The same counts in slots `factor` times as wide."""
    wide: Counter[int] = Counter()
    for slot, count in slots.items():
        wide[slot // factor] += count
    return wide


def totals(templates: Iterable[Template]) -> Counter[int]:
    """Records of all templates per stored slot."""
    total: Counter[int] = Counter()
    for template in templates:
        total.update(template.slots)
    return total


def period_of(total: dict[int, int], width_s: int) -> Period | None:
    """The period of a log without the few records whose clocks are far off; None for a log without times."""
    if not total:
        return None
    slots = sorted(total)
    allowed = max(1, int(sum(total.values()) * STRAY_SHARE)) if len(slots) > 3 else 0
    strays = 0
    while len(slots) > 3:
        low, high = slots[1] - slots[0], slots[-1] - slots[-2]
        at = 0 if low >= high else -1
        rest = (slots[-1] - slots[1]) if at == 0 else (slots[-2] - slots[0])
        if max(low, high) <= STRAY_GAP * max(rest, 60) or strays + total[slots[at]] > allowed:
            break
        strays += total[slots.pop(at)]
    return Period(slots[0], slots[-1], width_s, strays)


def runs_above(counts: list[int], threshold: float) -> list[tuple[int, int]]:
    """(first, last) of every run of slots above a threshold; one slot below it does not end a run."""
    runs: list[tuple[int, int]] = []
    for at, count in enumerate(counts):
        if count <= threshold:
            continue
        if runs and at - runs[-1][1] <= 2:
            runs[-1] = (runs[-1][0], at)
        else:
            runs.append((at, at))
    return runs


def bursts_of(templates: list[Template], period: Period, total: dict[int, int]) -> list[Burst]:
    """The bursts of all templates, strongest first."""
    width = period.width_for(ANALYSED_MAX)
    factor = width // period.width_s
    first, last = period.first // factor, period.last // factor
    traffic = folded(total, factor)
    everything = [traffic[slot] for slot in range(first, last + 1)]
    found = []
    for template in templates:
        if template.count >= BURST_RECORDS_MIN and template.slots:
            own = folded(template.slots, factor)
            burst = burst_of(template, [own[slot] for slot in range(first, last + 1)], everything, first, width, period)
            if burst is not None:
                found.append(burst)
    return sorted(found, key=lambda burst: (-burst.score, burst.template.number))


def burst_of(template: Template, counts: list[int], everything: list[int], first: int, width: int, period: Period) -> Burst | None:
    """The strongest burst of one template, or None. `counts` and `everything` are per analysed slot, from slot `first`."""
    if len(counts) < 4:
        return None
    lower = sorted(counts)[:(len(counts) + 1) // 2]
    base = sum(lower) / len(lower)
    runs = runs_above(counts, base + 3 * (base + 1) ** 0.5 - 1)
    if not runs:
        return None
    begin, end = max(runs, key=lambda run: sum(counts[run[0]:run[1] + 1]))
    high = base + (max(counts[begin:end + 1]) - base) / 2
    if sum(max(counts[run[0]:run[1] + 1]) >= high for run in runs) > BURST_RUNS_MAX:
        return None
    inside, length = sum(counts[begin:end + 1]), end - begin + 1
    score = (inside - base * length) / (base * length + 1) ** 0.5
    rate = inside / length
    if inside < BURST_RECORDS_MIN or score < BURST_SCORE_MIN or rate < BURST_RATIO_MIN * base or length > BURST_SHARE_MAX * len(counts):
        return None
    others = [whole - own for whole, own in zip(everything, counts, strict=True)]
    others_out = (sum(others) - sum(others[begin:end + 1])) / max(1, len(counts) - length)
    traffic_ratio = (sum(others[begin:end + 1]) / length) / others_out if others_out else 1.0
    per_minute = 60 / width
    follows = bool(base) and rate / base < TRAFFIC_SHARE * traffic_ratio
    return Burst(template, onset(template, first + begin, base, counts[begin], width, period), float((first + end + 1) * width), inside,
                 rate * per_minute, max(counts[begin:end + 1]) * per_minute, base * per_minute, score, traffic_ratio, follows)


def onset(template: Template, slot: int, base: float, count: int, width: int, period: Period) -> float:
    """When the burst began, as exactly as the stored slots allow: where the count passes what the baseline explains."""
    if not base and template.first_at is not None and template.first_at // width == slot:
        return template.first_at
    factor = width // period.width_s
    seen = 0.0
    for fine in range(slot * factor, (slot + 1) * factor):
        seen += template.slots.get(fine, 0)
        if seen and seen >= base + (0.05 * (count - base) if base else 0):
            return float(fine * period.width_s)
    return float(slot * width)


def gaps_of(total: dict[int, int], period: Period) -> list[tuple[float, float]]:
    """(from, to) in seconds of the times without any line in a log that is otherwise never silent for long."""
    width = period.width_for(ANALYSED_MAX)
    factor = width // period.width_s
    traffic = folded(total, factor)
    slots = sorted(slot for slot in traffic if period.first // factor <= slot <= period.last // factor)
    if len(slots) < 20:
        return []
    quiet = sorted(later - earlier for earlier, later in pairwise(slots))
    usual = quiet[int(len(quiet) * 0.95)]
    return [(float((earlier + 1) * width), float(later * width)) for earlier, later in pairwise(slots)
            if later - earlier > max(3, 3 * usual)]
