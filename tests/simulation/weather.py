"""The weather of a run, drawn from its seed: which faults there are, how often, and how small the sizes are. Each family of faults may be missing."""

from __future__ import annotations

import random
from dataclasses import dataclass

from state.retention import Keep

NEVER_S = 1e9


@dataclass(frozen=True)
class Sizes:
    """Numbers of the product that are made small, so that what happens at them happens often."""

    segment_bytes: int
    checkpoint_segments: int       # of journal between checkpoints: one segment at least, as in the product
    slice_records: int
    pass_documents: int
    busy_tick_s: float
    evict_after_s: float
    evict_kept: int
    history_entries: int
    keep: Keep


@dataclass(frozen=True)
class Weather:
    """Mean seconds between faults of a kind (NEVER_S: none), and shares of messages or attempts that meet one."""

    sizes: Sizes
    crash_s: float
    power_share: float             # of crashes
    mid_call_share: float          # of crashes that strike in the middle of a call of the disk
    stop_s: float                  # clean stops
    stall_s: float                 # the process is stopped and goes on
    disk_s: float
    slow_writer: float             # seconds that a piece of work of the writer takes at most
    loss: float
    duplicate: float
    long_share: float
    long_delay_s: float
    partition_s: float
    clock_s: float
    clock_jump_s: float
    worker_crash_s: float
    worker_hang_s: float
    rogues: int                    # workers that keep to no rule
    failing: float                 # share of attempts
    slow: float                    # share of attempts that take long
    submit_s: float
    operator_s: float
    workers: int
    curls: int                     # workers written with curl


def draw(source: random.Random) -> Weather:
    """Some weather."""
    def some(value: float, share: float = 0.6) -> float:
        """A mean time, or never."""
        return value if source.random() < share else NEVER_S

    def share(most: float, chance: float = 0.6) -> float:
        return source.random() * most if source.random() < chance else 0.0
    sizes = Sizes(segment_bytes=source.choice((16_384, 32_768, 131_072)), checkpoint_segments=source.choice((1, 1, 2, 6)),
                  slice_records=source.choice((2, 10, 200)), pass_documents=source.choice((2, 10, 400)),
                  busy_tick_s=source.choice((0.02, 0.25, 0.25, 0.25)), evict_after_s=source.choice((2.0, 10.0, 60.0)),
                  evict_kept=source.choice((5, 20_000)),
                  history_entries=source.choice((24, 40, 200)),
                  keep=Keep(7, source.choice((12, 1_000_000, 1_000_000)), 10 << 30))
    return Weather(
        sizes=sizes, crash_s=some(source.uniform(20, 150), 0.75), power_share=source.choice((0.0, 0.5, 1.0)), mid_call_share=source.random(),
        stop_s=some(source.uniform(60, 300), 0.3), stall_s=some(source.uniform(40, 200), 0.3), disk_s=some(source.uniform(10, 120), 0.75),
        slow_writer=source.choice((0.002, 0.01, 0.3)), loss=share(0.15), duplicate=share(0.15), long_share=share(0.1),
        long_delay_s=source.choice((1.0, 20.0, 90.0)), partition_s=some(source.uniform(30, 200), 0.5), clock_s=some(source.uniform(30, 200), 0.5),
        clock_jump_s=source.choice((2.0, 600.0, 7_200.0, 90_000.0)), worker_crash_s=some(source.uniform(20, 150)),
        worker_hang_s=some(source.uniform(30, 200), 0.5), rogues=source.choice((0, 0, 1)), failing=share(0.4), slow=share(0.2),
        submit_s=source.uniform(2.0, 8.0), operator_s=some(source.uniform(3, 20), 0.8), workers=source.randrange(1, 4),
        curls=source.choice((0, 0, 1)))
