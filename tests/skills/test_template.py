"""Promises of templates."""

from __future__ import annotations

from typing import Any

from skills.template import CompiledValue, Template, TemplateError
from tests.kit import refuses, same

VIEW: dict[str, Any] = {
    "task": "summarise data.csv",
    "input": {"x": 7, "none": None, "flag": True, "ratio": 0.5, "rows": [{"name": "Ann"}, {"name": "Bo"}], "q": "a b&c=1/é",
              "map": {"0": "zero", "a-b": 1}, "big": {"$artifact": "sha256:00"}},
    "steps": {"profile": {"output": {"rows": [1, 2], "note": None}}, "a-b_1": {"output": "text"}},
    "job": {"id": "j_1"},
}


def resolved(value: Any) -> Any:
    """The value with its templates replaced."""
    return Template.compile(value).resolve(VIEW)


def absent(value: Any, *words: str) -> TemplateError:
    """The error of a template whose value is not there."""
    error = refuses(TemplateError, lambda: resolved(value), *words)
    assert isinstance(error, TemplateError)
    return error


def test_a_string_that_is_one_template_keeps_the_json_type() -> None:
    for name, value in VIEW["input"].items():
        got = resolved(f"{{{{input.{name}}}}}")
        same(got, value)
        same(type(got), type(value))
    same(resolved("{{steps.profile.output}}"), {"rows": [1, 2], "note": None})
    same(resolved("{{input}}"), VIEW["input"])
    same(resolved("{{task}}"), "summarise data.csv")
    same(resolved("{{ job.id }}"), "j_1")


def test_inside_other_text_a_string_stands_as_it_is_and_the_rest_as_compact_json() -> None:
    same(resolved("x={{input.x}}"), "x=7")
    same(resolved("{{task}}!"), "summarise data.csv!")
    same(resolved(" {{input.flag}}"), " true")
    same(resolved("{{input.rows}} of {{job.id}}"), '[{"name":"Ann"},{"name":"Bo"}] of j_1')
    same(resolved("{{input.none}}."), "null.")
    same(resolved("{{input.q}}{{input.q}}"), "a b&c=1/éa b&c=1/é")


def test_templates_are_found_at_any_depth_and_keys_are_left_alone() -> None:
    value: dict[str, Any] = {"a": [{"b": "{{input.x}}"}, 1, None, True, "plain"], "{{task}}": {"c": ["{{task}}"]}}
    same(resolved(value), {"a": [{"b": 7}, 1, None, True, "plain"], "{{task}}": {"c": ["summarise data.csv"]}})
    same(value["a"][0], {"b": "{{input.x}}"})


def test_an_index_is_written_with_a_dot_or_in_brackets() -> None:
    same(resolved("{{input.rows[1].name}}"), "Bo")
    same(resolved("{{input.rows.1.name}}"), "Bo")
    same(resolved("{{input.map.0}}"), "zero")
    same(resolved("{{steps.a-b_1.output}}"), "text")
    absent("{{input.map[0]}}", "has no index 0")


def test_an_absent_value_is_an_error_that_says_where_its_path_ends() -> None:
    cases = {"input.y": "input has no member 'y'", "input.rows[2].name": "input.rows has 2 items, none at index 2",
             "input.x.y": "input.x is a number", "input.none.y": "input.none is null", "input.q[0]": "input.q is a string",
             "input.rows.first": "input.rows is a list", "steps.later.output": "steps has no member 'later'",
             "steps.profile.output.rows[0].a": "steps.profile.output.rows[0] is a number"}
    for text, reason in cases.items():
        error = absent({"a": {"b/c": [f"{{{{{text}}}}}"]}}, text, reason)
        same((error.pointer, error.reference), ("/a/b~1c/0", text))


def test_the_inside_of_an_artifact_is_not_seen_but_the_artifact_is_passed_on() -> None:
    same(resolved("{{input.big}}"), {"$artifact": "sha256:00"})
    absent("{{input.big.rows}}", "input.big is an artifact")
    same(resolved("{{input.big.rows?}}"), None)


def test_an_optional_reference_is_null_or_no_text_when_its_value_is_absent() -> None:
    same(resolved("{{input.y?}}"), None)
    same(resolved("[{{input.y?}}]"), "[]")
    same(resolved("{{input.x?}}"), 7)
    same(resolved("{{steps.later.output.rows[0]?}}"), None)


def test_four_braces_stand_for_two() -> None:
    same(resolved("{{{{input.x}}"), "{{input.x}}")
    same(resolved("{{{{"), "{{")
    same(resolved("{{{{a}} {{input.x}} }}"), "{{a}} 7 }}")
    same(resolved("{ {{input.x}} }"), "{ 7 }")
    same(resolved('{"a":{"b":{{input.x}}}}'), '{"a":{"b":7}}')
    same(resolved(""), "")


def test_syntax_errors_are_found_when_the_template_is_compiled() -> None:
    for text in ("{{", "{{input.x", "{{}}", "{{input..x}}", "{{input.x y}}", "{{input[-1]}}", "{{input[x]}}", "{{ input.x ?}}", "{{{input.x}}}",
                 "{{inputs.x}}", "{{steps.profile}}", "{{steps.profile.state}}", "{{steps[0].output}}", "{{job}}", "{{job.name}}", "{{task.x}}",
                 "{{input.x}} and {{more", "{{input[9999999999]}}"):
        error = refuses(TemplateError, lambda text=text: Template.compile([text]))  # type: ignore[misc]
        same(error.pointer, "/0")


def test_references_are_listed_with_pointer_path_and_whether_they_are_optional() -> None:
    compiled = Template.compile({"a": "{{steps.one.output.rows[0].x?}}", "b": ["{{input.x}}-{{task}}"]})
    same([(r.root, r.path, r.optional, r.pointer, r.text, r.step) for r in compiled.references],
         [("steps", ("one", "output", "rows", 0, "x"), True, "/a", "steps.one.output.rows[0].x?", "one"),
          ("input", ("x",), False, "/b/0", "input.x", None), ("task", (), False, "/b/0", "task", None)])


def test_a_value_without_templates_is_handed_on_as_it_is() -> None:
    compiled = Template.compile({"a": [1, "b"]})
    same(compiled, CompiledValue({"a": [1, "b"]}, ()))
    assert compiled.resolve(VIEW) is compiled.value


def test_a_value_after_the_host_of_a_url_is_percent_encoded() -> None:
    def url(text: str) -> Any:
        return Template.compile_url(text, "/url").resolve(VIEW)
    same(url("https://example.org/find?q={{input.q}}&n={{input.x}}"), "https://example.org/find?q=a%20b%26c%3D1%2F%C3%A9&n=7")
    same(url("{{input.q}}"), "a b&c=1/é")
    same(url("{{input.q}}/{{input.q}}"), "a b&c=1/é/a%20b%26c%3D1%2F%C3%A9")
    same(url("https://{{job.id}}.example.org?x={{input.y?}}"), "https://j_1.example.org?x=")
    same(url("https://example.org/{{{{x"), "https://example.org/{{x")
