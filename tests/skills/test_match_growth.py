"""Libraries that grow: from seven skills to seventy, and into a language that nobody had asked in before."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from skills.match import Document, Index
from tests.kit import same, shared_data
from tests.skills.test_match import LIBRARY

TURKISH = ("bu tabloda hangi sütunlarda eksik değerler var?", "csv dosyasındaki boş hücreleri say", "tablonun sütunlarını özetle")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def found(skills: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> tuple[float, float]:
    """The share of tasks whose skill is first, and among the first five."""
    index = Index.build([Document(row["name"], row["description"], (), tuple(row["examples"])) for row in skills])
    rankings = [([each.name for each in index.rank(task["q"], 5).candidates], task["skill"]) for task in tasks]
    return sum(names[:1] == [skill] for names, skill in rankings) / len(tasks), sum(skill in names for names, skill in rankings) / len(tasks)


def test_ten_times_as_many_skills_and_the_right_one_is_still_found() -> None:
    folder, source = shared_data("routing", "clinc150"), random.Random(7)
    skills = source.sample(rows_of(folder / "skills_ex.jsonl"), 70)
    few = {row["name"] for row in skills[:7]}
    tasks = [task for task in rows_of(folder / "queries.jsonl") if task["skill"] in few]
    seven, seventy = found(skills[:7], tasks), found(skills, tasks)
    assert seven[0] > 0.88 and seventy[0] > 0.78 and seventy[1] > 0.93, (seven, seventy)


def test_three_examples_in_a_new_language_are_enough_to_be_found_in_it() -> None:
    task = "tablodaki eksik değerleri göster"
    assert all(each.confidence < 0.46 for each in Index.build(LIBRARY).rank(task).candidates)
    profile = LIBRARY[0]
    taught = Document(profile.name, profile.description, profile.keywords, (*profile.examples, *TURKISH))
    best = Index.build((taught, *LIBRARY[1:])).rank(task).candidates[0]
    same((best.name, best.confidence > 0.46), (profile.name, True))
