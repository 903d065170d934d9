"""Catalogues of any size, made of public routing data: samples of the skills of a set, and a set's skills among those of other sets.

Everything is drawn by a seed, so that a run meets the same catalogues and the same tasks as the one before. Some distractors truly fit a task: other
sets also have alarms, weather and domain checks, and tasks that no skill of their own set fits may have one elsewhere. Of 28 answers among 2,000
skills that count as wrong, about a third were, as we read them, as good as the right one. So figures among distractors are worse than the truth, and
are to be compared with each other only.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SEED = 11
VARIANTS = {"zs": "skills.jsonl", "ex": "skills_ex.jsonl"}         # names and descriptions only, with examples
SETS = ("agentskills", "clinc150", "metatool", "hass", "xsid", "toolbench")
POOL = "pool.jsonl"                                                # skills of no set
SIZES = (7, 20, 70, 200, 700, 2_000, 7_000)
ROOM = 1.2                                                         # sizes nearer to that of the whole set are left out
DRAWS = 5                                                          # samples of a size: one of seven skills says little

Row = dict[str, Any]                                               # a skill, as a line of a catalogue file has it


class Task(NamedTuple):
    """A text and the skills of which any is right; none where no skill of its set fits."""

    text: str
    skills: frozenset[str]


class Step(NamedTuple):
    """So many skills of a set, in a catalogue of so many, drawn so many times."""

    own: int
    skills: int
    draws: int


def rows_of(path: Path) -> list[Row]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def write(path: Path, rows: Iterable[Row]) -> None:
    """The same the other way."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def tasks_of(path: Path) -> list[Task]:
    """The tasks of a set."""
    return [Task(row["q"], frozenset(row["skill"] if isinstance(row["skill"], list) else [row["skill"]] if row["skill"] else []))
            for row in rows_of(path)]


def others_of(data: Path, name: str, variant: str) -> list[Row]:
    """The skills of all sets but one, with examples where these are wanted and there, and those of the pool."""
    found: list[Row] = []
    for other in SETS:
        if other != name:
            file = data / other / VARIANTS[variant]
            found += rows_of(file if file.exists() else data / other / VARIANTS["zs"])
    return [row for row in (*found, *rows_of(data / POOL)) if row["description"]]


def steps(whole: int) -> list[Step]:
    """How a set of so many skills grows: samples of it, all of it, all of it among distractors."""
    return [*(Step(size, size, DRAWS) for size in SIZES if size * ROOM < whole), Step(whole, whole, 1),
            *(Step(whole, size, 1) for size in SIZES if size > whole * ROOM)]


def sampled(own: Sequence[Row], count: int, draw: int) -> list[Row]:
    """So many skills of a set. A larger sample of the same draw has those of a smaller one."""
    return random.Random(f"{SEED} {draw}").sample(own, len(own))[:count]


def mixed(own: Sequence[Row], others: Sequence[Row], count: int) -> list[Row]:
    """A set's skills and distractors, `count` in all; a larger mixture has those of a smaller one.

    A distractor that has the name or the description of an own skill is left out, one that has the name of another distractor gets a number. Where
    there are too few, the first half of the description of one and the second half of another's make a new one."""
    source, names = random.Random(SEED), {row["name"] for row in own}
    descriptions = {_plain(row["description"]) for row in own}
    fitting = [row for row in others if row["name"] not in names and _plain(row["description"]) not in descriptions]
    found = list(own)
    for row in source.sample(fitting, len(fitting)):
        if len(found) >= count:
            break
        found.append(row | {"name": _unused(row["name"], names)})
    while len(found) < count:
        one, other = source.sample(fitting, 2)
        first, last = one["description"].split(), other["description"].split()
        found.append({"name": _unused(f"{one['name']}-{other['name']}", names),
                      "description": " ".join(first[:len(first) // 2] + last[len(last) // 2:])})
    return found


def asked(tasks: Sequence[Task], names: frozenset[str], most: int, draw: int) -> list[Task]:
    """At most so many tasks of the skills in `names`, and no more that none fits. Tasks of skills that are not there are not asked."""
    source = random.Random(f"{SEED} {draw}")
    inside, outside = [task for task in tasks if task.skills & names], [task for task in tasks if not task.skills]
    chosen = source.sample(inside, min(most, len(inside)))
    return chosen + source.sample(outside, min(len(chosen), len(outside)))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _unused(name: str, names: set[str]) -> str:
    """The name, with a number where it is taken; it is taken then."""
    unused, number = name, 1
    while unused in names:
        number += 1
        unused = f"{name} {number}"
    names.add(unused)
    return unused
