"""Promises of reading one step. In the skill.toml of a refusal, `# <-` marks the line that the error must name."""

from __future__ import annotations

from skills import steps
from skills.parse import SkillError
from tests.kit import refuses, same
from tests.skills.builders import HTTP, RUN, STEP, compiled, refused, step


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
