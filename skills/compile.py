"""Compile: the files of a skill folder become a `Definition`, or one SkillError with the file, the line and a reason that a person can act on.

Order: SKILL.md and skill.toml are parsed, the top level of skill.toml is read, each step is read alone, then the steps together: ids,
`after`, cycles, and that a template refers only to steps that its own step depends on, directly or through others.
Pure: bytes in, a value out; no clock, no disk.
"""

from __future__ import annotations

import graphlib
import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from skills.audience import AUDIENCE_CHARACTERS_MAX, AUDIENCE_MAX, LANGUAGE, STATES
from skills.bundle import BundleError, SkillFile, describe
from skills.definition import DOCUMENT_VERSION, Definition, StepDef
from skills.parse import SkillError, parse
from skills.schema import Schema, SchemaError, compile_schema
from skills.steps import read_step
from skills.tables import Table, did_you_mean, path_of
from state.limits import STEP_TIMEOUT_S_MAX, STEPS_MAX, TASK_CHARACTERS_MAX

VERSION_CHARACTERS_MAX = 64
KEYWORDS_MAX = 200                  # more is no longer a choice of words
KEYWORD_CHARACTERS_MAX = 200
EXAMPLES_MAX = 1_000                # an evaluation set belongs into a file of its own
CONCURRENCY_MAX = 100_000
COST_USD_MAX = 1_000_000
TOKENS_MAX = 10**12

SLO = {"p50_s": STEP_TIMEOUT_S_MAX, "p95_s": STEP_TIMEOUT_S_MAX, "p99_s": STEP_TIMEOUT_S_MAX, "success_rate": 1.0}    # from submission to result
BUDGET = {"max_cost_usd": COST_USD_MAX, "max_tokens": TOKENS_MAX}      # of one job
MATCH = {"min_confidence": 1.0}                                        # how sure matching must be to choose this skill unnamed


def compile_skill(folder: str, files: Mapping[str, SkillFile]) -> Definition:
    """The definition of the skill in a folder of this name. Raises SkillError, and nothing else for any bytes."""
    try:
        bundle = describe(files)
    except BundleError as error:
        raise SkillError(error.file, None, error.reason) from None
    source = parse(folder, {path: file.data for path, file in files.items()})
    table = Table(source.toml, source.toml_lines.line_of)
    input_schema, input_compiled = _schema(table, "input")
    output_schema, output_compiled = _schema(table, "output")
    document: dict[str, Any] = {
        "v": DOCUMENT_VERSION, "name": source.name, "description": source.description, "body": source.body,
        "version": table.text("version", "0", VERSION_CHARACTERS_MAX),
        "keywords": _texts(table, "keywords", KEYWORDS_MAX, KEYWORD_CHARACTERS_MAX),
        "examples": _texts(table, "examples", EXAMPLES_MAX, TASK_CHARACTERS_MAX),
        "input": input_schema, "output": output_schema,
        "concurrency": table.wholes({"concurrency": CONCURRENCY_MAX}).get("concurrency"),
        "slo": _numbers(table.table("slo"), SLO), "budget": _numbers(table.table("budget"), BUDGET),
        "match": _match(table.table("match")),
        "license": source.license or "", "metadata": source.metadata, "bundle": bundle.document(),
    }
    steps = _steps(table, files)
    table.end()
    document["steps"] = [step.document() for step in steps]
    return Definition.of(document, steps, input_compiled, output_compiled)


def _schema(table: Table, name: str) -> tuple[dict[str, Any] | None, Schema | None]:
    """The JSON Schema of a table, raw and compiled; (None, None) where there is none."""
    raw = table.any(name)
    if raw is None:
        return None, None
    if not isinstance(raw, dict):
        raise table.error("must be a table that holds a JSON Schema", name)
    try:
        return raw, compile_schema(raw)
    except SchemaError as error:
        raise table.error(f"not a JSON Schema at {error.pointer or '/'}: {error.reason}", name, *path_of(error.pointer, raw)) from None


def _texts(table: Table, name: str, most: int, characters: int) -> list[str]:
    texts = table.texts(name, characters)
    if len(texts) > most:
        raise table.error(f"must have at most {most} items, not {len(texts)}", name)
    return list(texts)


