"""The command `match`: which skill fits each of many tasks, as JSON lines. To measure the matcher, on a library or on a catalogue in one file.

In, a line for each task: {"q": "...", "k": 5}. Out, a line for each: {"ranked": [["name", fits], ...], "skill": "name" or null, "rule": "match"},
best first; `skill` is what the router would start, null where nothing fits or the client would be asked; `rule` is match, choose or none. A line that
cannot be read is answered with {"error": {"code", "detail"}}.
A catalogue file has a line for each skill: {"name", "description", "keywords"?: [...], "examples"?: [...], "body"?: "..."}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from router.api.cli import Options, UsageError
from router.config import Matching, load
from router.policy.decision import Decision
from router.policy.routing import Limits, choose, decide, query_of
from skills.audience import Scope
from skills.cache import Library
from skills.match import CANDIDATES_MAX, CONFIDENCE_MIN, Document, Index, Ranking
from state.clock import Clock
from state.log import Log

Judge = Callable[[str, int], tuple[Ranking, Decision]]        # of a text and how many candidates are wanted


def match(options: Options) -> int:
    """Answer the lines of stdin; 1 if any could not be read."""
    settings, matching = options.settings, load(options.settings.config).matching
    judge_of = judge_of_file if settings.skills.is_file() else judge_of_library
    return answer(sys.stdin, sys.stdout, judge_of(settings.skills, matching, settings.vectors))


def judge_of_library(folder: Path, matching: Matching, vectors: bool) -> Judge:
    """As a submit decides over a library."""
    catalogue = Library(folder, Clock(), Log(Clock(), "error"), vectors=vectors).whole()
    return lambda text, most: (catalogue.rank(query_of(catalogue, text, Scope()), most), choose(catalogue, text, matching))


def judge_of_file(path: Path, matching: Matching, vectors: bool) -> Judge:
    """The same over a catalogue in one file. UsageError with file and line for what is no skill."""
    index, limits = Index.build(documents(path), vectors), Limits(matching.min_confidence or CONFIDENCE_MIN, matching.choose == "first")

    def judge(text: str, most: int) -> tuple[Ranking, Decision]:
        ranking = index.rank(text, max(most, matching.candidates))
        return ranking.first(most), decide(ranking.first(matching.candidates), limits)
    return judge


def documents(path: Path) -> Iterable[Document]:
    """What each line of a catalogue file says of a skill."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    names: set[str] = set()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
                name = text_of(row, "name")
                if not name or name in names:
                    raise ValueError(f"name {name!r} stands there twice" if name else "name must not be empty")
                names.add(name)
                yield Document(name, text_of(row, "description"), texts_of(row, "keywords"), texts_of(row, "examples"),
                               text_of(row, "body", ""))
            except (ValueError, TypeError, KeyError) as error:
                raise UsageError(f"{path}:{number}: no skill: {error}") from error


def text_of(row: Any, name: str, default: str | None = None) -> str:
    """A member that is a text. ValueError if it is none."""
    value = row.get(name, default) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text")
    return value


def texts_of(row: dict[str, Any], name: str) -> tuple[str, ...]:
    """A member that is a list of texts, empty if it is not there. ValueError if it is something else."""
    value = row.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{name} must be a list of texts")
    return tuple(value)


def answer(source: Iterable[str], sink: IO[str], judge: Judge) -> int:
    """A line out for each line in; 1 if any could not be read."""
    status = 0
    for line in source:
        try:
            asked = json.loads(line)
            text, most = text_of(asked, "q"), asked.get("k", CANDIDATES_MAX)
            if type(most) is not int or most < 1:
                raise ValueError("k must be a whole number above 0")
            reply = document(*judge(text, most))
        except ValueError as error:
            reply, status = {"error": {"code": "invalid_query", "detail": str(error)}}, 1
        sink.write(json.dumps(reply, ensure_ascii=False) + "\n")
        sink.flush()
    return status


def document(ranking: Ranking, decision: Decision) -> dict[str, Any]:
    """The reply. How well a skill fits goes down the list, as ranks do."""
    ranked, least = [], 1.0
    for candidate in ranking.candidates:
        least = min(least, candidate.fits)
        ranked.append([candidate.name, round(least, 6)])
    return {"ranked": ranked, "skill": decision.target or None if decision.dispatch else None, "rule": decision.rule}
