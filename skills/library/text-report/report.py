#!/usr/bin/env python3
"""text-report, second step: facts in (JSON on standard input), a page out (Markdown on standard output).

A program of its own, which any language could have been: it reads one JSON value, writes text, says nothing else, and ends with 65
(bad data: trying again will not help) when the value is not what it needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

BAD_DATA = 65                       # EX_DATAERR of sysexits: the worker does not try again
LANGUAGES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "pl": "Polish",
             "sv": "Swedish", "ru": "Russian", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "und": "not recognised"}
EASE = ((80, "very easy"), (65, "easy"), (50, "fairly difficult"), (30, "difficult"), (float("-inf"), "very difficult"))
LIX = ((30, "very easy"), (40, "easy"), (50, "medium"), (60, "difficult"), (float("inf"), "very difficult"))
LISTED = 15


def report(facts: dict[str, Any]) -> str:
    """The page. Raises KeyError or TypeError when a fact is missing."""
    return "\n".join([*_head(facts), *_reading(facts), *_words(facts), *_sections(facts), *_findings(facts)]).rstrip() + "\n"


def _head(facts: dict[str, Any]) -> Iterator[str]:
    """Title, a sentence, the numbers."""
    counts = facts["counts"]
    yield f"# {_one_line(facts['title']) or 'Report on a text'}"
    yield ""
    yield (f"{counts['words']:,} words in {counts['sentences']:,} sentences and {counts['paragraphs']:,} paragraphs; language: "
           f"{LANGUAGES.get(facts['language'], facts['language'])} ({facts['language_found_by']}); {_minutes(facts['reading_minutes'])} to read.")
    for warning in facts["warnings"]:
        yield f"\n> {warning}"
    yield ""
    yield "| measure | value |"
    yield "|---|---:|"
    yield f"| characters | {counts['characters']:,} |"
    yield f"| words | {counts['words']:,} |"
    yield f"| different words | {'' if facts['different_words_exact'] else 'more than '}{facts['different_words']:,} |"
    yield f"| words a sentence | {facts['words_per_sentence']} |"
    yield f"| sentences of more than 30 words | {counts['long_sentences']:,} |"
    yield f"| questions | {counts['questions']:,} |"
    yield ""


def _reading(facts: dict[str, Any]) -> Iterator[str]:
    """How hard the text is."""
    if facts["readability"]:
        yield "## Readability"
        yield ""
    for score in facts["readability"]:
        if score["higher_is"] == "easier":
            word = next(word for least, word in EASE if score["score"] >= least)
        else:
            word = next(word for most, word in LIX if score["score"] < most)
        yield f"- {score['name']}: {score['score']} ({word}; higher is {score['higher_is']})"
    for sentence in facts["longest_sentences"][:1]:
        yield f"- Longest sentence: {sentence['words']} words, in the paragraph at line {sentence['line']}: “{_one_line(sentence['text'])}”"
    yield ""


def _words(facts: dict[str, Any]) -> Iterator[str]:
    """What the text is about."""
    if facts["frequent_words"]:
        yield "## Most frequent words"
        yield ""
        yield ", ".join(f"{entry['word']} ({entry['count']})" for entry in facts["frequent_words"])
        yield ""


def _sections(facts: dict[str, Any]) -> Iterator[str]:
    """The outline."""
    if facts["sections"]:
        yield "## Sections"
        yield ""
        top = min(section["level"] for section in facts["sections"])
        for section in facts["sections"]:
            words, indent = section["words"], "  " * (section["level"] - top)
            yield f"{indent}- {_one_line(section['title'])} ({words:,} word{'' if words == 1 else 's'}, line {section['line']})"
        yield ""


def _findings(facts: dict[str, Any]) -> Iterator[str]:
    """Questions, dates, repetitions."""
    questions = [f"{_one_line(entry['text'])} (line {entry['line']})" for entry in facts["questions"]]
    dates = [entry["text"] + (f" ({entry['count']} times)" if entry["count"] > 1 else "") for entry in facts["dates"]]
    repeated = [f"“{_one_line(entry['text'])}” (lines {', '.join(map(str, entry['lines']))})" for entry in facts["repeated"]]
    lists = (("Questions", questions, facts["counts"]["questions"]), ("Dates", dates, len(dates)),
             ("Sentences that stand more than once", repeated, len(repeated)))
    for title, entries, count in lists:
        if entries:
            yield f"## {title}"
            yield ""
            yield from (f"- {entry}" for entry in entries[:LISTED])
            if count > LISTED:
                yield f"- and {count - LISTED:,} more"
            yield ""


def _minutes(minutes: float) -> str:
    """A time to read in words."""
    if minutes < 1:
        return "less than a minute"
    whole = round(minutes)
    return f"about {whole} minute{'' if whole == 1 else 's'}" if whole < 120 else f"about {minutes / 60:.1f} hours"


def _one_line(text: str) -> str:
    """Text that cannot break out of a line of Markdown."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Read, write, and say in one line what was wrong."""
    try:
        page = report(json.load(sys.stdin))
    except (ValueError, KeyError, TypeError) as error:
        print(f"the input is not the output of the facts step: {type(error).__name__} {error}", file=sys.stderr)
        return BAD_DATA
    sys.stdout.reconfigure(encoding="utf-8")    # type: ignore[union-attr]
    sys.stdout.write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
