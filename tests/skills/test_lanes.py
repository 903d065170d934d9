"""Lanes: dot products with many vectors at once are what they are one by one."""

from __future__ import annotations

import random

from skills.lanes import Lanes
from skills.vectors import dot
from tests.kit import same


def a_vector(source: random.Random, dimensions: int, size: float) -> tuple[float, ...]:
    """Numbers on both sides of zero."""
    return tuple(source.gauss(0, size) for _ in range(dimensions))


def test_all_at_once_is_what_one_by_one_is_within_a_hundredth_of_the_longest() -> None:
    source = random.Random(4)
    for count in (1, 2, 7, 300):
        vectors = [a_vector(source, 64, 0.12) for _ in range(count)]
        for asked in (*vectors[:3], a_vector(source, 64, 1e-3), a_vector(source, 64, 10.0)):
            exact = [dot(asked, vector) for vector in vectors]
            most = max(dot(vector, vector) for vector in vectors) ** 0.5 * dot(asked, asked) ** 0.5
            for got, wanted in zip(Lanes(vectors, 64).dots(asked), exact, strict=True):
                assert abs(got - wanted) < 0.01 * most, (count, got, wanted)


def test_numbers_at_their_limits_do_not_run_into_the_next_lane() -> None:
    ones, vectors = (1.0,) * 64, [(1.0,) * 64, (-1.0,) * 64, (1.0,) * 64]
    same([round(value) for value in Lanes(vectors, 64).dots(ones)], [64, -64, 64])
    same([round(value) for value in Lanes(vectors, 64).dots(tuple(-number for number in ones))], [-64, 64, -64])


def test_what_is_empty_is_near_nothing() -> None:
    same(Lanes([], 64).dots((1.0,) * 64), [])
    same(Lanes([(), ()], 64).dots((1.0,) * 64), [0.0, 0.0])
    same(Lanes([(1.0, 0.0), ()], 2).dots(()), [0.0, 0.0])
    near, nothing = Lanes([(1.0, 0.5), ()], 2).dots((1.0, 0.0))
    assert abs(near - 1.0) < 0.01 and abs(nothing) < 0.01
