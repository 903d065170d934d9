"""Definitions: one version of one skill, compiled; all that a job needs to be run later, from its document and its bundle alone.

A `Definition` is made by `skills.compile` or read back from `data/definitions/<sha256>.json`; both ways lead through `Definition.of`, so the
round trip is exact. Its sha256 is the hash of the canonical JSON of its document. Nobody changes a definition or anything in it.
What depends on this version of the program (can it run the kinds of the steps?) is computed, never part of the document.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skills.bundle import Bundle
from skills.schema import Schema, compile_schema
from skills.template import CompiledValue, Template, TemplateError

DOCUMENT_VERSION = 1
RUNNABLE_KINDS = frozenset({"python", "run", "http"})
TEMPLATED = {"run": ("argv",), "http": ("url", "headers", "body")}      # members of `spec` that may hold templates, by kind


@dataclass(frozen=True, slots=True)
class StepDef:
    """One step. `input` is the template as written (None: the job's input), `spec` the members of its kind as the worker needs them.

    `limits` has memory_mb, cpu_s, files, output_bytes where they were given; `dependents` are the steps that wait directly for this one.
    """

    id: str
    kind: str
    after: tuple[str, ...]
    dependents: tuple[str, ...]
    input: Any
    needs_labels: tuple[str, ...]
    memory_mb: int
    timeout_s: float
    attempts: int
    backoff_s: float
    effects: str
    limits: Mapping[str, int]
    spec: Mapping[str, Any]
    compiled: CompiledValue

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StepDef:
        """A step without its dependents. Raises TemplateError; pointers begin with the member, such as `/input/rows` or `/argv/1`."""
        spec = document["spec"]
        members = {name: spec[name] for name in TEMPLATED.get(document["kind"], ()) if name in spec and name != "url"}
        if document["input"] is not None:
            members["input"] = document["input"]
        compiled = Template.compile(members)
        values, references = compiled.value, compiled.references
        if document["kind"] == "http":
            url = Template.compile_url(spec["url"], "/url")
            values, references = {**values, "url": url.value}, references + url.references
        compiled = CompiledValue(values, tuple(sorted(references, key=lambda reference: reference.pointer)))    # the same from any order of members
        return cls(id=document["id"], kind=document["kind"], after=tuple(document["after"]), dependents=(), input=document["input"],
                   needs_labels=tuple(document["needs_labels"]), memory_mb=document["memory_mb"], timeout_s=document["timeout_s"],
                   attempts=document["attempts"], backoff_s=document["backoff_s"], effects=document["effects"],
                   limits=document["limits"], spec=spec, compiled=compiled)

    def document(self) -> dict[str, Any]:
        """What `from_document` takes."""
        return {"id": self.id, "kind": self.kind, "after": list(self.after), "input": self.input, "needs_labels": list(self.needs_labels),
                "memory_mb": self.memory_mb, "timeout_s": self.timeout_s, "attempts": self.attempts, "backoff_s": self.backoff_s,
                "effects": self.effects, "limits": dict(self.limits), "spec": dict(self.spec)}

    def resolve(self, view: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """(input, spec) with every template replaced, for the view of `CompiledValue.resolve`. Raises TemplateError.

        Values in argv and headers become text: numbers and objects as JSON; an argument or a header whose value is null is left out.
        """
        values = self.compiled.resolve(view)
        spec = {**self.spec, **{name: value for name, value in values.items() if name != "input"}}
        if self.kind == "run":
            spec["argv"] = [_text(value) for value in spec["argv"] if value is not None]
        if self.kind == "http":
            spec["headers"] = {name: _text(value) for name, value in spec["headers"].items() if value is not None}
            if not isinstance(spec["url"], str):
                raise TemplateError("/url", self.spec["url"].strip("{} "), "the value is not a string")
        return values.get("input", view["input"]) if self.input is not None else view["input"], spec


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a skill. `steps` stand in topological order, in file order among equals; `ends` are those that nothing waits for.

    `input_schema` and `output_schema` are JSON or None, `input` and `output` the same compiled. `not_runnable` says why `runnable` is false.
    """

    name: str
    version: str
    description: str
    body: str
    keywords: tuple[str, ...]
    examples: tuple[str, ...]
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    input: Schema | None
    output: Schema | None
    steps: tuple[StepDef, ...]
    by_id: Mapping[str, StepDef]
    ends: tuple[str, ...]
    kinds: frozenset[str]
    concurrency: int | None
    slo: Mapping[str, Any]
    budget: Mapping[str, Any]
    match: Mapping[str, Any]
    license: str
    metadata: Mapping[str, Any]
    bundle: Bundle
    runnable: bool
    not_runnable: str
    sha256: str

    @classmethod
    def of(cls, document: Mapping[str, Any], steps: Sequence[StepDef], input: Schema | None, output: Schema | None) -> Definition:
        """Put together a document and what was compiled from it; `steps` in topological order."""
        waiting: dict[str, list[str]] = {step.id: [] for step in steps}
        for step in steps:
            for before in step.after:
                waiting[before].append(step.id)
        linked = tuple(dataclasses.replace(step, dependents=tuple(waiting[step.id])) for step in steps)
        stopper = next((step for step in linked if step.kind not in RUNNABLE_KINDS), None)
        reason = f"step {stopper.id} is of kind {stopper.kind}, which this version cannot run yet" if stopper else ""
        return cls(
            name=document["name"], version=document["version"], description=document["description"], body=document["body"],
            keywords=tuple(document["keywords"]), examples=tuple(document["examples"]),
            input_schema=document["input"], output_schema=document["output"], input=input, output=output,
            steps=linked, by_id={step.id: step for step in linked}, ends=tuple(step.id for step in linked if not step.dependents),
            kinds=frozenset(step.kind for step in linked), concurrency=document["concurrency"], slo=document["slo"],
            budget=document["budget"], match=document["match"], license=document["license"], metadata=document["metadata"],
            bundle=Bundle.from_document(document["bundle"]), runnable=stopper is None, not_runnable=reason,
            sha256=hashlib.sha256(canonical(document)).hexdigest())

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Definition:
        """The definition that `document()` described. Raises ValueError for another version of documents.

        The caller has checked the hash, so any other error means that the document was never one of ours.
        """
        if document["v"] != DOCUMENT_VERSION:
            raise ValueError(f"a definition of version {document['v']}; this program reads version {DOCUMENT_VERSION}")
        schemas = [None if document[name] is None else compile_schema(document[name]) for name in ("input", "output")]
        return cls.of(document, [StepDef.from_document(step) for step in document["steps"]], schemas[0], schemas[1])

    def document(self) -> dict[str, Any]:
        """The JSON document that is kept; its canonical bytes have the hash `sha256`."""
        return {"v": DOCUMENT_VERSION, "name": self.name, "version": self.version, "description": self.description, "body": self.body,
                "keywords": list(self.keywords), "examples": list(self.examples), "input": self.input_schema, "output": self.output_schema,
                "steps": [step.document() for step in self.steps], "concurrency": self.concurrency, "slo": dict(self.slo),
                "budget": dict(self.budget), "match": dict(self.match), "license": self.license, "metadata": dict(self.metadata),
                "bundle": self.bundle.document()}


def canonical(document: Mapping[str, Any]) -> bytes:
    """One spelling of a JSON document: sorted members, no white space, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
