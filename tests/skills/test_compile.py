"""Promises of compiling. In the skill.toml of a refusal, `# <-` marks the line that the error must name."""

from __future__ import annotations

import dataclasses
import json
import random

from skills import steps
from skills.bundle import SkillFile, describe
from skills.compile import compile_skill
from skills.definition import Definition, canonical
from skills.folder import read_folder
from skills.parse import SkillError
from skills.template import TemplateError
from state.limits import STEP_TIMEOUT_S, STEPS_MAX
from tests.kit import refuses, same, shared_data
from tests.skills.builders import HTTP, RUN, SKILL, STEP, TOOL, compiled, graph, refused, step, the_files

# -- What compiles ----------------------------------------------------------------------------------------------------------------


def test_a_folder_with_only_a_skill_md_is_one_prompt_step_that_cannot_run_yet() -> None:
    skill = compile_skill("demo", {"SKILL.md": SkillFile(SKILL.encode())})
    same([(each.id, each.kind, each.after) for each in skill.steps], [("prompt", "prompt", ())])
    same((skill.name, skill.version, skill.description), ("demo", "0", "Shows what a skill can be."))
    assert "Do it well." in skill.body
    same((skill.runnable, skill.not_runnable), (False, "step prompt is of kind prompt, which this version cannot run yet"))
    same((skill.input, skill.output, skill.ends), (None, None, ("prompt",)))


FULL = """version = "1.2.0"
keywords = ["csv", "profile"]
examples = ["what is in this csv file?"]
concurrency = 4

[input]
type = "object"
required = ["text"]
properties.text = { type = "string", maxLength = 1000000 }

[output]
type = "object"

[slo]
p95_s = 5
[budget]
max_cost_usd = 0.05
[match]
min_confidence = 0.4

[[steps]]
id = "report"
kind = "run"
after = ["profile", "page"]
argv = ["./run.sh", "--of", "{{job.id}}", "{{input.limit?}}", "n={{steps.profile.output.n}}"]
env = { MODE = "fast" }
input = { rows = "{{steps.profile.output.rows}}", all = "{{input}}" }

[[steps]]
id = "profile"
kind = "python"
entry = "./lib/more.py:phases"
needs = { labels = ["big-memory", "gpu=h100"], memory_mb = 2000 }
timeout_s = 30
retry = { attempts = 3, backoff_s = 2 }
effects = "many"
limits = { memory_mb = 500, cpu_s = 10, files = 64, output_bytes = 1000 }

[[steps]]
id = "page"
kind = "http"
url = "https://api.example.org/find?q={{input.text}}"
method = "POST"
headers = { Accept = "text/html", X-Job = "{{job.id}}" }
body = { q = "{{input.text}}" }
allow_hosts = ["API.example.org", "*.example.com"]
expect = "json"
retry_statuses = [409]
"""


def test_every_member_of_a_skill_toml_reaches_the_definition() -> None:
    skill = compiled(FULL)
    same((skill.version, skill.keywords, skill.examples, skill.concurrency), ("1.2.0", ("csv", "profile"), ("what is in this csv file?",), 4))
    same((skill.slo, skill.budget, skill.match), ({"p95_s": 5.0}, {"max_cost_usd": 0.05}, {"min_confidence": 0.4}))
    same([each.id for each in skill.steps], ["profile", "page", "report"])
    same((skill.ends, skill.kinds, skill.runnable, skill.not_runnable), (("report",), {"run", "python", "http"}, True, ""))
    profile, page, report = skill.steps
    same((profile.needs_labels, profile.memory_mb, profile.timeout_s, profile.attempts, profile.backoff_s, profile.effects),
         (("big-memory", "gpu=h100"), 2000, 30.0, 3, 2.0, "many"))
    same((profile.limits, profile.spec, profile.input), ({"memory_mb": 500, "cpu_s": 10, "files": 64, "output_bytes": 1000},
                                                         {"entry": "lib/more.py:phases"}, None))
    same((profile.dependents, page.dependents, report.after), (("report",), ("report",), ("profile", "page")))
    same((page.spec["allow_hosts"], page.spec["allow_private"], page.spec["max_redirects"]), (["api.example.org", "*.example.com"], False, 5))
    same((report.timeout_s, report.attempts, report.effects, skill.by_id["report"]), (STEP_TIMEOUT_S, 1, "none", report))
    assert skill.input is not None and skill.input_schema is not None
    same([failure.pointer for failure in skill.input.errors({"text": 1})], ["/text"])


