"""What a worker knows of its own leases, and of what the server knows of them."""

import json
from typing import Any

from fleet.book import Book
from tests.kit import same


def a_book() -> Book:
    """Of a worker that has registered and counts from 0."""
    book = Book("w1", "1767225600000-1", dict, 2, 0)
    book.confirm(book.adopt({"seen": 0}, None), 0.0)
    return book


def a_grant(n: int) -> dict[str, Any]:
    """A command as a poll brings it."""
    return {"type": "run", "n": n, "lease": f"l_{n:026d}.0.1", "job": f"j_{n:026d}", "step": "pay", "attempt": 1, "skill": "pay", "bundle": "b" * 64,
            "kind": "python", "spec": {"entry": "tool.py:pay"}, "entry": "tool.py:pay", "input": {}, "timeout_s": 60, "effects": "once"}


def test_a_reply_to_a_heartbeat_that_was_sent_before_a_grant_came_does_not_confirm_it_whatever_the_server_counts_by_then():
    book = a_book()
    _, sent = book.heartbeat()
    new, _, bad = book.take([a_grant(1)])
    same((len(new), bad), (1, []))
    book.confirm(book.adopt({"seen": 1}, sent), 0.0)                # a poll with seen=1 was faster than this heartbeat
    same(book.known, 0)
    body, sent = book.heartbeat()
    same((json.loads(body)["held"], sent), ([new[0].lease], 1))
    same(book.adopt({"seen": 1}, sent), 1)
    same(book.known, 0)                                        # the reply may cancel it: that comes first
    book.confirm(1, 0.0)
    same(book.known, 1)


def test_a_grant_is_fresh_for_as_long_as_a_lease_from_the_heartbeat_whose_reply_was_acted_on():
    book = a_book()
    (attempt,), _, _ = book.take([a_grant(1)])
    _, sent = book.heartbeat()
    seen = book.adopt({"seen": 1, "lease_s": 30.0}, sent)
    same(book.is_fresh(attempt, 100.0), False)                 # the reply is here; what it cancels is not cancelled yet
    book.confirm(seen, 99.0)
    same((book.is_fresh(attempt, 100.0), book.is_fresh(attempt, 128.9), book.is_fresh(attempt, 129.0)), (True, True, False))


def test_a_server_that_is_behind_confirms_no_more_than_it_counts():
    book = a_book()
    book.take([a_grant(1), a_grant(2)])
    _, sent = book.heartbeat()
    same(book.adopt({"seen": 1}, sent), 1)
