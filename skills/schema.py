"""JSON Schema 2020-12: `compile_schema` turns a schema into closures once, `Schema.errors` lists how a value does not fit.

All validation keywords, references within the document (`$ref`, `$anchor`, `$id`, `$dynamicRef`), `format` as annotation. Nothing is ever
fetched: a reference that leaves the document is a compile error, and so is every keyword value that the dialect does not allow.
`$dynamicRef` is resolved at compile time: a schema is compiled once for each set of dynamic anchors that it can be reached with, so that a
check carries no scope. A schema that comes back to itself for the same value would never end and is refused.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from skills.schema_applicators import APPLICATORS, UNEVALUATED, unevaluated
from skills.schema_document import Document, Resource
from skills.schema_keywords import ANNOTATIONS, ASSERTIONS
from skills.schema_values import (
    ANY,
    STOP,
    At,
    Check,
    Enough,
    Failures,
    SchemaError,
    SchemaFailure,
    Seen,
    Sink,
    escaped,
    is_artifact_reference,
)

__all__ = ["FAILURES_MAX", "Schema", "SchemaError", "SchemaFailure", "compile_schema", "is_artifact_reference"]

FAILURES_MAX = 50                      # of one instance: more helps nobody, and an array of a million wrong items must not become a reply
NODES_MAX = 20_000                     # compiled schemas of one document: a hand-written one has hundreds
TOO_DEEP = SchemaFailure("", "", "is nested too deeply to be checked", "")

Scope: TypeAlias = tuple[tuple[str, str], ...]                         # dynamic anchors in force and their places, sorted


class Schema:
    """A compiled schema. `document` is what it was compiled from."""

    __slots__ = ("_check", "document")

    def __init__(self, document: Any, check: Check) -> None:
        self.document = document
        self._check = check

    def errors(self, instance: Any) -> list[SchemaFailure]:
        """How the instance does not fit, in an order that depends on schema and instance alone; at most FAILURES_MAX, empty when it fits."""
        failures = Failures(FAILURES_MAX)
        try:
            self._check(instance, None, failures, None)
        except Enough:
            return failures.found
        except RecursionError:
            return [TOO_DEEP]
        return failures.found

    def is_valid(self, instance: Any) -> bool:
        """Whether the instance fits; faster than `errors` when it does not."""
        try:
            self._check(instance, None, STOP, None)
        except (Enough, RecursionError):
            return False
        return True


def compile_schema(schema: Any) -> Schema:
    """A schema (parsed JSON: an object or a boolean) ready to judge. SchemaError says where and why it is none."""
    try:
        compiler = _Compiler(Document(schema))
        root = compiler.node("", ())
        for place in list(compiler.document.schemas):                  # what no reference uses is still read: mistakes hide there
            compiler.node(place, ())
        compiler.refuse_endless()
    except RecursionError:
        raise SchemaError("", "is nested too deeply") from None
    return Schema(schema, root.check)


class _Table(dict[type, tuple[Check, ...]]):
    """Checks by the Python type of the value."""

    def __missing__(self, kind: type) -> tuple[Check, ...]:
        raise TypeError(f"{kind.__name__} is not a type of parsed JSON")


class _Node:
    """One compiled schema. Made before its checks, so that a schema may refer to itself."""

    __slots__ = ("beside", "place", "table", "takes_artifacts")

    def __init__(self, place: str, takes_artifacts: bool) -> None:
        self.place = place
        self.takes_artifacts = takes_artifacts
        self.table = _Table()
        self.beside: list[_Node] = []                                  # nodes that judge the same value

    def check(self, value: Any, at: At, out: Sink, seen: Seen) -> None:
        """Tell `out` how the value does not fit. What stands for an artifact fits everywhere but where nothing does."""
        kind = type(value)
        if kind is dict and "$artifact" in value and self.takes_artifacts and is_artifact_reference(value):
            return
        for check in self.table[kind]:
            check(value, at, out, seen)


class _Compiler:
    """Nodes of one document, each made once for a place and a scope."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes: dict[tuple[str, Scope], _Node] = {}

    def node(self, place: str, scope: Scope) -> _Node:
        """The node of a schema that is reached with `scope`."""
        schema, resource = self.document.schemas[place]
        scope = self.entered(resource, scope)
        node = self.nodes.get((place, scope))
        if node is None:
            if len(self.nodes) >= NODES_MAX:
                raise SchemaError(place, f"there are more than {NODES_MAX} schemas in the document")
            node = self.nodes[place, scope] = _Node(place, takes_artifacts=schema is not False)
            self.fill(node, schema, scope)
        return node

    def entered(self, resource: Resource, scope: Scope) -> Scope:
        """The scope within a resource: outer anchors win. Documents without dynamic references do with one scope."""
        if not self.document.has_dynamic_references or not resource.dynamic:
            return scope
        return tuple(sorted({**resource.dynamic, **dict(scope)}.items()))

    def fill(self, node: _Node, schema: Any, scope: Scope) -> None:
        """Give a node its checks, in the order of the two tables of keywords."""
        node.table.update((kind, ()) for kind in ANY)
        if schema is False:
            node.table.update((kind, (_nothing(node.place),)) for kind in ANY)
        if isinstance(schema, bool):
            return
        _look_at_annotations(node.place, schema)
        for table in (ASSERTIONS, APPLICATORS):
            for keyword, build in table.items():
                if keyword in schema:
                    for kinds, check in build(_Place(self, node, schema, keyword, scope)):
                        for kind in kinds:
                            node.table[kind] += (check,)
        for keyword, kind in UNEVALUATED.items():
            if keyword in schema:
                node.table[kind] = (_with_rest(node.table[kind], unevaluated(_Place(self, node, schema, keyword, scope), kind), kind),)

    def refuse_endless(self) -> None:
        """SchemaError when a node leads back to itself without a step into the value."""
        ended: set[_Node] = set()
        for start in self.nodes.values():
            way: dict[_Node, int] = {start: 0}                         # the nodes on the way down, and which way on is next
            while way:
                node, turn = way.popitem()
                if node in ended or turn >= len(node.beside):
                    ended.add(node)
                    continue
                way[node] = turn + 1
                onward = node.beside[turn]
                if onward in way:
                    raise SchemaError(onward.place, "applies itself to the same value again, without end")
                way[onward] = 0