def test_a_step_resolves_its_input_and_its_spec_for_a_job() -> None:
    skill = compiled(FULL)
    view = {"task": "t", "input": {"text": "a&b"}, "steps": {"profile": {"output": {"rows": [1], "n": 2}}}, "job": {"id": "j_1"}}
    same(skill.by_id["profile"].resolve(view), ({"text": "a&b"}, {"entry": "lib/more.py:phases"}))
    given, spec = skill.by_id["report"].resolve(view)
    same(given, {"rows": [1], "all": {"text": "a&b"}})
    same(spec, {"argv": ["./run.sh", "--of", "j_1", "n=2"], "env": {"MODE": "fast"}})
    _, spec = skill.by_id["page"].resolve(view)
    same((spec["url"], spec["body"], spec["headers"]),
         ("https://api.example.org/find?q=a%26b", {"q": "a&b"}, {"Accept": "text/html", "X-Job": "j_1"}))
    error = refuses(TemplateError, lambda: skill.by_id["page"].resolve({**view, "input": {}}))
    assert error.pointer in ("/body/q", "/url")


def test_arguments_become_text_and_a_null_argument_is_left_out() -> None:
    toml = RUN + 'argv = ["sh", "{{input.n}}", "{{input.rows}}", "{{input.nothing}}", "{{input.text}}"]\n'
    view = {"task": "", "input": {"n": 1.5, "rows": [{"é": 1}], "nothing": None, "text": "x"}, "steps": {}, "job": {"id": "j"}}
    same(compiled(toml).steps[0].resolve(view)[1]["argv"], ["sh", "1.5", '[{"é":1}]', "x"])


def test_a_definition_comes_back_from_its_document_exactly() -> None:
    later = '[[steps]]\nid = "say"\nkind = "agent"\ntools = [{ name = "x" }]\nmodel = "m"\n'
    for toml in (None, FULL, STEP, later):
        skill = compiled(toml)
        document = json.loads(canonical(skill.document()))
        again = Definition.from_document(document)
        same(again.document(), skill.document())
        same(again.sha256, skill.sha256)
        plain = {field.name for field in dataclasses.fields(skill)} - {"input", "output"}
        for name in sorted(plain):
            same((name, getattr(again, name)), (name, getattr(skill, name)))
        same((again.input is None, again.output is None), (skill.input is None, skill.output is None))


def test_the_hash_of_a_definition_changes_with_any_file_and_with_nothing_else() -> None:
    same(compiled(FULL).sha256, compiled(FULL).sha256)
    same(compiled(FULL).bundle, describe(the_files(FULL)))
    assert compiled(FULL).sha256 != compiled(FULL, TOOL + "\n# another\n").sha256
    assert compiled(FULL).sha256 != compiled(FULL.replace("1.2.0", "1.2.1")).sha256


def test_steps_stand_in_topological_order_and_in_file_order_among_equals() -> None:
    order = [each.id for each in compiled(graph(z='"m"', b="", a="", m='"b"', c="", y='"z", "a"')).steps]
    same(order, ["b", "a", "m", "z", "c", "y"])
    skill = compiled(graph(d='"b", "c"', b='"a"', c='"a"', a=""))
    same([each.id for each in skill.steps], ["a", "b", "c", "d"])
    same((skill.ends, skill.by_id["a"].dependents), (("d",), ("b", "c")))
    same(compiled(graph(a="", b='"a"', c='"a"')).ends, ("b", "c"))


