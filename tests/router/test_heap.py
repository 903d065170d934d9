"""The heap of lanes and due times: whatever comes and goes, its head is the lowest that is left, it stays small, and none that goes pays for many."""

import random

from router.work.heap import GONE_KEPT_MAX, SIFTED_AT_ONCE, Heap
from tests.kit import same


def kept(heap):
    """How many places it holds, also of what has moved on."""
    return len(heap._heap) + len(heap._old)


def test_the_head_is_the_lowest_that_is_left_whatever_comes_goes_and_comes_back():
    for seed in range(3):
        rnd, heap, there, taken, sifted = random.Random(seed), Heap(), {}, set(), 0
        for i in range(6_000):
            key, grows = (f"j{rnd.randrange(600)}", 0), i // 1_000 % 2 == 0
            if rnd.random() < 0.02 and there.keys() - taken:
                taken.add(heap.take()[1:])
            elif key not in there and rnd.random() < (1.0 if grows else 0.1):
                there[key] = float(rnd.randrange(50))
                heap.add((there[key], *key))
            elif key in there and rnd.random() < (0.3 if grows else 1.0):
                before = kept(heap)
                heap.drop(*key)
                del there[key]
                taken.discard(key)
                assert before - kept(heap) <= SIFTED_AT_ONCE, "one that goes pays for many"
            sifted += bool(heap._old)
            same(heap.head(), min(((at, *key) for key, at in there.items() if key not in taken), default=None))
        assert sifted > 100, sifted


def test_what_has_moved_on_is_never_much_more_than_what_has_not():
    heap = Heap()
    for i in range(2_000):
        heap.add((float(i), f"j{i}", 0))
    for i in range(1_999, 0, -1):
        heap.drop(f"j{i}", 0)
        assert kept(heap) <= max(2_000 - (2_000 - i) // 2, 3 * i) + GONE_KEPT_MAX, (i, kept(heap))
    assert kept(heap) <= 2 + GONE_KEPT_MAX
    same(heap.head(), (0.0, "j0", 0))


def test_what_goes_and_comes_back_to_the_same_place_is_there_once():
    heap, paused = Heap(), ("paused", 0)
    heap.add((0.0, "head", 0))
    for _ in range(1_000):
        heap.add((1.0, *paused))
        heap.drop(*paused)
    heap.add((1.0, *paused))
    assert kept(heap) <= 2 * len(heap.places) + GONE_KEPT_MAX + SIFTED_AT_ONCE
    heap.drop("head", 0)
    same((heap.take(), heap.head()), ((1.0, *paused), None))
