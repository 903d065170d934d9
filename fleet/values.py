"""Big values: how a value over the inline limit becomes an artifact and how a step gets it back. Both sides import this page.

A reference is `{"$artifact": "sha256:<hex>"}`. With `"as": "text"` or `"as": "json"` it stands for a value that was given inline and reaches
the step inline again; a plain one was given as an artifact and reaches a python step as a `pathlib.Path`, a run step with its `path`.
Nothing here reads a disk or a network: the bytes come and go through callables.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from state.limits import KIB, MIB, VALUE_INLINE_BYTES_MAX

OPEN_DEPTH_MAX = 8                    # a big value nested deeper is taken out whole: measuring every level would cost depth times size
MEMBERS_TAKEN_OUT_MAX = 16            # of one object, so that its small members stay inline; more would be many small files
MEMBER_BYTES_MIN = 4 * KIB            # taking out less than this hardly makes an object smaller
RESTORED_BYTES_MAX = 256 * MIB        # what the references of one input may bring back into memory
REFERENCE = re.compile(r"sha256:([0-9a-f]{64})")

assert MEMBER_BYTES_MIN * MEMBERS_TAKEN_OUT_MAX <= VALUE_INLINE_BYTES_MAX

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Reference(NamedTuple):
    """One artifact that a value names; `form` is "text", "json" or "" (a plain reference)."""

    sha256: str
    form: str


def encoded(value: Any) -> bytes:
    """Compact JSON in UTF-8; text that UTF-8 cannot carry (lone surrogates) is escaped. ValueError for NaN, TypeError for what is not JSON."""
    text = _encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _encode_ascii(value).encode()


def text_bytes(text: str) -> bytes:
    """The bytes of a text artifact; lone surrogates are kept."""
    return text.encode("utf-8", "surrogatepass")


def digest(content: bytes) -> str:
    """sha256 in hex, the name of content everywhere."""
    return hashlib.sha256(content).hexdigest()


def reference(value: Any) -> Reference | None:
    """The Reference that an object stands for, or None."""
    if type(value) is not dict or type(value.get("$artifact")) is not str:
        return None
    found = REFERENCE.fullmatch(value["$artifact"])
    form = value.get("as", "")
    return Reference(found[1], form if form in ("text", "json") else "") if found else None


# -- Taking big values out -------------------------------------------------------------------------------------------------------


def spill(value: Any, put: Callable[[bytes], str]) -> Any:
    """`value` with each part over VALUE_INLINE_BYTES_MAX replaced by a reference; `put` keeps bytes and returns their sha256 in hex.

    The same value gives the same references. A big object or array is opened first, so that its small members stay inline; it is taken out
    whole only if it is still too big without its big members. Costs milliseconds per MB for big values: not for the loop.
    """
    whole = encoded(value)
    return value if len(whole) <= VALUE_INLINE_BYTES_MAX else _spilled(value, whole, put, 0)


def _spilled(value: Any, whole: bytes, put: Callable[[bytes], str], depth: int) -> Any:
    """`value`, whose encoding `whole` is over the limit, opened or taken out. Nothing is put for a part of what is then taken out whole."""
    if isinstance(value, str):
        return _taken_out(text_bytes(value), "text", put)
    if depth >= OPEN_DEPTH_MAX or not isinstance(value, (dict, list, tuple)):
        return _taken_out(whole, "json", put)
    members = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    parts = [encoded(member) for _, member in members]
    big = {i for i, part in enumerate(parts) if len(part) > VALUE_INLINE_BYTES_MAX}
    left = len(whole) - sum(len(parts[i]) - _REFERENCE_BYTES for i in big)
    if isinstance(value, dict) and left > VALUE_INLINE_BYTES_MAX:
        left = _also_taken(parts, big, left)
    if left > VALUE_INLINE_BYTES_MAX:
        return _taken_out(whole, "json", put)
    opened = [(key, _member(member, parts[i], put, depth) if i in big else member) for i, (key, member) in enumerate(members)]
    if len(encoded(dict(opened) if isinstance(value, dict) else [m for _, m in opened])) > VALUE_INLINE_BYTES_MAX:
        return _taken_out(whole, "json", put)       # its members, opened, still hold too much between them
    return dict(opened) if isinstance(value, dict) else [member for _, member in opened]


def _also_taken(parts: list[bytes], big: set[int], left: int) -> int:
    """Add the largest of an object's other members to `big` until the rest fits; the bytes then left. Order: size, then position."""
    for i in sorted(range(len(parts)), key=lambda i: (-len(parts[i]), i))[:MEMBERS_TAKEN_OUT_MAX]:
        if left <= VALUE_INLINE_BYTES_MAX or len(parts[i]) < MEMBER_BYTES_MIN:
            break
        if i not in big:
            big.add(i)
            left -= len(parts[i]) - _REFERENCE_BYTES
    return left


def _member(value: Any, part: bytes, put: Callable[[bytes], str], depth: int) -> Any:
    if len(part) > VALUE_INLINE_BYTES_MAX:
        return _spilled(value, part, put, depth + 1)
    return _taken_out(text_bytes(value), "text", put) if isinstance(value, str) else _taken_out(part, "json", put)


def _taken_out(content: bytes, form: str, put: Callable[[bytes], str]) -> dict[str, Any]:
    return {"$artifact": f"sha256:{put(content)}", "as": form, "bytes": len(content)}


_REFERENCE_BYTES = len('{"$artifact":"sha256:","as":"text","bytes":1234567890}') + 64


# -- Putting them back -----------------------------------------------------------------------------------------------------------


def references(value: Any) -> list[Reference]:
    """Every reference in a value, each once, in the order of the value."""
    found: dict[Reference, None] = {}
    stack = [value]
    while stack:
        item = stack.pop()
        named = reference(item)
        if named:
            found[named] = None
        elif isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))
    return list(found)


def restored(value: Any, content: Callable[[str], bytes], path: Callable[[str], str]) -> Any:
    """What a step sees: references with `as` become their values, plain ones get a `path` member.

    `content` gives the bytes of a sha256, `path` a local file with them. ValueError when more than RESTORED_BYTES_MAX would come back.
    """
    room = RESTORED_BYTES_MAX

    def walk(item: Any) -> Any:
        nonlocal room
        named = reference(item)
        if named is None:
            if isinstance(item, dict):
                return {key: walk(member) for key, member in item.items()}
            return [walk(member) for member in item] if isinstance(item, list) else item
        if not named.form:
            return {**item, "path": path(named.sha256)}
        data = content(named.sha256)
        room -= len(data)
        if room < 0:
            raise ValueError(f"the input's artifacts hold more than {RESTORED_BYTES_MAX} bytes of inline values; pass plain artifacts instead")
        return data.decode("utf-8", "surrogatepass") if named.form == "text" else walk(json.loads(data))

    return walk(value)