def test_steps_of_later_kinds_parse_and_say_that_they_cannot_run_yet() -> None:
    for kind in steps.LATER_KINDS:
        draft = f'[[steps]]\nid = "draft"\nkind = "{kind}"\nafter = ["a"]\nmodel = "m"\ninput = {{ x = "{{{{steps.a.output}}}}" }}\n'
        skill = compiled(STEP + draft)
        same(skill.not_runnable, f"step draft is of kind {kind}, which this version cannot run yet")
        same(skill.by_id["draft"].spec, {"model": "m"})
        refused(f'{STEP}[[steps]]\nid = "draft"\nkind = "{kind}"\nafter = ["b"] # <-\n', "there is no step 'b'")


def test_a_template_may_see_steps_that_its_step_depends_on_through_others() -> None:
    toml = graph(a="", b='"a"', c='"b"') + 'input = { x = "{{steps.a.output.x}}" }\n'
    same(compiled(toml).by_id["c"].compiled.references[0].step, "a")


def test_all_public_skill_folders_compile_or_are_refused_with_a_reason() -> None:
    folder = shared_data("skills")
    seen = 0
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        seen += 1
        try:
            skill = compile_skill(path.name, read_folder(path))
        except SkillError as error:
            assert error.file == "SKILL.md" and error.reason, str(error)
            continue
        same(Definition.from_document(json.loads(canonical(skill.document()))).sha256, skill.sha256)
        assert skill.name and skill.description and not skill.runnable
    assert seen > 50


def test_no_bytes_make_the_compiler_fail_with_anything_but_a_skill_error() -> None:
    chance = random.Random(20)
    good = the_files(FULL)
    pieces = [b"[", b"]", b"{", b"}", b"{{", b"}}", b'"', b"'", b"=", b"\n", b"\xff", b"\0", b".", b"-1", b"[[steps]]\n", b"input", b"nan"]
    outcomes: set[str] = set()
    for _ in range(400):
        name = chance.choice(("SKILL.md", "skill.toml", "skill.toml", "lib/more.py"))
        data = bytearray(good[name].data)
        for _ in range(chance.randint(1, 4)):
            at, size = chance.randrange(len(data) + 1), chance.choice((0, 0, 1, 8))
            data[at:at + size] = chance.choice(pieces)
        try:
            outcomes.add(compile_skill("demo", {**good, name: SkillFile(bytes(data))}).name)
        except SkillError as error:
            outcomes.add(error.file)
            assert error.reason
    assert outcomes >= {"demo", "SKILL.md", "skill.toml", "lib/more.py"}, outcomes


# -- What is refused at the top level ------------------------------------------------------------------------------------------------


def test_an_unknown_member_is_refused_with_the_nearest_known_one() -> None:
    refused('version = "1"\nkeyword = ["x"] # <-\n', "keyword", "did you mean 'keywords'?")
    refused(step('aftr = ["b"]'), "steps.a.aftr", "did you mean 'after'?")
    refused(step("retry = { attempt = 1 }"), "steps.a.retry.attempt", "did you mean 'attempts'?")
    refused(step("needs = { label = [] }"), "'labels'")
    refused(step("limits = { cpu = 1 }"), "did you mean 'cpu_s'?")
    refused(step('argv = ["x"]'), "steps.a.argv")
    refused("[slo]\np95 = 1 # <-\n", "slo.p95", "p95_s")
    refused("[budget]\nmax_cost = 1 # <-\n", "max_cost_usd")
    refused("[match]\nconfidence = 1 # <-\n", "min_confidence")


def test_a_member_of_the_wrong_type_is_refused_with_what_it_must_be() -> None:
    refused("version = 1.2 # <-\n", "must be a string", "the number 1.2")
    refused('version = "" # <-\n', "empty")
    refused('keywords = "csv" # <-\n', "a list of strings")
    refused('keywords = ["csv",\n 3] # <-\n', "keywords.1", "must be a string")
    refused("concurrency = true # <-\n", "a whole number", "true")
    refused("concurrency = 0 # <-\n", "from 1")
    refused("slo = 3 # <-\n", "a table")
    refused("steps = 3 # <-\n", "[[steps]]")
    refused("input = 3 # <-\n", "JSON Schema")
    refused("[budget]\nmax_cost_usd = nan # <-\n", "finite")
    refused("[match]\nmin_confidence = 1.5 # <-\n", "from 0 to 1")
    refused("[match]\nmin_confidence = 2026-01-01 # <-\n", "a date or time")
    refused('[match]\nstate = "retired" # <-\n', "one of active, candidate, archived, disabled")
    refused('[match]\nhidden = 1 # <-\n', "true or false")
    refused('[match]\ntenants = "acme" # <-\n', "a list of strings")
    refused('[match]\nlanguages = ["german"] # <-\n', "two or three letters")