class _Place:
    """A keyword of a schema that is being compiled (`schema_keywords.Place`)."""

    __slots__ = ("compiler", "keyword", "node", "pointer", "schema", "scope", "value")

    def __init__(self, compiler: _Compiler, node: _Node, schema: dict[str, Any], keyword: str, scope: Scope) -> None:
        self.compiler = compiler
        self.node = node
        self.schema = schema
        self.keyword = keyword
        self.scope = scope
        self.value = schema.get(keyword)
        self.pointer = f"{node.place}/{escaped(keyword)}"

    def at(self, path: tuple[str | int, ...]) -> str:
        """The place at `path` below the keyword."""
        return "".join((self.pointer, *("/" + escaped(str(step)) for step in path)))

    def refuse(self, reason: str, *path: str | int) -> SchemaError:
        """As `Place.refuse`."""
        return SchemaError(self.at(path), reason)

    def below(self, *path: str | int) -> Check:
        """As `Place.below`."""
        return self.compiler.node(self.at(path), self.scope).check

    def beside(self, *path: str | int) -> Check:
        """As `Place.beside`."""
        return self._joined(self.compiler.node(self.at(path), self.scope))

    def sibling(self, keyword: str) -> _Place:
        """As `Place.sibling`."""
        return _Place(self.compiler, self.node, self.schema, keyword, self.scope)

    def referred(self) -> Check:
        """As `Place.referred`."""
        document = self.compiler.document
        place = document.resolve(self.value, self.pointer)
        name = document.dynamic_name(str(self.value), place) if self.keyword == "$dynamicRef" else None
        if name is not None:
            place = dict(self.scope).get(name, place)
        return self._joined(self.compiler.node(place, self.scope))

    def _joined(self, node: _Node) -> Check:
        """The check of a node that judges the same value."""
        self.node.beside.append(node)
        return node.check


def _look_at_annotations(place: str, schema: dict[str, Any]) -> None:
    """Refuse an annotation of the wrong type."""
    for keyword, (kind, wanted) in ANNOTATIONS.items():
        if keyword in schema and not isinstance(schema[keyword], kind):
            raise SchemaError(f"{place}/{keyword}", f"must be {wanted}")


def _nothing(place: str) -> Check:
    """The check of the schema `false`."""
    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        out.fail(at, "false", place, "is not allowed here")

    return check


def _with_rest(checks: tuple[Check, ...], rest: Check, kind: type) -> Check:
    """All checks of a node, then the one for what they have not evaluated; after that everything is."""
    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        mine: set[str | int] = set()
        for each in checks:
            each(value, at, out, mine)
        rest(value, at, out, mine)
        if seen is not None:
            seen.update(value if kind is dict else range(len(value)))

    return check
