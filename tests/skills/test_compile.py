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

SKILL = "---\nname: demo\ndescription: Shows what a skill can be.\n---\n\n# Demo\n\nDo it well.\n"
TOOL = "def profile(data):\n    return {}\n\n\ndef phases(data, step):\n    return {}\n"
STEP = '[[steps]]\nid = "a"\nkind = "python"\nentry = "tool.py:profile"\n'
RUN = '[[steps]]\nid = "a"\nkind = "run"\n'
HTTP = '[[steps]]\nid = "a"\nkind = "http"\nurl = "https://api.example.org/x"\nallow_hosts = ["api.example.org"]\n'


def the_files(toml: str | None = None, tool: str | bytes = TOOL) -> dict[str, SkillFile]:
    """A skill folder with a tool and a program."""
    files = {"SKILL.md": SkillFile(SKILL.encode()), "tool.py": SkillFile(tool if isinstance(tool, bytes) else tool.encode()),
             "run.sh": SkillFile(b"#!/bin/sh\n", True), "plain.sh": SkillFile(b"#!/bin/sh\n"), "lib/more.py": SkillFile(TOOL.encode())}
    return files if toml is None else {**files, "skill.toml": SkillFile(toml.encode())}


def compiled(toml: str | None = None, tool: str | bytes = TOOL) -> Definition:
    """The definition of the folder."""
    return compile_skill("demo", the_files(toml, tool))


def refused(toml: str, *words: str) -> None:
    """The skill.toml is refused at the line that it marks, with these words."""
    marked = [number for number, row in enumerate(toml.split("\n"), 1) if "# <-" in row]
    error = refuses(SkillError, lambda: compiled(toml))
    for word in words:
        assert word in error.reason, f"{word!r} is not in {error.reason!r}"
    same(error.file, "skill.toml")
    if marked:
        same((error.line, error.reason), (marked[0], error.reason))


def step(row: str) -> str:
    """A good step with one more row, marked."""
    return f"{STEP}{row} # <-\n"


def graph(**after: str) -> str:
    """Steps of the ids with their `after`, in order."""
    return "".join(f'[[steps]]\nid = "{name}"\nkind = "python"\nentry = "tool.py:profile"\nafter = [{needs}]\n' for name, needs in after.items())


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
    refused('keywords = ["csv",\n 3] # <-\n'.replace(" # <-", ""), "keywords.1", "must be a string")
    refused("concurrency = true # <-\n", "a whole number", "true")
    refused("concurrency = 0 # <-\n", "from 1")
    refused("slo = 3 # <-\n", "a table")
    refused("steps = 3 # <-\n", "[[steps]]")
    refused("input = 3 # <-\n", "JSON Schema")
    refused("[budget]\nmax_cost_usd = nan # <-\n", "finite")
    refused("[match]\nmin_confidence = 1.5 # <-\n", "from 0 to 1")
    refused("[match]\nmin_confidence = 2026-01-01 # <-\n", "a date or time")


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
    refused('version = "1"\nkeywords = [ # <-\n'.replace(" # <-", ""))
    error = refuses(SkillError, lambda: compile_skill("demo", {"skill.toml": SkillFile(b"")}))
    same(error.file, "SKILL.md")
    refuses(SkillError, lambda: compile_skill("demo", {**the_files(), "../x": SkillFile(b"")}), "stays inside")


# -- What is refused of one step -----------------------------------------------------------------------------------------------------


def test_bad_ids_kinds_and_effects_are_refused() -> None:
    for bad in ("A", "-a", "a.b", "a b", "ä", "x" * 65):
        refused(f'[[steps]]\nid = "{bad}" # <-\nkind = "agent"\n', "id")
    refused('[[steps]] # <-\nkind = "agent"\n', "id is missing")
    refused('[[steps]] # <-\nid = "a"\n', "kind is missing")
    refused('[[steps]]\nid = "a"\nkind = "pyton" # <-\n', "did you mean 'python'?")
    refused(step('effects = "sometimes"'), "none, many, once")


