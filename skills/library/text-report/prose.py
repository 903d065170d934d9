"""Reading a text piece by piece: paragraphs out of lines, sentences out of paragraphs, headings, dates and questions where they stand.

`pieces` yields headings and paragraphs with their line numbers and never holds more than one paragraph; a paragraph without end is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TextIO

PARAGRAPH_CHARACTERS_MAX = 65_536   # a longer paragraph is read in parts
LINE_CHARACTERS_MAX = 65_536
HEADING_CHARACTERS_MAX = 120
MONTHS = ("January|February|March|April|May|June|July|August|September|October|November|December|Januar|Februar|März|Mai|Juni|Juli|Oktober"
          "|Dezember|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio"
          "|agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|janeiro|fevereiro"
          "|março|maio|junho|julho|setembro|outubro|dezembro|januari|februari|maart|mei|augustus|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Okt|Oct|Nov"
          "|Dez|Dec")
DATES = re.compile(rf"\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}[./]\d{{1,2}}[./](?:\d{{4}}|\d\d)\b"
                   rf"|\b\d{{1,2}}\.?\s(?:de\s)?(?:{MONTHS})\b(?:\.?\s(?:de\s)?\d{{4}})?|\b(?:{MONTHS})\.?\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?\b"
                   r"|\d{4}\s?[年년]\s?\d{1,2}\s?[月월](?:\s?\d{1,2}\s?[日일])?", re.IGNORECASE)
MARKED_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*\Z")
UNDERLINE = re.compile(r"(=|-)\1{2,}\s*\Z")
NUMBERED_HEADING = re.compile(r"(?:(?:Chapter|Section|Kapitel|Abschnitt|Chapitre|Capítulo|Capitolo)\s+\w+|\d+(?:\.\d+){0,3}\.?)\s+[^\W\d_].{0,100}\Z",
                              re.IGNORECASE)
EAST_HEADING = re.compile(r"第[0-9一二三四五六七八九十百]+[章节節回部編]")
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|\Z)|[。！？]+[」』”）]*|\n\s*\n")
SHORTENED = re.compile(r"(?:\b(?:[A-Za-z]|Dr|Mr|Mrs|Ms|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|al|No|Nr|Nos|Fig|Abb|bzw|ca|usw|evtl|ggf|inkl|Str|Tel"
                       r"|z\.\s?B|d\.\s?h|u\.\s?a|Inc|Ltd|Co|Corp|approx|p|pp|Vol|Art|Abs|Mme|Mlle|Sra|Srta|Ud|Uds|pág|Jan|Feb|Mar|Apr|Aug|Sept|Sep"
                       r"|Oct|Okt|Nov|Dez|Dec)|\b\d{1,2})\.\Z")
FENCE = re.compile(r"\s*(?:```|~~~)")


class Piece(NamedTuple):
    """A heading (level 1 to 6), a paragraph (level 0) or a line of code (level -1), with the line where it begins."""

    line: int
    level: int
    text: str


def pieces(stream: TextIO) -> Iterator[Piece]:
    """The headings and paragraphs of a text in order."""
    held: list[str] = []
    held_characters = first = number = 0
    fenced = False
    while line := stream.readline(LINE_CHARACTERS_MAX):
        number += 1
        body = line.replace("\0", "").strip()
        if FENCE.match(line) or fenced:
            fenced ^= bool(FENCE.match(line))
            if held:
                yield Piece(first, 0, "\n".join(held))
                held, held_characters = [], 0
            yield Piece(number, -1, body)
            continue
        underline = UNDERLINE.match(body)
        if underline and len(held) == 1 and len(held[0]) <= HEADING_CHARACTERS_MAX:
            yield Piece(first, 1 if underline[1] == "=" else 2, held[0])
            held, held_characters = [], 0
            continue
        level, title = _heading(body, bool(held))
        if level or not body or held_characters > PARAGRAPH_CHARACTERS_MAX:
            if held:
                yield _settled(first, held)
            held, held_characters = [], 0
        if level:
            yield Piece(number, level, title)
        elif body:
            first = number if not held else first
            held.append(body)
            held_characters += len(body)
    if held:
        yield _settled(first, held)


def sentences(paragraph: str) -> Iterator[str]:
    """The sentences of a paragraph; a shortened word (Dr., z. B., 3.) does not end one, nor does a mark before a small letter."""
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        told = paragraph[start:end.end()]
        follows = paragraph[end.end():end.end() + 2].lstrip()
        if follows[:1].islower() or (end[0].startswith(".") and SHORTENED.search(told)):
            continue
        if told.strip():
            yield " ".join(told.split())
        start = end.end()
    if paragraph[start:].strip():
        yield " ".join(paragraph[start:].split())


def is_question(sentence: str) -> bool:
    """Whether a sentence asks."""
    return sentence.rstrip("\"'”’»)]」』） ").endswith(("?", "？", "؟"))


def dates(text: str) -> list[str]:
    """The dates of a text as written."""
    return [found[0].strip() for found in DATES.finditer(text)]


def _heading(line: str, inside: bool) -> tuple[int, str]:
    """(level, title) of a line that is a heading by itself; level 0 when it is none. `inside`: lines of a paragraph stand above it."""
    if marked := MARKED_HEADING.match(line):
        return len(marked[1]), marked[2]
    if inside or len(line) > HEADING_CHARACTERS_MAX:
        return 0, ""
    return (1, line) if EAST_HEADING.match(line) and len(line) < 40 else (0, "")


def _settled(first: int, held: list[str]) -> Piece:
    """A paragraph, or the heading that a single line between blank lines turns out to be: numbered, or all in capitals."""
    line = held[0]
    if len(held) == 1 and len(line) <= HEADING_CHARACTERS_MAX and not line.endswith((".", "!", "?", ":", ";", ",", "。")):
        if NUMBERED_HEADING.match(line):
            return Piece(first, min(6, 1 + line.split()[0].rstrip(".").count(".")), line)
        if line.isupper() and len(line) > 3 and len(line.split()) <= 12:
            return Piece(first, 1, line)
    return Piece(first, 0, "\n".join(held))
