"""The engines, and how a promise of the narrow waist is tried on each of them: it is a function that is given a fresh place."""

from collections.abc import Callable
from typing import Any

from state.records import JOB_FIELDS, STEP_FIELDS, Job
from tests.kit import same
from tests.state.builders import (
    FilePlace,
    MemoryPlace,
    Place,
    RealPlace,
    ThreadPlace,
)

PLACES: tuple[type[Place], ...] = (RealPlace, FilePlace, ThreadPlace, MemoryPlace)


def on_every_engine(promise: Callable[[Any], None]) -> Callable[[], None]:
    """The test that tries the promise on each engine; a failure names the engine."""
    def test() -> None:
        for kind in PLACES:
            try:
                promise(kind())
            except Exception as error:
                raise AssertionError(f"on {kind.name}: {error}") from error
    return test


def same_job(got: Job | None, wanted: Job) -> None:
    """Field by field, so that a failure names the field."""
    assert got is not None, f"{wanted.id} is nowhere"
    for name, is_, was in zip(JOB_FIELDS, got, wanted, strict=True):
        if name == "steps":
            for step, other in zip(is_, was, strict=True):
                same(list(zip(STEP_FIELDS, step, strict=True)), list(zip(STEP_FIELDS, other, strict=True)))
        else:
            same((name, is_), (name, was))
