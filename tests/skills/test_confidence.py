"""Chances: more evidence is a greater chance, and a lead tells which of two that fit is right."""

from __future__ import annotations

from skills.confidence import Evidence, fits, right
from tests.kit import same

SOME = Evidence(rest=0.4, coverage=0.6, sense=0.4, features=0.3, mass=2.0, lead=0.5, known=0.5, taught=0.0)


def test_each_piece_of_evidence_raises_the_chance_to_be_right() -> None:
    for name in ("rest", "coverage", "sense", "features", "mass", "lead"):
        assert right(SOME._replace(**{name: getattr(SOME, name) + 0.1})) > right(SOME), name


def test_a_lead_says_nothing_on_whether_the_task_is_one_for_the_skill() -> None:
    same(fits(SOME._replace(lead=0.0)), fits(SOME))
    assert right(SOME._replace(lead=0.0)) < right(SOME)


def test_of_two_that_score_the_same_neither_is_more_than_half_likely() -> None:
    everything = Evidence(0.9, 1.0, 1.0, 1.0, 3.0, 0.0, 0.7, 1.0)
    assert right(everything) < 0.5 < right(everything._replace(lead=0.05)) < right(everything._replace(lead=0.1))
    assert right(everything._replace(lead=-0.2)) < 0.5


def test_nothing_is_hardly_a_chance_and_everything_nearly_sure() -> None:
    nothing, everything = Evidence(0, 0, 0, 0, 1.0, 0, 0.5, 0), Evidence(0.9, 1.0, 1.0, 1.0, 3.0, 1.0, 0.7, 1.0)
    assert fits(nothing) < 0.3 and right(nothing) < 0.05
    assert fits(everything) > 0.95 and right(everything) > 0.95
