"""Big values: taken out of a value by a rule that gives the same references each time, and put back."""

from __future__ import annotations

import hashlib
from typing import Any

from fleet.values import encoded, reference, references, restored, spill
from state.limits import VALUE_INLINE_BYTES_MAX
from tests.kit import refuses, same

BIG = "x" * (VALUE_INLINE_BYTES_MAX + 1)


class Shelf(dict[str, bytes]):
    """Artifacts of a test."""

    def put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        self[name] = content
        return name

    def back(self, value: Any) -> Any:
        return restored(value, self.__getitem__, lambda name: f"/kept/{name}")


def spilled(value: Any) -> tuple[Any, Shelf]:
    shelf = Shelf()
    found = spill(value, shelf.put)
    assert len(encoded(found)) <= VALUE_INLINE_BYTES_MAX
    same(shelf.back(found), value)
    same(encoded(spill(value, Shelf().put)), encoded(found))
    return found, shelf


def test_what_fits_stays_as_it_is():
    value = {"text": "x" * 1000, "rows": [1, 2, None, True, 0.5]}
    assert spill(value, lambda _: "") is value


def test_a_big_text_becomes_a_text_artifact_and_its_small_neighbours_stay():
    found, shelf = spilled({"text": BIG, "name": "a.csv", "deep": {"more": [BIG + "y", 3]}})
    same((found["name"], found["text"]["as"], found["text"]["bytes"], found["deep"]["more"][1]), ("a.csv", "text", len(BIG), 3))
    assert shelf[found["text"]["$artifact"].removeprefix("sha256:")] == BIG.encode()
    same(len(shelf), 2)


def test_many_small_rows_become_one_json_artifact_beside_what_is_small():
    found, shelf = spilled({"rows": [{"n": i} for i in range(20_000)], "count": 20_000})
    same((found["count"], found["rows"]["as"], len(shelf)), (20_000, "json", 1))


def test_members_that_fit_alone_but_not_together_go_out_largest_first():
    found, shelf = spilled({"a": "a" * 40_000, "b": "b" * 50_000, "c": list(range(100))})
    same((found["b"]["as"], len(found["a"]), found["c"][:2], len(shelf)), ("text", 40_000, [0, 1], 1))


def test_a_value_of_countless_members_goes_out_whole():
    found, shelf = spilled({str(i): "v" * 20 for i in range(10_000)})
    same((found["as"], len(shelf)), ("json", 1))
    found, shelf = spilled([{"text": "r" * 1_000} for _ in range(100)])
    same((found["as"], len(shelf)), ("json", 1))


def test_text_that_utf8_cannot_carry_survives():
    same(spilled("\ud800" * VALUE_INLINE_BYTES_MAX)[0]["as"], "text")
    same(spilled({"t": BIG + "\ud800ü", "n": 1})[0]["n"], 1)


def test_depth_is_bounded_and_nothing_is_lost():
    value: Any = BIG
    for _ in range(50):
        value = [value, 1]
    found, shelf = spilled(value)
    same((found[1], len(shelf)), (1, 1))


def test_nan_and_what_is_not_json_are_refused():
    refuses(ValueError, lambda: spill([float("nan")], lambda _: ""))
    refuses(TypeError, lambda: spill([object()], lambda _: ""))


def test_a_plain_reference_gets_a_path_and_one_inside_a_restored_value_too():
    shelf = Shelf()
    inner = shelf.put(b"raw")
    plain = {"$artifact": f"sha256:{inner}", "name": "a.bin", "path": "/etc/passwd"}
    outer = shelf.put(encoded({"file": plain}))
    value = {"a": plain, "b": {"$artifact": f"sha256:{outer}", "as": "json"}}
    wanted = {**plain, "path": f"/kept/{inner}"}
    same(shelf.back(value), {"a": wanted, "b": {"file": wanted}})
    same([(r.sha256, r.form) for r in references(value)], [(inner, ""), (outer, "json")])


def test_what_only_looks_like_a_reference_is_data():
    for value in ({"$artifact": "sha256:short"}, {"$artifact": 3}, {"artifact": "sha256:" + "a" * 64}):
        same((reference(value), Shelf().back(value)), (None, value))


def test_an_input_cannot_bring_back_more_than_memory_takes():
    bomb = {"$artifact": "sha256:" + "a" * 64, "as": "text"}
    refuses(ValueError, lambda: restored([bomb] * 5, lambda _: b"x" * (64 << 20), str), "inline")