def _match(table: Table) -> dict[str, Any]:
    """How sure matching must be, and who may be given the skill unnamed."""
    found: dict[str, Any] = table.numbers(MATCH)
    said: dict[str, Any] = {"state": table.choice("state", STATES, STATES[0]), "hidden": table.flag("hidden", False)}
    found |= {name: value for name, value in said.items() if table.has(name)}
    for name in ("tenants", "languages", "labels"):
        if texts := _texts(table, name, AUDIENCE_MAX, AUDIENCE_CHARACTERS_MAX):
            found[name] = texts
    for index, language in enumerate(found.get("languages", ())):
        if not LANGUAGE.fullmatch(language):
            raise table.error("must be a language code of two or three letters, such as \"de\"", "languages", index)
    table.end()
    return found


def _numbers(table: Table, highest: Mapping[str, float]) -> dict[str, float]:
    """A table of numbers, and of nothing else."""
    found = table.numbers(highest)
    table.end()
    return found


def _steps(table: Table, files: Mapping[str, SkillFile]) -> list[StepDef]:
    """The steps in topological order; the instructions alone are one step of kind prompt."""
    tables = table.tables("steps")
    if not tables:
        return [read_step(Table({"id": "prompt", "kind": "prompt"}, table.line_of), files)]
    if len(tables) > STEPS_MAX:
        raise table.error(f"at most {STEPS_MAX} steps, not {len(tables)}", "steps", STEPS_MAX)
    steps = [read_step(each, files) for each in tables]
    places: dict[str, Table] = {}
    for step, place in zip(steps, tables, strict=True):
        if step.id in places:
            raise place.error("another step has this id", "id")
        places[step.id] = place
    for step in steps:
        _check_after(step, places)
    ordered = _ordered(steps, places)
    _check_references(ordered, places)
    return ordered


def _check_after(step: StepDef, places: Mapping[str, Table]) -> None:
    """Every id in `after` is another step, once."""
    for index, before in enumerate(step.after):
        place = places[step.id]
        if before == step.id:
            raise place.error("a step cannot wait for itself", "after", index)
        if before not in places:
            raise place.error(f"there is no step {before!r}{did_you_mean(before, places)}", "after", index)
        if before in step.after[:index]:
            raise place.error(f"names {before} twice", "after", index)


def _ordered(steps: Sequence[StepDef], places: Mapping[str, Table]) -> list[StepDef]:
    """Topological order, file order among equals."""
    number = {step.id: index for index, step in enumerate(steps)}
    graph = graphlib.TopologicalSorter({step.id: step.after for step in steps})
    try:
        graph.prepare()
    except graphlib.CycleError as error:
        cycle: list[str] = error.args[1][:-1]
        first = cycle.index(min(cycle, key=number.__getitem__))
        around = [*cycle[first:], *cycle[:first], cycle[first]]
        raise places[around[0]].error(f"the steps wait for each other in a circle: {' -> '.join(around)}", "after") from None
    ordered: list[StepDef] = []
    ready = [number[name] for name in graph.get_ready()]
    heapq.heapify(ready)
    while ready:
        step = steps[heapq.heappop(ready)]
        ordered.append(step)
        graph.done(step.id)
        for name in graph.get_ready():
            heapq.heappush(ready, number[name])
    return ordered


def _check_references(ordered: Sequence[StepDef], places: Mapping[str, Table]) -> None:
    """A template sees only outputs that are certain to be there: those of steps that its step depends on."""
    before: dict[str, frozenset[str]] = {}
    for step in ordered:
        before[step.id] = frozenset(step.after).union(*(before[name] for name in step.after))
        for reference in step.compiled.references:
            name = reference.step
            if name is None or name in before[step.id]:
                continue
            if name == step.id:
                reason = "a step cannot see its own output"
            elif name in places:
                reason = f"step {step.id} does not depend on step {name}; add {name!r} to its after"
            else:
                reason = f"there is no step {name!r}{did_you_mean(name, places)}"
            raw = {**step.spec, "input": step.input}
            raise places[step.id].error(f"{{{{{reference.text}}}}}: {reason}", *path_of(reference.pointer, raw))
