"""Rankings for tasks in plain words, found off the loop: a thread asks the ranking process, the catalogue remembers, whoever waits is woken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from skills.catalogue import Catalogue
from skills.match import Query, Ranking
from skills.ranker import Ranker
from state.log import Log

CLOSE_S_MAX = 1.0
FAILED_MAX = 1_000             # questions that failed and are remembered, for those who still wait


class Question(NamedTuple):
    """What is to be ranked over a catalogue; `key` is woken then."""

    key: Hashable
    catalogue: Catalogue
    queries: tuple[Query, ...]
    most: int


class Matching:
    """One question after the other. `post` goes on on the loop, `wake` lets go on what is parked on a key."""

    def __init__(self, post: Callable[[Callable[[], object]], None], wake: Callable[[Hashable], None], log: Log, file: Path | None = None,
                 vectors: bool = True) -> None:
        """`file` keeps the index of a large catalogue."""
        self._post, self._wake, self._log = post, wake, log
        self._ranker = Ranker(file, vectors)
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._numbers = count()
        self._waiting: dict[tuple[int, int, tuple[Query, ...]], Hashable] = {}
        self._failed_keys: set[Hashable] = set()       # of `_waiting`: to be asked again when somebody asks the same

    def ask(self, catalogue: Catalogue, queries: Iterable[Query], most: int) -> Hashable | None:
        """None if the catalogue knows the rankings of all queries; else a key that is woken when it does."""
        missing = tuple([query for query in dict.fromkeys(queries) if not catalogue.knows(query, most)])
        if not missing:
            return None
        same = (catalogue.version, most, missing)
        key = self._waiting.get(same)
        if key is None or key in self._failed_keys:
            key = self._waiting[same] = key or ("ranking", next(self._numbers))
            self._failed_keys.discard(key)
            self._questions.put(Question(key, catalogue, missing, most))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="matching", daemon=True)
                self._thread.start()
        return key

    def waiting(self) -> list[Hashable]:
        """Keys that are not woken yet."""
        return list(self._waiting.values())

    def close(self) -> None:
        """End the thread and the process."""
        if self._thread is not None:
            self._questions.put(None)
            self._ranker.stop()
            self._thread.join(CLOSE_S_MAX)

    def _serve(self) -> None:
        while (question := self._questions.get()) is not None:
            catalogue = question.catalogue
            try:
                _ = catalogue.sha256                   # a decision names it: not to be worked out on the loop
                rankings = self._ranker.rank(catalogue.version, catalogue.documents, question.queries, question.most)
            except Exception as error:
                self._post(partial(self._failed, question, f"{type(error).__name__}: {error}"))
            else:
                self._post(partial(self._answered, question, rankings))
                del rankings
            del question, catalogue                    # an idle thread keeps nothing alive
        self._ranker.close()

    def _failed(self, question: Question, why: str) -> None:
        """Nobody is woken, unless somebody asks the same and it goes well then: their time runs out, and they are told to come again."""
        self._log.error("ranking_failed", catalogue=question.catalogue.version, why=why)
        self._failed_keys.add(question.key)
        if len(self._failed_keys) > FAILED_MAX:
            self._waiting = {same: key for same, key in self._waiting.items() if key not in self._failed_keys}
            self._failed_keys.clear()

    def _answered(self, question: Question, rankings: list[Ranking]) -> None:
        for query, ranking in zip(question.queries, rankings, strict=True):
            question.catalogue.remember(query, question.most, ranking)
        del self._waiting[question.catalogue.version, question.most, question.queries]
        self._wake(question.key)
