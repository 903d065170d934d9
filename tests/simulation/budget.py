"""Runs that tests share: what a seed gives without a bug is computed once in a process."""

from __future__ import annotations

from functools import cache

from tests.simulation.run import HOURS, Result, run


@cache
def clean(seed: int) -> Result:
    """The run of a seed on the product as it is."""
    return run(seed, HOURS)


def holds(result: Result) -> None:
    """Fail with what is needed to see it again, unless every invariant held."""
    again = f"python3 -m tests.simulation --seed {result.seed} --hours {HOURS:g} --trace trace.txt"
    assert not result.problem, f"seed {result.seed}: {result.problem}\nagain: {again}\n{''.join(result.trace[-30:])}"
