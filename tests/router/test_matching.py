"""Rankings found off the loop: asked once, remembered by their catalogue, and what fails is told."""

from queue import SimpleQueue
from types import SimpleNamespace

from router.work.matching import Matching
from skills.catalogue import RANKINGS_MAX, Catalogue
from skills.match import Query, Ranking
from state.log import Log
from tests.kit import same
from tests.state.builders import PATIENCE_S, StillClock


class Place:
    """Matching over a ranker that does what the test says. `turn` runs what was posted, once it is there."""

    def __init__(self, rank):
        self.posted, self.woken, self.lines, self.asked = SimpleQueue(), [], [], []

        def ranked(version, documents, queries, most):
            texts = tuple([query.text for query in queries])
            self.asked.append((version, texts))
            return rank(texts)
        self.matching = Matching(self.posted.put, self.woken.append, Log(StillClock(), write=self.lines.append))
        self.matching._ranker = SimpleNamespace(rank=ranked, stop=lambda: None, close=lambda: None)

    def turn(self):
        """One message."""
        self.posted.get(timeout=PATIENCE_S)()


def nothing(texts):
    """A ranking without candidates for each text."""
    return [Ranking((), (text,)) for text in texts]


def test_texts_are_asked_once_and_known_to_their_catalogue_afterwards():
    place, catalogue = Place(nothing), Catalogue(3, {}, ())
    key = place.matching.ask(catalogue, map(Query, ["a", "b", "a"]), 5)
    same((place.matching.ask(catalogue, map(Query, ["a", "b"]), 5), place.matching.waiting()), (key, [key]))
    place.turn()
    same((place.asked, place.woken, place.matching.waiting()), ([(3, ("a", "b"))], [key], []))
    same(place.matching.ask(catalogue, map(Query, ["b", "a"]), 5), None)
    same(catalogue.rank(Query("b"), 5), Ranking((), ("b",)))
    other = place.matching.ask(catalogue, map(Query, ["a", "c"]), 5)
    place.turn()
    same((place.asked[1:], place.woken[1:]), ([(3, ("c",))], [other]))
    assert place.matching.ask(Catalogue(4, {}, ()), [Query("a")], 5) is not None
    assert place.matching.ask(catalogue, [Query("a")], 6) is not None and place.matching.ask(catalogue, [Query("a", frozenset("x"))], 5) is not None
    place.matching.close()


def test_a_ranking_that_fails_is_logged_and_may_be_asked_for_again():
    def fails(texts):
        raise ValueError("broken")
    place, catalogue = Place(fails), Catalogue(1, {}, ())
    place.matching.ask(catalogue, map(Query, ["a"]), 5)
    place.turn()
    same(place.woken, [])
    assert "ranking_failed" in place.lines[0] and "ValueError: broken" in place.lines[0]
    place.matching.close()


def test_who_waits_for_a_ranking_that_failed_is_woken_by_the_next_that_does_not():
    fails = [True]

    def rank(texts):
        if fails.pop():
            raise ValueError("broken")
        return nothing(texts)
    place, catalogue = Place(rank), Catalogue(1, {}, ())
    fails.insert(0, False)
    key = place.matching.ask(catalogue, [Query("a")], 5)
    place.turn()
    same((place.woken, place.matching.waiting()), ([], [key]))
    same(place.matching.ask(catalogue, [Query("a")], 5), key)
    place.turn()
    same((place.woken, place.matching.waiting()), ([key], []))
    place.matching.close()


def test_a_catalogue_remembers_so_many_rankings_and_long_texts_by_their_digest():
    catalogue, long = Catalogue(1, {}, ()), Query("very " * 1_000)
    catalogue.remember(long, 5, Ranking((), ("very",)))
    assert catalogue.knows(long, 5) and not catalogue.knows(Query(long.text + "!"), 5) and all(len(text) < 300 for text, *_ in catalogue._rankings)
    for number in range(RANKINGS_MAX):
        catalogue.remember(Query(str(number)), 5, Ranking((), ()))
    same((catalogue.knows(long, 5), catalogue.knows(Query("0"), 5), len(catalogue._rankings)), (False, True, RANKINGS_MAX))
