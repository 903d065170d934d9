"""Where the schemas of one document stand and what a reference in it names.

A document is walked once: every place that the dialect gives to a schema is noted with the resource (`$id`) that it belongs to, every anchor
with its place. Places are JSON Pointers from the root of the document. Nothing outside the document is ever looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from skills.schema_applicators import SHAPES
from skills.schema_values import SchemaError, escaped, kind_of, text_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")
ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(slots=True)
class Resource:
    """A schema with an address of its own: the document, or a part of it with `$id`. Anchors give their place."""

    uri: str
    root: str
    anchors: dict[str, str] = field(default_factory=dict)
    dynamic: dict[str, str] = field(default_factory=dict)


class Document:
    """A schema document and everything that a reference may name in it. SchemaError when a place for a schema holds something else."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.schemas: dict[str, tuple[Any, Resource]] = {}             # by place
        self.resources: dict[str, Resource] = {}                       # by address
        self.has_dynamic_references = False
        root = Resource("", "")
        if not (isinstance(schema, dict) and "$id" in schema):
            self.resources[""] = root
        self._walk("", schema, root)

    def resolve(self, reference: Any, pointer: str) -> str:
        """The place that the reference at `pointer` names."""
        if not isinstance(reference, str):
            raise SchemaError(pointer, f"must be a string, is {kind_of(reference)}")
        base = self._holder(pointer)
        whole = base.uri + reference if reference.startswith("#") else urljoin(base.uri, reference)
        uri, fragment = urldefrag(whole)
        resource = self.resources.get(uri)
        if resource is None:
            raise SchemaError(pointer, f"the reference {text_of(reference)} leaves the document, and nothing is fetched")
        fragment = unquote(fragment)
        if fragment.startswith("/"):
            return self._place_at(resource, fragment, pointer)
        if not fragment:
            return resource.root
        if fragment not in resource.anchors:
            raise SchemaError(pointer, f"the reference {text_of(reference)} names an anchor that is not there")
        return resource.anchors[fragment]

    def dynamic_name(self, reference: str, place: str) -> str | None:
        """The anchor by which a `$dynamicRef` that resolves to `place` looks for an outer schema; None when it is an ordinary reference."""
        name = unquote(urldefrag(reference).fragment)
        return name if self.schemas[place][1].dynamic.get(name) == place else None

    def _walk(self, pointer: str, schema: Any, resource: Resource) -> None:
        """Note the schema at `pointer` and all below it."""
        if isinstance(schema, dict):
            if "$schema" in schema and str(schema["$schema"]).rstrip("#") != DIALECT:
                raise SchemaError(f"{pointer}/$schema", f"the dialect {text_of(schema['$schema'])} is not supported, only {DIALECT}")
            if "$id" in schema:
                resource = self._resource(pointer, schema["$id"], resource)
            self._note_anchors(pointer, schema, resource)
            self.has_dynamic_references = self.has_dynamic_references or "$dynamicRef" in schema
        elif not isinstance(schema, bool):
            raise SchemaError(pointer, f"must be a schema (an object, true or false), is {kind_of(schema)}")
        self.schemas[pointer] = (schema, resource)
        for keyword in schema if isinstance(schema, dict) else ():
            if keyword in SHAPES:
                self._walk_keyword(f"{pointer}/{keyword}", keyword, schema[keyword], resource)

    def _walk_keyword(self, pointer: str, keyword: str, value: Any, resource: Resource) -> None:
        """Walk the schemas below a keyword, which must have the shape that the dialect gives them."""
        shape = SHAPES[keyword]
        if shape == "one":
            hint = "; a list of schemas for the first items is prefixItems" if keyword == "items" and isinstance(value, list) else ""
            if hint:
                raise SchemaError(pointer, f"must be a schema (an object, true or false), is an array{hint}")
            self._walk(pointer, value, resource)
        elif shape == "list":
            if not isinstance(value, list) or not value:
                raise SchemaError(pointer, "must be an array of at least one schema")
            for index, schema in enumerate(value):
                self._walk(f"{pointer}/{index}", schema, resource)
        else:
            if not isinstance(value, dict):
                raise SchemaError(pointer, f"must be an object whose members are schemas, is {kind_of(value)}")
            for name, schema in value.items():
                self._walk(f"{pointer}/{escaped(name)}", schema, resource)

    def _resource(self, pointer: str, address: Any, outer: Resource) -> Resource:
        """The new resource that begins at `pointer`."""
        if not isinstance(address, str):
            raise SchemaError(f"{pointer}/$id", f"must be a string, is {kind_of(address)}")
        uri, fragment = urldefrag(urljoin(outer.uri, address))
        if fragment:
            raise SchemaError(f"{pointer}/$id", "must not have a fragment; that is what $anchor is for")
        if uri in self.resources:
            raise SchemaError(f"{pointer}/$id", f"{text_of(uri)} is the address of two schemas")
        self.resources[uri] = Resource(uri, pointer)
        return self.resources[uri]

    def _note_anchors(self, pointer: str, schema: dict[str, Any], resource: Resource) -> None:
        """Put the schema's anchors into its resource."""
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = schema.get(keyword)
            if keyword not in schema:
                continue
            if not isinstance(name, str) or not ANCHOR.fullmatch(name):
                raise SchemaError(f"{pointer}/{keyword}", "must be a name of letters, digits, `-`, `_` and `.` that starts with a letter or `_`")
            if resource.anchors.setdefault(name, pointer) != pointer:
                raise SchemaError(f"{pointer}/{keyword}", f"the anchor {text_of(name)} is there twice")
            if keyword == "$dynamicAnchor":
                resource.dynamic[name] = pointer

    def _holder(self, pointer: str) -> Resource:
        """The resource that a place of the document belongs to: that of the nearest schema around it."""
        while pointer not in self.schemas:
            pointer = pointer.rpartition("/")[0]
        return self.schemas[pointer][1]

    def _place_at(self, resource: Resource, fragment: str, pointer: str) -> str:
        """The place that a JSON Pointer names within a resource. A place that the walk did not take for a schema is walked now."""
        value, place = self.schemas[resource.root][0], resource.root
        for token in fragment.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and ARRAY_INDEX.fullmatch(name) and int(name) < len(value):
                value = value[int(name)]
            else:
                raise SchemaError(pointer, f"the reference to {text_of('#' + fragment)} names a place that is not there")
            place += "/" + escaped(name)
        if place not in self.schemas:
            self._walk(place, value, self._holder(place))
        return place
