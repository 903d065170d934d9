"""The examples in the instructions of the skills that read text are real: the input fits, and what is shown is the tool's answer, shortened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.kit import pretty, same
from tests.library.bundles import LIBRARY, Step, a_file, definition_of, fits, tool_of
from tests.library.test_extract_entities import a_ledger
from tests.library.test_log_triage import a_day
from tests.library.test_redact_pii import a_shared_log
from tests.library.test_summarise_text import BRIDGE

SKILLS = {"log-triage": "triage", "summarise-text": "summarise", "extract-entities": "extract", "redact-pii": "redact"}
EXAMPLE = re.compile(r"```sh\n(?:ref=[^\n]*\n)?curl -s '[^']+' -d '(.*?)'\n```\s+```json\n(.*?)\n```", re.DOTALL)
READING = "reading.py"
# What the artifact of the third example holds.
FILES: dict[str, Callable[[], str]] = {
    "log-triage": lambda: "\n".join(a_day(1, outage_at=datetime(2024, 5, 1, 9, 20))), "summarise-text": lambda: BRIDGE,
    "extract-entities": lambda: a_ledger(6_000, seed=4), "redact-pii": lambda: a_shared_log(3_200)}


def examples(skill: str) -> list[tuple[dict[str, Any], Any]]:
    """(task, shortened answer) of each example in SKILL.md; an artifact's reference stands for a file."""
    text = (LIBRARY / skill / "SKILL.md").read_text(encoding="utf-8")
    reference = json.dumps({"$artifact": "sha256:" + "0" * 64})
    return [(json.loads(task.replace("'\"$ref\"'", reference)), json.loads(shown)) for task, shown in EXAMPLE.findall(text)]


def shortens(shown: Any, answer: Any) -> bool:
    """Whether `shown` is `answer` with members and items left out where it says "..."."""
    if isinstance(shown, dict) and isinstance(answer, dict):
        named = [key for key in shown if key != "..."]
        return all(key in answer and shortens(shown[key], answer[key]) for key in named) and ("..." in shown or set(answer) == set(named))
    if isinstance(shown, list) and isinstance(answer, list):
        rest = list(answer)
        for at, item in enumerate(shown):
            if item == "...":
                rest = rest[len(rest) - (len(shown) - at - 1):]
            elif not rest or not shortens(item, rest.pop(0)):
                return False
        return not rest
    return bool(shown == answer)


def test_every_skill_shows_three_tasks_whose_input_fits() -> None:
    for skill in SKILLS:
        tasks = examples(skill)
        same((skill, len(tasks)), (skill, 3))
        for task, _shown in tasks:
            fits(skill, "input", {key: "x" if isinstance(value, dict) and "$artifact" in value else value for key, value in task["input"].items()})


def test_what_is_shown_below_a_task_is_what_the_tool_answers() -> None:
    compared = 0
    for skill, function in SKILLS.items():
        for task, shown in examples(skill):
            if "$artifact" in json.dumps(task):
                task["input"]["text"] = a_file(FILES[skill]())
            answer = json.loads(json.dumps(getattr(tool_of(skill), function)(task["input"], Step())))
            assert shortens(shown, answer), f"{skill}\n{pretty(shown)}\n{pretty(answer)[:5000]}"
            compared += 1
    same(compared, 12)


def test_every_skill_has_examples_in_many_languages_and_a_description_of_the_public_length() -> None:
    for skill in SKILLS:
        front = (LIBRARY / skill / "SKILL.md").read_text(encoding="utf-8").split("---")[1]
        assert f"\nname: {skill}\n" in front
        described = " ".join(front.partition("description: >-")[2].partition("\nlicense:")[0].split())
        assert 200 < len(described) < 1_024 and "Use when" in described and "Not for" in described, (skill, len(described))
        spoken = definition_of(skill)["examples"]
        assert len(spoken) >= 12 and sum(not example.isascii() for example in spoken) >= 5, skill


def test_the_module_that_reads_text_is_the_same_in_every_folder() -> None:
    same(len({(LIBRARY / skill / READING).read_bytes() for skill in SKILLS}), 1)
