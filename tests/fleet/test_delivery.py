"""When results leave a worker: a lone one at once, those that came while a POST was under way together."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, cast

from fleet import delivery as module
from fleet.attempt import Attempt
from fleet.book import Book
from fleet.client import Client, Reply
from fleet.delivery import Delivery, Message
from fleet.values import encoded
from state.clock import Clock
from state.log import Log
from tests.fleet.peer import PATIENCE_S, command
from tests.kit import same

GATHER_S = 10 * PATIENCE_S            # a result that waits for others is not there before the test has given up


class Wire:
    """A client whose posts the test sees, and answers when it likes."""

    def __init__(self) -> None:
        self.posts: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[None] = SimpleQueue()

    def call(self, method: str, target: str, body: bytes, timeout_s: float) -> Reply:
        """POST /result."""
        said = json.loads(body)
        self.posts.put([item["lease"] for item in said] if isinstance(said, list) else said["lease"])
        self._answers.get(timeout=PATIENCE_S)
        return Reply(200, {}, encoded([{"accepted": True}] * len(said) if isinstance(said, list) else {"accepted": True}))

    def next(self) -> Any:
        """The lease of the next post, or the leases if it is an array."""
        return self.posts.get(timeout=PATIENCE_S)

    def answer(self) -> None:
        """Accept what was posted."""
        self._answers.put(None)

    def abort(self) -> None:
        """Nothing waits here."""
        self.answer()


@contextmanager
def a_delivery() -> Iterator[tuple[Wire, Callable[..., None]]]:
    """(wire, a call that puts results of these numbers) of a worker that holds short steps ahead."""
    wire = Wire()
    book = Book("w1", "1-a", dict, 1, 8)
    book.prefetch = 8
    assert not book.more_to_come()

    lines: list[str] = []

    def post(call: Callable[..., None], *arguments: Any) -> None:
        call(*arguments)
    made = Delivery(cast(Client, wire), book, post, Log(Clock(), write=lines.append), lambda message, code: None, lambda detail: None)

    def put(*numbers: int) -> None:
        for n in numbers:
            attempt = Attempt(command(n, "b" * 64))
            made.put(Message(attempt, attempt.message(book.sender, "done", b"1"), True, False))
    gather_s, module.GATHER_S = module.GATHER_S, GATHER_S
    made.start()
    try:
        yield wire, put
    finally:
        made.end()
        module.GATHER_S = gather_s


def test_a_lone_result_leaves_at_once_however_short_ago_the_last_one_left() -> None:
    with a_delivery() as (wire, put):
        for n in (1, 2, 3):
            put(n)
            same(wire.next(), f"l_{n}")
            wire.answer()


def test_results_that_come_while_a_post_is_under_way_go_together_with_the_next_and_a_lone_one_after_them_alone() -> None:
    with a_delivery() as (wire, put):
        put(1)
        same(wire.next(), "l_1")
        put(2, 3, 4)
        assert wire.posts.empty()
        wire.answer()
        same(wire.next(), ["l_2", "l_3", "l_4"])
        put(5)
        wire.answer()
        same(wire.next(), "l_5")
        wire.answer()
