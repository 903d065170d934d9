"""Is a figure flat over time? A robust slope (Theil-Sen: the median of the slopes of all pairs of points) against a limit that is named. Pure."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

BINS_MAX = 240               # points that are paired: some 29,000 slopes
JUDGED_S_MIN = 180.0         # over less time a slope per hour says nothing


class Limit(NamedTuple):
    """What a figure may grow by over the judged time: a share of its median, or `least` where that is more."""

    name: str
    unit: str
    share: float
    least: float
    reason: str


class Trend(NamedTuple):
    """What came out. `limit_per_h` is the growth allowed, spread over the judged time; `flat` None where the time is too short to say."""

    limit: Limit
    median: float
    most: float
    slope_per_h: float
    limit_per_h: float
    flat: bool | None

    def sentence(self) -> str:
        """For people."""
        verdict = {True: "flat", False: "NOT FLAT", None: f"not judged, under {JUDGED_S_MIN:.0f} s"}[self.flat]
        unit, limit = self.limit.unit, f"limit {self.limit_per_h:.1f}, which is {self.limit.reason} in the judged time"
        return (f"{self.limit.name:16} median {self.median:7.1f} {unit:3} most {self.most:7.1f} {unit:3} slope {self.slope_per_h:+8.1f} an hour "
                f"({limit}): {verdict}")


def slope(points: list[tuple[float, float]]) -> float:
    """Median slope of all pairs; 0.0 with fewer than two points."""
    binned = _binned(points)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for n, a in enumerate(binned) for b in binned[n + 1:] if b[0] > a[0]]
    return median(slopes) if slopes else 0.0


def judge(limit: Limit, points: list[tuple[float, float]]) -> Trend:
    """Judge (seconds, value) points, oldest first. Only growth is a fault."""
    values = [value for _, value in points] or [0.0]
    judged_s = points[-1][0] - points[0][0] if len(points) > 1 else 0.0
    per_h = slope(points) * 3600
    allowed = max(limit.share * median(values), limit.least) / max(judged_s, 1.0) * 3600
    return Trend(limit, median(values), max(values), per_h, allowed, None if judged_s < JUDGED_S_MIN else per_h <= allowed)


def _binned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most BINS_MAX points, each the medians of its neighbours."""
    size = max(1, -(-len(points) // BINS_MAX))
    return [(median(x for x, _ in points[n:n + size]), median(y for _, y in points[n:n + size])) for n in range(0, len(points), size)]
