"""Senses: texts of like meaning lie near each other, and what is hardly understood is hardly sure."""

from __future__ import annotations

import math

from skills.vectors import FILE, HEAD, Table, dot, table
from skills.words import cut
from tests.kit import a_folder, refuses, same


def sense(text: str) -> tuple[float, ...]:
    """Of a text."""
    return table().sense(cut(text).words)


def length(text: str) -> float:
    """How sure the sense of a text is."""
    return math.sqrt(dot(sense(text), sense(text)))


def test_texts_of_like_meaning_that_share_no_word_are_nearer_than_others() -> None:
    for text, near, far in (
        ("convert dollars to euros", "currency exchange rates", "play a song"), ("my car broke down", "vehicle repair", "recipes for dinner"),
        ("book a hotel room", "reserve accommodation", "count words"), ("is it going to rain", "weather forecast", "spreadsheet columns"),
    ):
        assert dot(sense(text), sense(near)) > dot(sense(text), sense(far)) + 0.1, (text, near, far)


def test_what_is_unknown_or_long_is_less_sure_and_of_nothing_known_there_is_no_sense() -> None:
    assert 0.5 < length("weather forecast") <= 1.0
    assert length("weather xqzzt blorf") < length("weather forecast") / 2
    assert length("weather forecast " * 50) < length("weather forecast") / 2
    same([sense(text) for text in ("", "xqzzt", "今天天气怎么样", "42 17")], [()] * 4)
    same(dot(sense("weather"), ()), 0.0)


def test_the_order_of_words_does_not_matter_and_inflections_meet() -> None:
    one, other = sense("summarise long articles"), sense("article long summarise")
    assert dot(one, other) > 0.99 * dot(one, one)


def test_the_table_is_small_and_nothing_else_is_taken_for_one() -> None:
    assert FILE.stat().st_size < 4_000_000 and FILE.read_bytes().startswith(HEAD)
    other = a_folder() / "other.bin"
    other.write_bytes(b"something else\n")
    refuses(ValueError, lambda: Table(other), "other.bin", "no table")
