"""The documents tell the truth: generated pages are compared, what the others show is done again on a real server.

A page's `console` blocks hold commands behind `$ ` and what they print; its `sh` blocks are run and say nothing. Both run in one bash, in order, in
a fresh copy of the program, against a server started there; `localhost:7070` stands for its address. Ids, times, hashes and fractions are masked,
`...` stands for anything, white space does not count. Blocks tagged `bash` are for the reader only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import unquote

from router.config import SECTIONS
from router.policy.dispatch import PREDICATES
from skills.bundle import SkillFile
from skills.compile import compile_skill
from tests.house import a_server, a_skill, eventually
from tests.kit import ROOT, Skip, a_folder, same, written

PAGES = ("README.md", "CHANGELOG.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")))
PROGRAM = ("state", "skills", "fleet", "router", "config")
SESSION_S_MAX = 60.0
MARK = "\x1e"
FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"), (re.compile(r"(?m)^(Date|X-Request-Id): .*$"), r"\1: <any>"),
    (re.compile(r"\b([jl])_[0-7][0-9A-HJKMNP-TV-Z]{25}\b"), r"\1_<id>"), (re.compile(r"\b\d{13}-[0-9A-Za-z]+\b"), "<boot>"),
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{8}\.\.\."), "<sha256>"),
    (re.compile(r"(?<!confidence )(?<!(?:score|dence)\":)(?<![\d.])\d+\.\d+(?![\d.])"), "<fraction>"),     # but for confidences and scores
)


class Command(NamedTuple):
    """One thing to do in the shell; `printed` is None where the page does not say."""

    line: int
    text: str
    printed: str | None


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[tuple[str, str, int]]:
    """(tag, content, number of its first line) of each fenced block."""
    for found in FENCE.finditer(text):
        yield found[1], found[2], text.count("\n", 0, found.start()) + 2


def commands(text: str) -> list[Command]:
    """Everything that a page does, in order."""
    found: list[Command] = []
    for tag, content, line in blocks(text):
        if tag == "sh" and not content.startswith("#!"):
            found.append(Command(line, content, None))
        elif tag == "console":
            for part in re.split(r"(?m)^(?=\$ )", content):
                if part:
                    asked = re.match(r"\$ ((?:.*\\\n)*.*)\n?", part)
                    assert asked, f"line {line}: a console block begins with $, not {part[:40]!r}"
                    found.append(Command(line + content[:content.index(part)].count("\n"), asked[1], part[asked.end():]))
    return found


def masked(text: str) -> str:
    """The text without what differs from run to run, and without white space."""
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return "".join(text.split())


def fits(printed: str, shown: str) -> bool:
    """True if what was printed is what the page shows."""
    parts = [re.escape(part) for part in masked(shown).split("...")]
    return re.fullmatch(".*".join(parts), masked(printed)) is not None


@contextmanager
def a_clone(*arguments: str) -> Iterator[tuple[Path, int]]:
    """(folder, port) of a server that was started in a fresh copy of the program, as a new user would."""
    folder = a_folder() / "yardmaster"
    for name in PROGRAM:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))     # compiled files too: they save a second
    shutil.copy(ROOT / "server.py", folder)
    with (folder.parent / "log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "server.py", "--port", "0", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=log)
    try:
        assert server.stdout is not None
        first = server.stdout.readline().decode()
        assert first.startswith("listening on "), (folder.parent / "log").read_text()[-2000:]
        port = int(first.rpartition(":")[2])
        if "--no-worker" not in arguments:
            eventually("the embedded worker is up", lambda: [w["state"] for w in workers(port)] == ["live"])
        yield folder, port
    finally:
        server.terminate()
        server.wait(timeout=30)
        if server.stdout is not None:
            server.stdout.close()
        shutil.rmtree(folder.parent, ignore_errors=True)


def workers(port: int) -> Any:
    """What GET /workers lists. Not GET /ready: that looks at the library, and a skill that is written within the next 20 ms might be missed."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers", timeout=10) as reply:
        return json.load(reply)["workers"]