def test_numbers_out_of_range_are_refused() -> None:
    for row in ("timeout_s = 0", "timeout_s = -1", "timeout_s = 1e9", "timeout_s = inf", 'timeout_s = "30"', "retry = { attempts = 0 }",
                "retry = { attempts = 1000 }", "retry = { attempts = 1.5 }", "retry = { backoff_s = -1 }", "retry = { backoff_s = 301 }",
                "needs = { memory_mb = -1 }", "limits = { memory_mb = 0 }", "limits = { cpu_s = 0.5 }", "limits = { output_bytes = 0 }"):
        refused(step(row), "steps.a." + row.split(" ")[0])


def test_more_than_one_attempt_of_a_step_with_effects_once_is_refused() -> None:
    refused(STEP + 'effects = "once"\nretry = { attempts = 2 } # <-\n', "never started twice")
    same(compiled(STEP + 'effects = "once"\nretry = { attempts = 1 }\n').steps[0].effects, "once")


def test_a_label_that_is_none_is_refused() -> None:
    for label in ("", "a b", "=x", "gpu=", "gpu=a=b"):
        refused(step(f'needs = {{ labels = ["{label}"] }}'), "needs.labels")


def test_a_template_that_cannot_be_read_is_refused_at_its_line() -> None:
    refused(STEP + '[steps.input]\na = 1\nb = "{{input.x" # <-\n', "no end")
    refused(STEP + '[steps.input]\na = 1\nb = ["{{inputs.x}}"] # <-\n', "inputs")
    refused(RUN + 'argv = ["sh", "{{job.name}}"] # <-\n', "job.id only")
    refused(HTTP.replace("/x", "/{{x}}").replace('}}"', '}}" # <-'), "there is no 'x'")


def test_an_entry_must_be_a_function_in_a_file_of_the_folder() -> None:
    for entry, word in (("tool.py", "file.py:function"), ("tool:profile", "file.py:function"), ("tool.py:profil", "did you mean 'profile'?"),
                        ("tol.py:profile", "did you mean 'tool.py'?"), ("../tool.py:profile", "leaves the folder"),
                        ("/tool.py:profile", "leaves the folder"), ("lib/../../tool.py:profile", "leaves the folder"),
                        ("tool.py:", "file.py:function"), ("lib.py:x", "there is no file"), ("run.sh:x", "file.py:function")):
        refused(f'[[steps]]\nid = "a"\nkind = "python"\nentry = "{entry}" # <-\n', word)
    refused('[[steps]] # <-\nid = "a"\nkind = "python"\n', "entry is missing")


def test_an_entry_with_a_mistake_in_it_is_refused_with_its_own_file_and_line() -> None:
    for tool, line, words in (("x = 1\ndef profile(data:\n", 2, "syntax error"), ("\ndef profile():\n    pass\n", 2, "one or two"),
                              ("def profile(a, b, c):\n    pass\n", 1, "not 3"), ("\n\nasync def profile(a):\n    pass\n", 3, "async"),
                              ("def profile(a, *, b):\n    pass\n", 1, "required keywords"), ("def profile(*a):\n    pass\n", 1, "not 0"),
                              ("x = 1\n\0", 1, ""), (b"def profile(a):\n  x = 1 # \xff", 1, ""),
                              ("x = " + "(" * 5000 + ")" * 5000, 1, ""), ("x = " + "-" * 100_000 + "1", 1, "")):
        error = refuses(SkillError, lambda tool=tool: compiled(STEP, tool), words)  # type: ignore[misc]
        same(error.file, "tool.py")
        assert not words or line == error.line, (tool, error.line)
    same(compiled(STEP, "def profile(a, b=1, *, c=2, **more):\n    '\\d'\n").runnable, True)


