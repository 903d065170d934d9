"""Lanes: what is done to many numbers at once is what would be done to each."""

from __future__ import annotations

import random

from skills.lanes import COARSE_MIN, NARROW, NARROW_MAX, SORTED_MAX, WIDE_MAX, Vectors, best, packed, unpacked, widened
from skills.vectors import dot
from tests.kit import same


def a_vector(source: random.Random, dimensions: int, size: float) -> tuple[float, ...]:
    """Numbers on both sides of zero."""
    return tuple(source.gauss(0, size) for _ in range(dimensions))


def dots(vectors: list[tuple[float, ...]], asked: tuple[float, ...], unit_min: float = 0.0) -> list[float]:
    """The dot products, taken out of their lanes."""
    found = Vectors(vectors, 64).dots(asked, unit_min)
    assert all(number <= 2 * found.zero <= Vectors(vectors, 64).most for number in unpacked(found.lanes, len(vectors)))
    return [(number - found.zero) * found.unit for number in unpacked(found.lanes, len(vectors))]


def test_what_was_packed_comes_back_and_lanes_add_up_side_by_side() -> None:
    one, other = packed(5, [0, 3], [7, WIDE_MAX - 9]), packed(5, [3, 4], [9, 1])
    same(list(unpacked(one + other * 1, 5)), [7, 0, 0, WIDE_MAX, 1])
    same((list(unpacked(0, 3)), list(unpacked(packed(0, [], []), 0))), ([0, 0, 0], []))


def test_narrow_lanes_hold_the_same_numbers_and_can_be_made_wide() -> None:
    numbers = [0, 1, 255, 256, NARROW_MAX, 7]
    same(list(unpacked(widened(packed(6, range(6), numbers, NARROW), 6), 6)), numbers)
    same((widened(0, 3), widened(0, 0)), (0, 0))


def test_of_very_many_vectors_the_nearest_are_found_coarsely_and_their_dot_products_are_exact() -> None:
    source = random.Random(6)
    vectors = [a_vector(source, 64, 0.12) for _ in range(COARSE_MIN)]
    for asked in (vectors[7], a_vector(source, 64, 0.1)):
        found = Vectors(vectors, 64)
        dots_of = found.dots(asked, 0.0)
        lanes = unpacked(dots_of.lanes, COARSE_MIN)
        most = max(dot(vector, vector) for vector in vectors) ** 0.5 * dot(asked, asked) ** 0.5
        for number, vector in enumerate(vectors):
            exact = dot(asked, vector)
            assert abs((lanes[number] - dots_of.zero) * dots_of.unit - exact) < 0.08 * most, number
            assert abs(found.dot(number, asked, dots_of, lanes) - exact) < 0.01 * most, number


def test_the_best_are_the_largest_and_the_first_of_equal_ones() -> None:
    source = random.Random(2)
    for count in (1, 5, SORTED_MAX, SORTED_MAX + 1, 5_000):
        for most in (3, 300, 2**16, WIDE_MAX):
            numbers = [source.randint(0, most) for _ in range(count)]
            for k in (1, 6, 13):
                wanted = sorted(range(count), key=lambda place: (-numbers[place], place))[:k]
                same(best(packed(count, range(count), numbers), count, k), wanted)
    same((best(0, 0, 3), best(0, 2, 3), best(0, 1_000, 2)), ([], [0, 1], [0, 1]))


def test_dot_products_of_all_at_once_are_those_of_each_within_a_hundredth_of_the_longest() -> None:
    source = random.Random(4)
    for count in (1, 2, 7, 300):
        vectors = [a_vector(source, 64, 0.12) for _ in range(count)]
        for asked in (*vectors[:3], a_vector(source, 64, 1e-3), a_vector(source, 64, 10.0)):
            most = max(dot(vector, vector) for vector in vectors) ** 0.5 * dot(asked, asked) ** 0.5
            for got, vector in zip(dots(vectors, asked), vectors, strict=True):
                assert abs(got - dot(asked, vector)) < 0.01 * most, (count, got)


def test_numbers_at_their_limits_do_not_run_into_the_next_lane() -> None:
    ones, vectors = (1.0,) * 64, [(1.0,) * 64, (-1.0,) * 64, (1.0,) * 64]
    same([round(value) for value in dots(vectors, ones)], [64, -64, 64])
    same([round(value) for value in dots(vectors, tuple(-number for number in ones))], [-64, 64, -64])


def test_a_unit_may_be_asked_to_be_coarse() -> None:
    vectors = [(0.5, -0.25) * 32, (-0.5, 0.25) * 32]
    same([round(value, 1) for value in dots(vectors, (1e-6, 0.0) * 32, unit_min=0.01)], [0.0, 0.0])
    same([round(value) for value in dots(vectors, (1.0, 0.0) * 32, unit_min=0.001)], [16, -16])


def test_what_is_empty_is_near_nothing() -> None:
    for vectors, asked in (([], (1.0, 2.0)), ([(1.0, 0.0)], ()), ([()], (0.0, 0.0))):
        same(Vectors(vectors, 2).dots(asked, 0.0).lanes, 0)
    same([round(value, 3) for value in dots([(), ()], (1.0,) * 64)], [0.0, 0.0])
