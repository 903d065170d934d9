"""What a client sees where it is not clear which skill is meant, where none is, and where a skill is not for everybody."""

import json
import subprocess
import sys

from tests.house import GO, a_server, a_shipped_server, a_skill
from tests.kit import ROOT, a_folder, same, written

TOOL = "def go(input):\n    return {}\n"
UNCLEAR = "summarise the table"


def library(**heads):
    """Skills that water flowers, with the head of their skill.toml."""
    found = {}
    for name, head in heads.items():
        found |= a_skill(name, TOOL, GO, head, f"Waters the flowers of the {name} garden.")
    return found


def test_a_client_is_asked_to_choose_and_may_say_beforehand_that_the_first_will_do():
    with a_shipped_server() as server:
        problem = server.refused("POST", "/tasks", {"task": UNCLEAR}, "skill_unclear", 300)
        names = [candidate["skill"] for candidate in problem["candidates"]]
        assert names[:2] == ["csv-profile", "summarise-text"] and all(candidate["why"] for candidate in problem["candidates"]), names
        same([job.get("code") for job in server.ask("POST", "/tasks", [{"task": UNCLEAR}, {"task": UNCLEAR, "choose": "last"}]).value],
             ["skill_unclear", "invalid_task"])
        job = server.post("/tasks", {"task": UNCLEAR, "choose": "first", "input": {"text": "a\n1\n"}})
        same((job["skill"], job["decision"]["rule"], job["decision"]["facts"]["options"]), ("csv-profile", "choose", names))
        same(len(job["decision"]["facts"]["catalogue"]["sha256"]), 64)
        named = server.post("/tasks", {"task": UNCLEAR, "skill": names[1], "input": {"text": "a b c"}})
        same((named["skill"], named["decision"]["rule"]), (names[1], "named"))
        same(server.refused("POST", "/tasks", {"task": UNCLEAR, "choose": 1}, "invalid_task", 422)["pointer"], "/choose")


def test_an_operator_may_let_the_first_be_taken_and_declare_who_takes_what_no_skill_fits():
    settings = {"matching.toml": 'choose = "first"\nfallback = "helper"\n'}
    with a_server(library(rose="", lily="", helper="[match]\nhidden = true\n"), config=settings) as server:
        job = server.post("/tasks", {"task": "water the flowers"})
        same((job["skill"] in ("rose", "lily"), job["decision"]["rule"]), (True, "choose"))
        job = server.post("/tasks?wait=30", {"task": "order a pizza"})
        same((job["state"], job["skill"], job["decision"]["rule"], job["decision"]["dispatch"]), ("done", "helper", "none", True))


def test_a_skill_that_is_switched_off_takes_nothing_and_one_that_is_tried_is_taken_by_name():
    off, tried = '[match]\nstate = "disabled"\n', '[match]\nstate = "candidate"\n'
    with a_server(library(rose=off, lily=tried)) as server:
        problem = server.refused("POST", "/tasks", {"skill": "rose"}, "skill_disabled", 409)
        assert "rose is disabled" in problem["detail"]
        server.refused("POST", "/route", {"skill": "rose", "task": "x"}, "skill_disabled", 409)
        server.refused("POST", "/tasks", {"task": "water the flowers of the lily garden"}, "no_skill_matches", 422)
        same(server.post("/tasks?wait=30", {"skill": "lily"})["state"], "done")
        same([row.get("not_candidate") for row in server.get("/skills")["skills"]], ["its state is candidate", "its state is disabled"])
        same(server.get("/skills/lily")["match"], {"state": "candidate"})


def test_a_skill_for_one_tenant_is_no_candidate_for_others():
    with a_server(library(rose='[match]\ntenants = ["acme"]\nlabels = ["garden"]\n')) as server:
        task = {"task": "water the flowers of the rose garden"}
        same(server.refused("POST", "/tasks", task, "no_skill_matches", 422)["candidates"], [])
        same(server.refused("POST", "/tasks", {**task, "tenant": "acme"}, "no_skill_matches", 422)["candidates"], [])
        job = server.post("/tasks?wait=30", {**task, "tenant": "acme", "labels": ["garden", "x"], "language": "en-GB"})
        same((job["state"], job["decision"]["facts"]["scope"]), ("done", {"tenant": "acme", "language": "en", "labels": ["garden", "x"]}))
        for member, wrong in (("tenant", 5), ("tenant", "x" * 101), ("language", "english"), ("language", 3), ("labels", "x"), ("labels", [1])):
            same(server.refused("POST", "/tasks", {**task, member: wrong}, "invalid_task", 422)["pointer"], f"/{member}")


def test_the_command_route_says_what_a_task_says_beside_its_words():
    folder = a_folder()
    written(folder, library(rose='[match]\ntenants = ["acme"]\nlanguages = ["en"]\nlabels = ["garden"]\n', lily=""))
    task = "water the flowers of the rose garden"

    def routed(*flags):
        done = subprocess.run([sys.executable, str(ROOT / "server.py"), "route", task, "--skills", str(folder), "--json", *flags],
                              capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout).get("target") if done.stdout else done.stderr
    same(routed("--tenant", "acme", "--language", "en-GB", "--label", "garden", "--label", "x"), (0, "rose"))
    for flags in ((), ("--tenant", "acme"), ("--tenant", "acme", "--label", "garden", "--language", "de")):
        assert routed(*flags)[1] != "rose", flags
    status, said = routed("--language", "german")
    assert status == 2 and "language must be a language tag" in said and said.count("\n") == 1, said
