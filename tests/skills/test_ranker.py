"""Ranking in a process of its own: the same answers, whatever becomes of the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from skills import ranker
from skills.match import Document, Index, Query
from skills.ranker import Ranker
from tests.kit import same

ONE = (Document("alarm", "Sets an alarm clock.", examples=("wake me at seven",)), Document("weather", "Says what the weather will be."))
OTHER = (*ONE, Document("radio", "Plays the radio.", examples=("turn the radio on",)))
TEXTS = ("wake me at nine", "will the weather be good?", "", "今天天气怎么样")
QUERIES = tuple(map(Query, TEXTS))


@contextmanager
def a_ranker() -> Iterator[Ranker]:
    """Its process is ended afterwards."""
    found = Ranker()
    try:
        yield found
    finally:
        found.close()


def process_of(found: Ranker) -> int:
    """The process id."""
    assert found._child is not None
    return found._child.pid


def test_the_process_answers_as_an_index_does_for_each_catalogue_that_it_is_told() -> None:
    with a_ranker() as found:
        for version, documents in ((1, ONE), (1, ONE), (2, OTHER), (3, ONE)):
            index = Index.build(documents)
            same(found.rank(version, documents, QUERIES, 3), [index.rank(text, 3) for text in TEXTS])
        same(found.rank(3, ONE, (), 3), [])


def test_a_process_that_was_killed_is_followed_by_another_that_knows_the_catalogue() -> None:
    with a_ranker() as found:
        wanted = found.rank(1, ONE, QUERIES, 2)
        first = process_of(found)
        os.kill(first, signal.SIGKILL)
        same(found.rank(1, ONE, QUERIES, 2), wanted)
        assert process_of(found) != first


def test_where_no_process_can_be_started_the_answer_is_found_without_one() -> None:
    start = ranker._start

    def none(file: object, vectors: bool) -> None:
        raise OSError(11, "resource temporarily unavailable")
    vars(ranker)["_start"] = none
    try:
        with a_ranker() as found:
            same(found.rank(1, ONE, QUERIES, 2), [Index.build(ONE).rank(text, 2) for text in TEXTS])
            kept = found._own
            same((found.rank(1, ONE, QUERIES[:1], 2), found._own is kept), ([Index.build(ONE).rank(TEXTS[0], 2)], True))
    finally:
        vars(ranker)["_start"] = start


def test_a_ranker_that_was_stopped_ends_its_process_and_refuses() -> None:
    with a_ranker() as found:
        found.rank(1, ONE, QUERIES, 2)
        found.stop()
        try:
            found.rank(1, ONE, QUERIES, 2)
        except (OSError, EOFError):
            return
        raise AssertionError("it answered")