def session(done: list[Command], folder: Path, port: int) -> list[str]:
    """What each command prints, run one after the other in one shell that stands in the folder."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        raise Skip("curl or bash is not here")
    script = "".join(f"{command.text}\nprintf '{MARK}'\n" for command in done).replace("localhost:7070", f"localhost:{port}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "-s"], input=script.replace("127.0.0.1:7070", f"127.0.0.1:{port}"), text=True, cwd=folder, env=environment,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SESSION_S_MAX, check=False)
    printed = ran.stdout.replace(f"localhost:{port}", "localhost:7070").replace(f"127.0.0.1:{port}", "127.0.0.1:7070").split(MARK)[:-1]
    same(len(printed), len(done))
    return printed


def replay(name: str, text: str, *arguments: str) -> None:
    """Do all that the text does; fail with the first command that prints something else than is shown."""
    done = commands(text)
    assert done, f"{name} does nothing"
    with a_clone(*arguments) as (folder, port):
        for command, printed in zip(done, session(done, folder, port), strict=True):
            if command.printed is not None:
                assert fits(printed, command.printed), \
                    f"{name}:{command.line}: $ {command.text}\nprinted\n{printed}\nthe page shows\n{command.printed}"


def generator() -> ModuleType:
    """docs/generate.py."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_what_the_generator_prints_from_the_tables() -> None:
    for name, text in generator().pages().items():
        assert page(f"docs/{name}") == text, f"docs/{name} is old: run python3 docs/generate.py"


def test_what_the_readme_shows_happens_in_a_fresh_copy_a_new_skill_included() -> None:
    text = page("README.md")
    assert any("mkdir -p skills/library/" in content for tag, content, _ in blocks(text) if tag == "sh")
    replay("README.md", text)


def test_the_readme_has_one_line_that_runs_the_tests_and_is_short() -> None:
    lines = page("README.md").splitlines()
    same(lines.count("python3 run_tests.py"), 1)
    same([line for line in lines if line.startswith("python3 run_tests.py")], ["python3 run_tests.py"])
    assert len(lines) < 200


def test_what_protocol_shows_clients_happens() -> None:
    replay("docs/PROTOCOL.md", page("docs/PROTOCOL.md").partition("\n## The fleet")[0])


def test_what_protocol_shows_workers_happens() -> None:
    replay("docs/PROTOCOL.md (the fleet)", page("docs/PROTOCOL.md").partition("\n## The fleet")[2], "--no-worker")


def test_the_examples_of_skills_run_as_shown() -> None:
    replay("docs/SKILLS.md", page("docs/SKILLS.md"))


def test_what_operations_shows_happens() -> None:
    replay("docs/OPERATIONS.md", page("docs/OPERATIONS.md"))


def test_the_skill_toml_that_shows_every_member_compiles() -> None:
    (text,) = [content for tag, content, _ in blocks(page("docs/SKILLS.md")) if tag == "toml" and "every member" in content.partition("\n")[0]]
    files = {"SKILL.md": "---\nname: every\ndescription: Has every member. Use when a test reads it.\n---\n", "skill.toml": text,
             "tool.py": "def read(input, step):\n    return input\n", "report.sh": "#!/bin/sh\ncat\n"}
    definition = compile_skill("every", {name: SkillFile(content.encode(), name == "report.sh") for name, content in files.items()})
    same({step.kind for step in definition.steps}, {"python", "run", "http"})
    for name in ("keywords", "examples", "concurrency", "slo", "budget", "match", "input_schema", "output_schema"):
        assert getattr(definition, name), f"{name} is not shown"
    assert any(step.limits for step in definition.steps) and any(step.needs_labels for step in definition.steps)


