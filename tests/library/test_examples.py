"""The examples in the instructions of the starter library are real: each curl line is a task whose input fits, and whose output is as shown."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.kit import same
from tests.library.bundles import LIBRARY, definition_of, fits, tool_of

SKILLS = {"csv-profile": "profile", "csv-sql": "query", "compare-documents": "compare", "text-report": "facts", "fetch-page": ""}
CURL = re.compile(r"```sh\n(?:ref=[^\n]*\n)?curl -s '[^']+' -d '(.*?)'\n```", re.DOTALL)


def examples(skill: str) -> list[tuple[str, str]]:
    """(JSON of the task, what is shown below it) of each example in SKILL.md."""
    text = (LIBRARY / skill / "SKILL.md").read_text(encoding="utf-8")
    parts = CURL.split(text)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def as_task(written: str) -> dict[str, Any]:
    """The task as the shell would send it, an artifact in place of its reference."""
    plain = written.replace("'\"$ref\"'", '{"$artifact": "sha256:' + "0" * 64 + '"}').replace("'\"'", "'")
    task: dict[str, Any] = json.loads(plain)
    return task


def test_every_skill_shows_three_tasks_whose_input_fits() -> None:
    for skill in SKILLS:
        tasks = [as_task(written) for written, _ in examples(skill)]
        same((skill, len(tasks)), (skill, 3))
        for task in tasks:
            fits(skill, "input", task["input"])


def test_what_is_shown_below_a_task_is_what_the_tool_answers() -> None:
    compared = 0
    for skill, function in SKILLS.items():
        for written, shown in examples(skill):
            task, summary = as_task(written), re.search(r'"summary": "((?:[^"\\]|\\.)*)"', shown)
            if function and summary and "$artifact" not in json.dumps(task):
                same(getattr(tool_of(skill), function)(task["input"])["summary"], json.loads(f'"{summary[1]}"'))
                compared += 1
    same(compared, 7)


def test_every_skill_has_examples_in_many_languages_and_a_description_of_the_public_length() -> None:
    for skill in SKILLS:
        front = (LIBRARY / skill / "SKILL.md").read_text(encoding="utf-8").split("---")[1]
        assert f"\nname: {skill}\n" in front
        described = " ".join(front.partition("description: >-")[2].partition("\nlicense:")[0].split())
        assert 200 < len(described) < 1_024 and "Use when" in described and "Not for" in described, (skill, len(described))
        spoken = definition_of(skill)["examples"]
        assert len(spoken) >= 12 and sum(not example.isascii() for example in spoken) >= 5, skill