def test_the_program_of_a_run_step_is_written_out_and_is_there() -> None:
    for argv, word in (("[]", "a list of 1"), ('"x"', "a list of 1"), ('["./none.sh"]', "there is no file none.sh"), ('["../run.sh"]', "leaves"),
                       ('["./plain.sh"]', "chmod +x plain.sh"), ('["{{input.x}}"]', "never chooses"), ('[""]', "written out"),
                       ('["lib/x.sh"]', "./lib/x.sh"), ('["sh", 3]', "must be a string"), ('["sh", "a\\u0000b"]', "NUL")):
        refused(f"{RUN}argv = {argv} # <-\n", word)
    refused(RUN.replace("[[steps]]", "[[steps]] # <-"), "argv is missing")
    same(compiled(RUN + 'argv = ["././run.sh"]\n').steps[0].spec["argv"], ["./run.sh"])
    same(compiled(RUN + 'argv = ["/bin/sh", "-c", "exit"]\n').runnable, True)


def test_the_environment_of_a_run_step_is_literal() -> None:
    for row, word in (('{ "A-B" = "x" }', "not a name"), ('{ A = "{{input.x}}" }', "literal"), ("{ A = 1 }", "must be a string")):
        refused(f'{RUN}argv = ["sh"]\nenv = {row} # <-\n', word)


def test_an_http_step_names_its_hosts() -> None:
    no_hosts = HTTP.replace('allow_hosts = ["api.example.org"]\n', "")
    refused(no_hosts.replace("[[steps]]", "[[steps]] # <-"), "allow_hosts is missing")
    for hosts in ("[]", '[""]', '["https://x.org"]', '["x.org:80"]', '["*.*.org"]', '["x*.org"]', '["a b"]', '["{{input.host}}"]', '"x.org"'):
        refused(f"{no_hosts}allow_hosts = {hosts} # <-\n", "allow_hosts")
    for hosts in ('["*"]', '["127.0.0.1", "api.example.org"]', '["*.example.org"]', '["::1", "api.example.org", "localhost"]'):
        same(compiled(f"{no_hosts}allow_hosts = {hosts}\n").runnable, True)


def test_a_url_is_checked_as_far_as_it_is_written_out() -> None:
    def with_url(url: str) -> str:
        return HTTP.replace("https://api.example.org/x", url)
    for url, word in (("ftp://api.example.org/", "http://"), ("/x", "http://"), ("https://other.org/x", "host other.org is not in allow_hosts"),
                      ("https://api.example.org.evil.com/{{input.x}}", "not in allow_hosts"), ("https://u:p@api.example.org/", "password"),
                      ("https:///x", "no host"), ("https://api.example.org:x/", "cannot be read"), ("https://api.example.org/a b", "spaces")):
        refused(with_url(url).replace(f'url = "{url}"', f'url = "{url}" # <-'), word)
    for url in ("{{input.url}}", "https://{{input.host}}/x", "HTTPS://API.example.org:8443/x?a={{input.b c}}".replace(" c", "")):
        same(compiled(with_url(url)).runnable, True)


def test_members_of_an_http_step_are_checked() -> None:
    for row, word in (('method = "FETCH"', "GET"), ('expect = "xml"', "auto"), ("max_bytes = 0", "from 1"), ("max_redirects = 21", "to 20"),
                      ('headers = { Host = "x" }', "set by the worker"), ('headers = { "a b" = "x" }', "name of a header"),
                      ('headers = { A = "x\\r\\nB: y" }', "control"), ("headers = { A = 1 }", "must be a string"),
                      ("retry_statuses = [200]", "400 to 599"), ("allow_private = 1", "true or false"), ("body = 2026-01-01", "a date")):
        refused(f"{HTTP}{row} # <-\n", word)


def test_a_host_is_covered_by_itself_by_a_star_or_by_what_it_is_below() -> None:
    for pattern, host, wanted in (("a.org", "A.org.", True), ("a.org", "b.a.org", False), ("*.a.org", "b.a.org", True), ("*.a.org", "a.org", False),
                                  ("*.a.org", "evila.org", False), ("*", "anything", True), ("::1", "[::1]", True), ("*.a.org", ".a.org", False)):
        same((pattern, host, steps.covers(pattern, host)), (pattern, host, wanted))


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
