"""The command `match`: many tasks in, candidates and decisions out, as JSON lines; over a library, or over a catalogue in one file."""

import json
import subprocess
import sys

from tests.kit import ROOT, a_folder, same, written

CATALOGUE = [
    {"name": "alarm", "description": "Sets an alarm clock.", "examples": ["wake me at seven", "set an alarm for noon"]},
    {"name": "weather", "description": "Says what the weather will be.", "keywords": ["forecast", "rain"]},
]


def match(lines, *arguments):
    """(status, the replies, stderr) of a run over some lines of stdin."""
    process = subprocess.run([sys.executable, str(ROOT / "server.py"), "match", *arguments], input="".join(f"{line}\n" for line in lines),
                             capture_output=True, text=True, cwd=a_folder(), timeout=60)
    return process.returncode, [json.loads(line) for line in process.stdout.splitlines()], process.stderr


def catalogue(*rows):
    """The path of a file with these rows."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return str(written(a_folder(), {"skills.jsonl": text}) / "skills.jsonl")


def test_each_task_gets_candidates_with_falling_confidence_and_the_decision_of_the_router():
    asked = [json.dumps({"q": text, "k": 2}) for text in ("set an alarm for seven", "will it rain? what does the forecast say", "sing a song")]
    status, replies, _ = match(asked, "--skills", catalogue(*CATALOGUE))
    same((status, [reply["skill"] for reply in replies]), (0, ["alarm", "weather", None]))
    same(replies[0]["ranked"][0][0], "alarm")
    for reply in replies:
        confidences = [confidence for _, confidence in reply["ranked"]]
        same(confidences, sorted(confidences, reverse=True))


def test_a_library_is_asked_as_a_submit_asks_it():
    text = "which columns of this csv have missing values?"
    _, (reply,), _ = match([json.dumps({"q": text})])
    route = subprocess.run([sys.executable, str(ROOT / "server.py"), "route", "--json", text], capture_output=True, text=True, timeout=60)
    decision = json.loads(route.stdout)
    same((reply["skill"], [name for name, _ in reply["ranked"]]), (decision["target"], [c["skill"] for c in decision["facts"]["candidates"]]))


def test_a_line_that_is_no_question_is_answered_as_such_and_the_others_as_ever():
    status, replies, _ = match(["nonsense", '{"q": 7}', '{"q": "x", "k": 0}', '{"q": "set an alarm"}'], "--skills", catalogue(*CATALOGUE))
    same((status, [reply.get("error", {}).get("code") for reply in replies]), (1, ["invalid_query"] * 3 + [None]))


def test_a_line_of_a_catalogue_that_is_no_skill_is_told_with_its_place():
    for row, why in (("{", "Expecting"), ({"name": "a"}, "description must be text"), ({"name": "a", "description": "b", "examples": "c"},
                                                                                      "examples must be a list of texts")):
        path = catalogue(CATALOGUE[0], row)
        status, replies, said = match(['{"q": "x"}'], "--skills", path)
        assert (status, replies) == (2, []) and said.startswith(f"yardmaster: {path}:2: no skill: ") and why in said, said
