"""text-report, first step: the facts of a text, in one pass with bounded memory.

`facts` counts, measures readability, finds the most frequent words, the sections, the questions and the dates. It judges nothing and writes no
prose: `report.py`, the second step, turns the facts into a page.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from decoding import BadInput, Encoding, encoding_of, opened, size_of
from language import FORMULAS, guessed, says_little, syllables, words_of
from prose import dates, is_question, pieces, sentences

GUESS_CHARACTERS = 50_000           # by which the language is guessed
WORDS_KEPT = 200_000                # different words that are counted; beyond, rare ones are dropped
SECTIONS_MAX = 200
QUESTIONS_MAX = 50
DATES_MAX = 200
LONGEST_SENTENCES = 3
LONG_SENTENCE_WORDS = 30
SENTENCES_COMPARED_MAX = 200_000    # for sentences that stand twice
REPEATED_MAX = 10
REPEATED_LINES_MAX = 10
REPEATED_WORDS_MIN = 6              # a shorter sentence may well stand twice
LONG_WORD_LETTERS = 6               # LIX counts words with more
READING_WORDS_PER_MINUTE = 230
READING_SIGNS_PER_MINUTE = 400      # Chinese and Japanese
CLIP_CHARACTERS = 300
PROGRESS_PIECES = 2_000
FREQUENT_DEFAULT = 20


class Step(Protocol):
    """What the runner hands in beside the input."""

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""


class _Facts:
    """What is counted while the text is read."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.counts: Counter[str] = Counter()
        self.words: Counter[str] = Counter()
        self.words_dropped = False
        self.syllables: dict[str, int] = {}
        self.sections: list[dict[str, Any]] = []
        self.questions: list[dict[str, Any]] = []
        self.dates: Counter[str] = Counter()
        self.longest: list[tuple[int, int, str]] = []
        self.seen: dict[bytes, int] = {}
        self.repeated: dict[str, list[int]] = {}

    def heading(self, line: int, level: int, title: str) -> None:
        """A section begins."""
        self.counts["headings"] += 1
        if len(self.sections) < SECTIONS_MAX:
            self.sections.append({"line": line, "level": level, "title": title[:CLIP_CHARACTERS], "words": 0})

    def paragraph(self, line: int, text: str) -> None:
        """A paragraph, sentence by sentence."""
        self.counts["paragraphs"] += 1
        for found in dates(text):
            if found in self.dates or len(self.dates) < DATES_MAX:
                self.dates[found] += 1
        for sentence in sentences(text):
            self.sentence(line, sentence)

    def sentence(self, line: int, text: str) -> None:
        """A sentence of the paragraph that begins at this line."""
        words = words_of(text, self.language)
        if not words:
            return
        self.counts["sentences"] += 1
        self.counts["words"] += len(words)
        self.counts["long_words"] += sum(len(word) > LONG_WORD_LETTERS for word in words)
        self.counts["long_sentences"] += len(words) > LONG_SENTENCE_WORDS
        for word in words:
            self.word(word.lower())
        if self.sections:
            self.sections[-1]["words"] += len(words)
        if is_question(text):
            self.counts["questions"] += 1
            if len(self.questions) < QUESTIONS_MAX:
                self.questions.append({"line": line, "text": text[:CLIP_CHARACTERS]})
        if len(self.longest) < LONGEST_SENTENCES or len(words) > -self.longest[-1][0]:
            self.longest = sorted([*self.longest, (-len(words), line, text[:CLIP_CHARACTERS])])[:LONGEST_SENTENCES]
        if len(words) >= REPEATED_WORDS_MIN:
            self.compare(line, text)

    def word(self, word: str) -> None:
        """A word in lower case."""
        count = self.syllables.get(word)
        if count is None:
            if len(self.syllables) >= WORDS_KEPT:
                self.syllables.clear()
            count = self.syllables[word] = syllables(word, self.language)
        self.counts["syllables"] += count
        self.words[word] += 1
        if len(self.words) > WORDS_KEPT:
            self.words = Counter(dict(self.words.most_common(WORDS_KEPT // 2)))
            self.words_dropped = True

    def compare(self, line: int, text: str) -> None:
        """Note a sentence that stood before."""
        key = hashlib.blake2b(text.lower().encode("utf-8", "replace"), digest_size=8).digest()
        if key in self.seen:
            self.counts["repeated_sentences"] += 1
            if text[:CLIP_CHARACTERS] in self.repeated or len(self.repeated) < REPEATED_MAX:
                lines = self.repeated.setdefault(text[:CLIP_CHARACTERS], [self.seen[key]])
                lines += [line] if len(lines) < REPEATED_LINES_MAX else []
        elif len(self.seen) < SENTENCES_COMPARED_MAX:
            self.seen[key] = line


def facts(input: dict[str, Any], step: Step | None = None) -> dict[str, Any]:
    """The facts of `input["text"]` (a string or a path). Raises BadInput for what is not text and for a text without words."""
    text: str | Path = input["text"]
    encoding = encoding_of(text, input.get("encoding"))
    with opened(text, encoding) as stream:
        language = input.get("language") or guessed(stream.read(GUESS_CHARACTERS))
    found = _Facts(language)
    size = max(1, size_of(text))
    with opened(text, encoding) as stream:
        for number, piece in enumerate(pieces(stream)):
            found.counts["lines_read"] = piece.line
            found.counts["characters"] += len(piece.text)
            if piece.level > 0:
                found.heading(piece.line, piece.level, piece.text)
            elif piece.level == 0:
                found.paragraph(piece.line, piece.text)
            else:
                found.counts["code_lines"] += 1
            if step is not None and number % PROGRESS_PIECES == 0:
                step.progress(min(1.0, getattr(stream, "buffer", stream).tell() / size), f"line {piece.line}")
    if not found.counts["words"] and not found.counts["headings"]:
        raise BadInput("The text holds no words: it is empty, or all numbers and signs.")
    return _told(found, encoding, input)


def _told(found: _Facts, encoding: Encoding, input: dict[str, Any]) -> dict[str, Any]:
    """The facts as the output of the step."""
    counts, language = found.counts, found.language
    east = language in ("zh", "ja")
    pace = READING_SIGNS_PER_MINUTE if east else READING_WORDS_PER_MINUTE
    telling = [(word, count) for word, count in found.words.most_common() if count > 1 and not says_little(word, language)]
    told: dict[str, Any] = {
        "language": language, "language_found_by": "given" if input.get("language") else "guessed", "title": input.get("title", ""),
        "counts": {name: counts[name] for name in ("characters", "words", "sentences", "paragraphs", "headings", "questions", "long_sentences",
                                                   "repeated_sentences", "code_lines")},
        "different_words": len(found.words), "different_words_exact": not found.words_dropped,
        "words_per_sentence": round(counts["words"] / max(1, counts["sentences"]), 1),
        "reading_minutes": round(counts["words"] / pace, 1), "readability": _readability(counts, language),
        "frequent_words": [{"word": word, "count": count} for word, count in telling[:input.get("frequent", FREQUENT_DEFAULT)]],
        "sections": found.sections, "questions": found.questions,
        "dates": [{"text": date, "count": count} for date, count in found.dates.most_common()],
        "longest_sentences": [{"words": -words, "line": line, "text": text} for words, line, text in found.longest],
        "repeated": [{"text": text, "lines": lines} for text, lines in found.repeated.items()],
        "encoding": encoding.to_json(), "warnings": []}
    if encoding.replaced:
        told["warnings"].append(f"Characters that are not valid {encoding.name} were replaced ({encoding.replaced}).")
    if encoding.found_by == "fallback":
        told["warnings"].append(f"The bytes are not UTF-8; they were read as {encoding.name}.")
    if language == "und":
        told["warnings"].append("The language was not recognised: small words are not left out and no reading ease is given.")
    if east:
        told["warnings"].append("Words are counted as pairs of neighbouring signs.")
    return told


def _readability(counts: Counter[str], language: str) -> list[dict[str, Any]]:
    """Scores with their names; none for languages without spaces."""
    if not counts["words"] or not counts["sentences"] or language in ("zh", "ja"):
        return []
    per_sentence = counts["words"] / counts["sentences"]
    scores = [{"name": "LIX", "score": round(per_sentence + 100 * counts["long_words"] / counts["words"], 1), "higher_is": "harder"}]
    if language in FORMULAS:
        name, formula = FORMULAS[language]
        scores.append({"name": name, "score": round(formula(per_sentence, counts["syllables"] / counts["words"]), 1), "higher_is": "easier"})
    return scores


__all__ = ["BadInput", "facts"]