def test_a_schema_that_is_none_is_refused_at_its_line() -> None:
    refused('[input]\ntype = "objekt" # <-\n', "input", "/type")
    refused('[output]\ntype = "object"\n[output.properties.a]\nmaxLength = -1 # <-\n', "output", "/properties/a/maxLength")
    refused("[input]\ndefault = 2026-01-01 # <-\n", "a date is not JSON")
    refused('[input]\n"$ref" = "https://example.org/x" # <-\n', "input")


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    deep = ".".join("x" * 2_000)
    later = '[[steps]]\nid = "a"\nkind = "agent"\n'
    for toml in (f"[input.{deep}]\n", f"{STEP}[steps.input.{deep}]\n", f"{HTTP}[steps.body.{deep}]\n", f"{later}[steps.{deep}]\n"):
        refused(toml, "nested")
    refused("keywords = " + "[" * 5_000 + "]" * 5_000, "")


def test_too_many_steps_are_refused() -> None:
    many = "".join(f'[[steps]]\nid = "s{number}"\nkind = "agent"\n' for number in range(STEPS_MAX))
    same(len(compiled(many).steps), STEPS_MAX)
    refused(many + '[[steps]] # <-\nid = "more"\nkind = "agent"\n', f"at most {STEPS_MAX}")


def test_broken_toml_and_a_missing_skill_md_are_refused() -> None:
    refused('version = "1"\nkeywords = [\n')
    error = refuses(SkillError, lambda: compile_skill("demo", {"skill.toml": SkillFile(b"")}))
    same(error.file, "SKILL.md")
    refuses(SkillError, lambda: compile_skill("demo", {**the_files(), "../x": SkillFile(b"")}), "stays inside")


# -- What is refused of the steps together ---------------------------------------------------------------------------------------------


def test_duplicate_ids_and_impossible_afters_are_refused() -> None:
    refused(STEP + STEP.replace('id = "a"', 'id = "a" # <-'), "another step has this id")
    refused(step('after = ["a"]'), "cannot wait for itself")
    refused(graph(first="", b='"fist"').replace('["fist"]', '["fist"] # <-'), "did you mean 'first'?")
    refused(graph(a="", b='"a", "a"').replace('"a"]', '"a"] # <-'), "twice")


def test_a_cycle_is_refused_by_name() -> None:
    refused(graph(x="", a='"c", "x"', b='"a"', c='"b"', d='"c"').replace('"x"]', '"x"] # <-'), "in a circle: a -> b -> c -> a")
    refused(graph(a='"b"', b='"a"').replace('["b"]', '["b"] # <-'), "a -> b -> a")


def test_a_template_that_refers_to_a_step_it_does_not_depend_on_is_refused() -> None:
    rows = 'input = { x = "{{steps.NAME.output.x}}" } # <-\n'
    refused(graph(a="", b="") + rows.replace("NAME", "a"), "step b does not depend on step a; add 'a' to its after")
    refused(graph(b='"a"', a="") + rows.replace("NAME", "b"), "step a does not depend on step b")
    refused(graph(profile="", b='"profile"') + rows.replace("NAME", "profil"), "there is no step 'profil'", "did you mean 'profile'?")
    refused(graph(a="", b='"a"') + rows.replace("NAME", "b"), "its own output")
    refused(STEP + RUN.replace('"a"', '"b"') + 'argv = ["sh", "{{steps.a.output}}"] # <-\n', "add 'a' to its after")
