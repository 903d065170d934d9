"""`server.py learn` as an operator meets it: what feedback teaches a running server and a stopped one, and what is left as it is."""

import json
import os
import subprocess
import sys

from router.api.learn import Unwritten, read_shelf, write
from tests.house import GO, a_server, a_skill
from tests.kit import ROOT, a_folder, refuses, same, written

TOOL = "def go(input):\n    return 1\n"
SKILLS = a_skill("invoice", TOOL, GO, 'examples = ["write an invoice for a customer"]\n', "Writes invoices. Use when a customer is to be billed.") \
    | a_skill("weather", TOOL, GO, 'examples = [\n    "will it rain tomorrow",   # wet\n    "how warm is it"\n]\n',
              "Tells the weather. Use when somebody asks for the weather.") \
    | {"notes/SKILL.md": "---\nname: notes\ndescription: Keeps notes. Use when somebody wants a note kept.\n---\nKeeps them.\n"}
WRONG = "write down whether a customer will get wet tomorrow"


def learn(server, *arguments):
    """(status, stdout, stderr) of the command on the folders of a server."""
    command = [sys.executable, str(ROOT / "server.py"), "learn", "--data", str(server.data), "--skills", str(server.library), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def report(server, *arguments):
    """(status, value) of --json."""
    status, out, error = learn(server, "--json", *arguments)
    assert out, error
    return status, json.loads(out)


def taught(server, text, skill, right=False):
    """A job for the text, and the feedback on it."""
    job = server.post("/tasks", {"task": text, "skill": "invoice"})
    return server.post(f"/jobs/{job['id']}/feedback", {"right": right, **({} if right else {"skill": skill})})


def contents(folder):
    """Every file below a folder."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts}


def test_a_task_that_went_wrong_goes_right_after_feedback_and_learn_while_the_server_runs():
    with a_server(SKILLS) as server:
        job = server.post("/tasks?wait=30", {"task": WRONG, "choose": "first"})
        same(job["skill"], "invoice")
        server.post(f"/jobs/{job['id']}/feedback", {"right": False, "skill": "weather"})
        before = contents(server.library)
        status, out, _ = learn(server)
        assert status == 0 and f'  + "{WRONG}"' in out and out.endswith("--apply writes them\n"), out
        same(contents(server.library), before)
        status, out, _ = learn(server, "--apply")
        assert status == 0 and out.endswith("1 new examples for 1 skills, from 1 feedbacks; written\n"), out
        after = contents(server.library)
        same([path.parent.name for path in after if after[path] != before.get(path)], ["weather"])
        same((server.library / "weather" / "skill.toml").read_text(),
             f'version = "1.0.0"\nexamples = [\n    "will it rain tomorrow",   # wet\n    "how warm is it",\n    "{WRONG}"\n]\n\n{GO}')
        same(server.post("/tasks?wait=30", {"task": WRONG})["skill"], "weather")
        same(learn(server, "--apply"), (0, "0 new examples for 0 skills, from 1 feedbacks\n", ""))
        same(contents(server.library), after)


def test_it_reads_what_was_acknowledged_before_a_kill_and_after_a_stop():
    with a_server(SKILLS) as server:
        for number in range(3):
            taught(server, f"bill customer number {number}", "weather")
        server.kill()
        status, found = report(server)
        same((status, found["feedback"], [len(row["phrases"]) for row in found["skills"]]), (0, 3, [3]))
        server.start()
        server.stop()
        same(report(server), (0, found))


def test_conflicts_are_listed_and_a_skill_without_a_file_gets_one_only_when_it_is_asked_for():
    with a_server(SKILLS, "--no-worker") as server:
        taught(server, "Keep this in mind", "notes")
        taught(server, "a bell \x1b[31m rings", "weather")
        taught(server, "of two minds", "weather")
        taught(server, "of two minds", "notes")
        taught(server, "fine as it was", "", right=True)
        status, out, _ = learn(server, "--skill", "weather", "--apply")
        assert status == 0 and '"a bell \\u001B[31m rings"' in out and '"Keep' not in out and 'conflict: "of two minds"' in out, out
        assert not (server.library / "notes" / "skill.toml").exists()
        status, found = report(server, "--apply")
        same((status, [(row["skill"], row["written"], row["refused"]) for row in found["skills"]]),
             (0, [("invoice", True, None), ("notes", True, None)]))
        same([(each["text"], each["skills"]) for each in found["conflicts"]], [("of two minds", ["notes", "weather"])])
        same((server.library / "notes" / "skill.toml").read_text(), 'examples = ["Keep this in mind"]\n')
        same(server.get("/skills/notes")["examples"], ["Keep this in mind"])
        same(server.get("/skills")["broken"], [])


def test_a_file_that_is_a_link_or_read_only_is_left_alone_and_the_others_are_written():
    with a_server(SKILLS, "--no-worker") as server:
        toml = server.library / "weather" / "skill.toml"
        (server.library / "weather" / "real.toml").write_bytes(toml.read_bytes())
        toml.unlink()
        toml.symlink_to("real.toml")
        (server.library / "invoice" / "skill.toml").chmod(0o444)
        for text, skill in (("first thing", "weather"), ("third thing", "notes")):
            taught(server, text, skill)
        job = server.post("/tasks", {"task": "second thing", "skill": "weather"})
        server.post(f"/jobs/{job['id']}/feedback", {"right": False, "skill": "invoice"})
        before = contents(server.library)
        status, found = report(server, "--apply")
        refused = {row["skill"]: row["refused"] or "" for row in found["skills"]}
        same((status, refused["notes"]), (1, ""))
        assert "link" in refused["weather"] and "read-only" in refused["invoice"], refused
        same({path for path, data in contents(server.library).items() if before.get(path) != data}, {server.library / "notes" / "skill.toml"})


def test_a_folder_that_cannot_be_written_is_told_in_one_line_and_mode_is_kept_in_one_that_can():
    with a_server(SKILLS, "--no-worker") as server:
        toml = server.library / "weather" / "skill.toml"
        toml.chmod(0o640)
        taught(server, "some thing", "weather")
        same(learn(server, "--apply")[0], 0)
        same(toml.stat().st_mode & 0o777, 0o640)
        same([path.name for path in (server.library / "weather").iterdir() if path.name.startswith(".")], [])
        taught(server, "another thing", "weather")
        (server.library / "weather").chmod(0o555)
        status, found = report(server, "--apply")
        (server.library / "weather").chmod(0o755)
        if os.geteuid():                                   # nobody refuses root
            same(status, 1)
            assert "denied" in found["skills"][0]["refused"], found


def test_a_command_line_that_makes_no_sense_is_one_line_and_status_2():
    with a_server(SKILLS, "--no-worker") as server:
        for arguments, words in ((("--skill", "wether"), "did you mean 'weather'?"), (("--repair",), "for doctor"), (("text",), "unexpected")):
            status, out, error = learn(server, *arguments)
            assert (status, out) == (2, "") and words in error and error.count("\n") == 1, error
        status, out, error = learn(server, "--data", str(server.library))
        assert status == 2 and "is not a data folder" in error, error
        status, out, error = learn(server, "--skills", str(server.folder / "nothing"))
        assert status == 2 and "cannot read" in error, error
        command = [sys.executable, str(ROOT / "server.py"), "check", "--apply"]
        assert "--apply and --skill are for learn" in subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_a_skill_that_does_not_compile_is_no_skill_to_learn_for():
    with a_server(SKILLS, "--no-worker") as server:
        taught(server, "some thing", "weather")
        written(server.library, {"weather/skill.toml": "examples = ["})
        status, found = report(server, "--apply")
        same((status, found["skills"], [each["skill"] for each in found["skipped"]]), (0, [], ["weather"]))
        same((server.library / "weather" / "skill.toml").read_text(), "examples = [")


def test_a_file_that_somebody_changed_meanwhile_is_not_written_over_and_nothing_is_left_beside_it():
    library = written(a_folder(), SKILLS)
    shelf = read_shelf(library)
    same(shelf["notes"].facts, None)
    written(library, {"weather/skill.toml": "# mine\n", "notes/skill.toml": "# mine too\n"})
    os.utime(library / "invoice" / "skill.toml")
    before = contents(library)
    for name in ("weather", "notes", "invoice"):
        refuses(Unwritten, lambda name=name: write(shelf[name], b"new"), "changed meanwhile", name)
    same(contents(library), before)
