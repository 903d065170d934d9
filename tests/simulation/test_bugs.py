"""The proof of the checker: each deliberate bug is caught within RUNS_MAX runs, and the seeds that catch them pass without one."""

from tests.simulation.budget import clean, holds
from tests.simulation.bugs import BUGS, planted
from tests.simulation.run import HOURS, run

RUNS_MAX = 40                  # from seed 1 on


def seed_that_catches(bug: str) -> int:
    """The first seed whose run finds the bug."""
    for seed in range(1, RUNS_MAX + 1):
        with planted(bug):
            if run(seed, HOURS).problem:
                return seed
    raise AssertionError(f"{bug} was planted, and {RUNS_MAX} runs found nothing: {BUGS[bug].__doc__}")


def test_every_deliberate_bug_is_caught_within_forty_runs_and_its_seed_passes_without_it():
    for bug in BUGS:
        holds(clean(seed_that_catches(bug)))


def test_there_are_enough_deliberate_bugs_and_each_says_what_it_takes_away():
    assert len(BUGS) >= 12 and all(bug.__doc__ for bug in BUGS.values())
