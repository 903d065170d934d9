"""The command `check`, run as a user runs it: trigger phrases, the gate, and the review of a library as a whole."""

import json
import subprocess
import sys

from tests.house import a_skill
from tests.kit import ROOT, a_folder, same, written

STEP = '[[steps]]\nid = "go"\nkind = "run"\nargv = ["true"]\n'
ALARM = "Wakes sleepers at a given hour with a bell. Use when somebody must rise early. Not for cooking times."
BREAD = "Bakes loaves from rye or wheat in a stone oven. Use when somebody wants a crust. Not for cakes."
PHRASES = {"should_trigger": ["wake me with a bell at five", "the moon is round"],
           "should_not_trigger": ["bake a rye loaf in the oven", "wake the bell"]}


def a_library(**files):
    """A library of two skills, with more files by path with `__` for the slash and `_` before the ending."""
    skills = {**a_skill("alarm", "", STEP, 'examples = ["wake me at six", "ring the bell at seven", "set the alarm for noon"]', ALARM),
              **a_skill("bread", "", STEP, 'examples = ["bake a loaf of rye bread", "a crisp crust of wheat", "bread from the oven"]', BREAD)}
    return written(a_folder(), {**skills, **{name.replace("__", "/").replace("_", "."): text for name, text in files.items()}})


def run(*arguments):
    """(status, stdout, stderr) of a command."""
    command = [sys.executable, str(ROOT / "server.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=a_folder(), timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def check(library, *arguments):
    """The same of a check."""
    return run("check", "--skills", str(library), *arguments)


def report(library, *arguments):
    """(status, the JSON) of a check."""
    status, out, _ = check(library, "--json", *arguments)
    return status, json.loads(out)


def with_phrases(phrases=PHRASES, **files):
    """The library with phrases for its alarm."""
    return a_library(alarm__evals__triggers_json=json.dumps(phrases, indent=1), **files)


def test_phrases_are_asked_as_a_submit_asks_and_those_that_fail_are_listed_with_file_and_line():
    library = with_phrases()
    status, found = report(library)
    same((status, found["errors"], found["routing"]), (0, 0, None))
    failed = [(finding["code"], finding["place"]) for finding in found["findings"]]
    same(failed, [("trigger-missed", f"{library}/alarm/evals/triggers.json:4"), ("trigger-unwanted", f"{library}/alarm/evals/triggers.json:8")])
    triggers = found["triggers"]
    same((triggers["phrases"], triggers["passed"], triggers["rate"], triggers["skills"]["alarm"]["rate"]), (4, 2, 0.5, 0.5))
    same([(each["phrase"], each["should_trigger"], each["taken"]) for each in triggers["failed"]],
         [("the moon is round", True, None), ("wake the bell", False, "alarm")])
    for each in triggers["failed"]:
        same(json.loads(run("route", "--json", "--skills", str(library), each["phrase"])[1]).get("target"), each["taken"])
    out = check(library)[1]
    assert "triggers: 2 of 4 pass, 0.500; --routing or --gate lists those that fail\n2 skills, 0 errors, 0 warnings\n" in out, out
    assert "wake the bell" not in out and "wake the bell" in check(library, "--gate", "0")[1]


def test_the_gate_is_about_the_rate_of_all_phrases_and_decides_the_status():
    library = with_phrases(bread__evals__triggers_json=json.dumps([{"query": "bake rye bread in the oven", "should_trigger": True}]))
    same([check(library, "--gate", gate)[0] for gate in ("0", "0.6", "0.61")], [0, 0, 1])       # three of five pass, though one skill has only half
    status, out, _ = check(library, "--gate", "0.9")
    assert status == 1 and "error: 0.600 of 5 trigger phrases pass, --gate wants 0.9" in out, out


def test_a_gate_that_guards_nothing_does_not_pass():
    status, found = report(a_library(), "--gate", "0")
    same((status, [finding["code"] for finding in found["findings"]], found["triggers"]["rate"]), (1, ["gate-without-triggers"], None))
    same(report(with_phrases({}), "--gate", "0")[0], 1)


def test_flags_that_make_no_sense_are_one_line_and_status_2():
    library = a_library()
    for gate in ("1.1", "-0.1", "nan", "x"):
        status, out, said = check(library, f"--gate={gate}")
        same((gate, status, out, said.count("\n")), (gate, 2, "", 1))
    same(run("route", "a task", "--routing"), (2, "", "yardmaster: --routing and --gate are for check\n"))


def test_a_file_of_phrases_that_cannot_be_read_is_an_error_with_its_line_and_the_skill_still_routes():
    library = a_library(alarm__evals__triggers_json='{"should_trigger": [\n"wake me",\nx]}')
    status, out, _ = check(library)
    assert status == 1 and f"{library}/alarm/evals/triggers.json:3: error: not JSON" in out and "2 skills, 1 errors" in out, out
    same(run("route", "--skills", str(library), "wake me at six")[0], 0)


def test_skills_that_nobody_reaches_unnamed_are_said_to_be_so_and_not_counted():
    library = with_phrases(dream__SKILL_md="---\nname: dream\ndescription: Tells dreams. Use when asleep.\n---\nDream.\n",
                           dream__evals__triggers_json='{"should_not_trigger": ["bake bread"], "should_trigger": ["tell me a dream"]}')
    _, found = report(library, "--routing")
    same(found["triggers"]["phrases"], 4)
    infos = [(finding["code"], finding["severity"]) for finding in found["findings"] if "dream" in finding["place"]]
    same(infos, [("triggers-not-asked", "info"), ("routing-not-candidate", "info")])
    assert "dream" not in found["routing"]["skills"]


def test_a_review_of_the_library_adds_remarks_and_figures_and_leaves_the_status_to_errors():
    examples = 'examples = ["bake a wheat loaf",\n "wake me with fresh bread at six",\n "bread with a crust"]'
    library = a_library(loaf__SKILL_md=f"---\nname: loaf\ndescription: {BREAD}\n---\nBakes.\n", loaf__skill_toml=f'version = "1"\n{examples}\n{STEP}')
    status, found = report(library, "--routing")
    codes = {finding["code"]: finding for finding in found["findings"]}
    same((status, codes["routing-near"]["place"], codes["routing-near"]["severity"]), (0, f"{library}/bread/SKILL.md:3", "warning"))
    places = [finding["place"] for finding in found["findings"] if finding["code"] in ("routing-elsewhere", "routing-lost")]
    assert f"{library}/loaf/skill.toml:3" in places, places
    routing = found["routing"]
    same((routing["examples"], routing["asked"], routing["languages"]["English"], sorted(routing["skills"])), (9, 9, 3, ["alarm", "bread", "loaf"]))
    same(sum(skill["taken"] for skill in routing["skills"].values()), routing["taken"])
    assert "routing: 9 of 9 examples asked" in check(library, "--routing")[1]


def test_the_shipped_library_passes_its_review_without_an_error():
    status, found = report(ROOT / "skills" / "library", "--routing")
    severe = {finding["code"] for finding in found["findings"] if finding["severity"] != "info"}
    same((status, severe & {"routing-unreachable", "routing-vague", "routing-near"}), (0, set()))
    assert found["triggers"]["phrases"] >= 9 * 16 and found["routing"]["found"] > 0.7 * found["routing"]["asked"], found["triggers"]["rate"]