def test_the_worker_of_curl_and_shell_finishes_jobs_of_run_and_python_steps() -> None:
    (script,) = [content for tag, content, _ in blocks(page("docs/PROTOCOL.md")) if content.startswith("#!/bin/sh")]
    steps = ('[[steps]]\nid = "upper"\nkind = "run"\nargv = ["./upper.sh", "{{input.mark}} it\'s"]\n'
             '[[steps]]\nid = "count"\nkind = "python"\nentry = "tool.py:count"\nafter = ["upper"]\ninput = "{{steps.upper.output}}"\n')
    skill = a_skill("shout", "def count(input):\n    return {**input, 'letters': len(input['text'])}\n", steps)
    skill["shout/upper.sh"] = "#!/bin/sh\nprintf '%s ' \"$1\"\ncut -c2-5 | tr a-z A-Z\n"
    fails = a_skill("fails", "", '[[steps]]\nid = "go"\nkind = "run"\nargv = ["sh", "-c", "echo broken >&2; exit 65"]\n')
    with a_server({**skill, **fails}, "--no-worker") as server:
        program = written(server.folder, {"worker.sh": script}) / "worker.sh"
        with (server.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen([program, f"http://localhost:{server.port}", "shell-1"], stdout=log, stderr=log, start_new_session=True)
        try:
            job = server.post("/tasks?wait=20", {"skill": "shout", "input": {"mark": "!", "abc": 1}})
            assert job["state"] == "done", json.dumps(job) + (server.folder / "worker.log").read_text()
            same(job["output"], {"text": "! it's \"MAR\n", "letters": 12})
            failed = server.run("fails")
            same((failed["state"], failed["error"]["code"]), ("failed", "exit_code"))
            assert "broken" in failed["error"]["message"]
            same(server.get("/workers/shell-1")["leases"], [])
            eventually("it waits for work", lambda: server.get("/ready")["parked_polls"] == 1)
        finally:
            os.killpg(worker.pid, signal.SIGTERM)
            worker.wait(timeout=10)


def test_operations_names_every_flag_and_every_setting_with_its_default() -> None:
    text = page("docs/OPERATIONS.md")
    for command in (["server.py"], ["-m", "fleet"]):
        shown = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for flag in set(re.findall(r"--[a-z][a-z-]+", shown)):
            assert f"`{flag}`" in text, f"docs/OPERATIONS.md does not name {flag}"
    for section in SECTIONS.values():
        for name, value in vars(section()).items():
            default = [] if value == () else value
            assert re.search(rf"\| `{name}` \| {re.escape(str(default))} \|", text), f"docs/OPERATIONS.md does not say that {name} is {default}"


def test_operations_says_what_to_do_about_every_rule_that_why_may_show() -> None:
    for rule in (*(predicate.__name__ for predicate in PREDICATES if predicate.__name__ != "job_live"), "no_worker", "running", "dispatch"):
        assert f"`{rule}`" in page("docs/OPERATIONS.md"), f"docs/OPERATIONS.md does not explain {rule}"


def test_links_between_pages_lead_somewhere() -> None:
    for name in PAGES:
        prose = FENCE.sub("", page(name))
        for target in LINK.findall(prose):
            if "://" in target:
                continue
            path, _, anchor = unquote(target).partition("#")
            place = (ROOT / name).parent / path if path else ROOT / name
            assert place.exists(), f"{name}: {target} leads nowhere"
            if anchor:
                assert anchor in anchors(place.read_text(encoding="utf-8")), f"{name}: {target} names no heading"


def anchors(text: str) -> set[str]:
    """The fragments by which a page's headings are reached."""
    headings = re.findall(r"(?m)^#+ (.+)$", FENCE.sub("", text))
    return {re.sub(r"[^\w -]", "", heading.replace("`", "")).strip().lower().replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_readme() -> None:
    for name in PAGES:
        if name != "README.md":
            assert name in page("README.md") or Path(name).name in page("docs/ARCHITECTURE.md"), f"no page leads to {name}"


def test_the_changelog_has_unreleased_on_top() -> None:
    same(next(line for line in page("CHANGELOG.md").splitlines() if line.startswith("## ")), "## [Unreleased]")


def test_decision_records_are_numbered_without_gaps_and_say_context_choice_and_price() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    same([int(record.name[:4]) for record in records], list(range(1, len(records) + 1)))
    for record in records:
        same([line for line in record.read_text().splitlines() if line.startswith("## ")], ["## Context", "## Choice", "## Price"])


def test_every_refusal_has_a_test_that_names_its_code() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != "test_docs.py")
    unnamed = [kind.code for kind in generator().faults() if f'"{kind.code}"' not in tests]
    same(unnamed, [])
