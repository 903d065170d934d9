"""The messages of the fleet: what is read, what is refused and where, and that the same result has the same digest."""

from __future__ import annotations

from typing import Any

from fleet.protocol import (
    commands_query,
    labels_of,
    newer_boot,
    offers,
    parse_dispatch,
    parse_heartbeat,
    parse_results,
    result_digest,
    worth_retrying,
)
from state.errors import Fault, InvalidMessage, InvalidQuery
from tests.kit import refuses, same


def a_result(**members: Any) -> dict[str, Any]:
    return {"worker": "w1", "boot": "1-a", "lease": "l_1", "attempt": 1, "status": "done", "output": {"n": 1}, **members}


def test_a_heartbeat_with_a_name_alone_is_a_worker_with_one_slot():
    beat = parse_heartbeat({"worker": "w1"})
    same((beat.worker, beat.boot, beat.slots, beat.labels, beat.held, beat.seen, beat.prefetch), ("w1", None, 1, {}, None, None, 0))


def test_a_whole_heartbeat_is_read_and_unknown_members_are_ignored():
    beat = parse_heartbeat({"worker": "gpu-1.rack", "boot": "1767225600000-5f3a", "protocol": 1, "slots": 4, "labels": {"gpu": "h100"},
                            "held": ["l_1"], "seen": 17, "load": 0.5, "memory_mb": 64000, "disk_free_mb": 1.5, "mood": "good"})
    same((beat.slots, beat.labels, beat.held, beat.seen), (4, {"gpu": "h100"}, ["l_1"], 17))
    same((beat.load, beat.memory_mb, beat.disk_free_mb), (0.5, 64000, 1))


def test_wrong_members_of_a_heartbeat_are_refused_with_their_pointer():
    for member, value, pointer in (("worker", "", "/worker"), ("worker", "a b", "/worker"), ("worker", None, "/worker"),
                                   ("worker", "x" * 65, "/worker"),
                                   ("boot", "yesterday", "/boot"), ("slots", "2", "/slots"), ("slots", True, "/slots"), ("slots", -1, "/slots"),
                                   ("labels", 3, "/labels"), ("labels", {"a b": "c"}, "/labels"), ("labels", ["x=1", 2], "/labels"),
                                   ("held", "l_1", "/held"), ("held", ["l_1", 2], "/held/1"), ("seen", -1, "/seen"), ("seen", 1.5, "/seen"),
                                   ("load", "high", "/load"), ("protocol", 2, "/protocol"), ("prefetch", 1000, "/prefetch")):
        error = refuses(InvalidMessage, lambda m=member, v=value: parse_heartbeat({"worker": "w1", m: v}))
        same((member, error.pointer), (member, pointer))
    same(refuses(InvalidMessage, lambda: parse_heartbeat([1])).pointer, "")


def test_labels_come_as_pairs_or_words_and_offer_both_forms():
    same(labels_of(["gpu=h100", "big-memory"]), {"gpu": "h100", "big-memory": ""})
    same(labels_of({"gpu": "h100", "big-memory": True}), {"gpu": "h100", "big-memory": ""})
    same(offers({"gpu": "h100", "big-memory": ""}), frozenset({"gpu", "gpu=h100", "big-memory"}))


def test_one_result_or_an_array_is_read_and_a_bad_item_leaves_its_neighbours():
    (one,) = parse_results(a_result(events=[{"k": 1, "type": "log", "data": "x", "more": 1}]))
    assert not isinstance(one, Fault)
    same((one.worker, one.lease, one.attempt, one.status, one.output, one.error, one.events),
         ("w1", "l_1", 1, "done", {"n": 1}, None, [{"k": 1, "type": "log", "data": "x"}]))
    first, second, third = parse_results([a_result(), a_result(attempt=0), a_result(lease="l_3")])
    assert isinstance(second, InvalidMessage) and not isinstance(first, Fault) and not isinstance(third, Fault)
    same(second.pointer, "/1/attempt")


def test_wrong_members_of_a_result_are_refused_with_their_pointer():
    for members, pointer in (({"worker": 1}, "/worker"), ({"lease": ""}, "/lease"), ({"lease": "a b"}, "/lease"), ({"attempt": "1"}, "/attempt"),
                             ({"attempt": True}, "/attempt"), ({"status": "fine"}, "/status"), ({"status": "failed"}, "/error"),
                             ({"error": "no"}, "/error"), ({"error": {"code": "Bad Code"}}, "/error/code"),
                             ({"error": {"message": 1}}, "/error/message"),
                             ({"error": {"retryable": "no"}}, "/error/retryable"), ({"events": {"k": 1}}, "/events"), ({"events": [1]}, "/events/0"),
                             ({"events": [{"k": 0, "type": "log"}]}, "/events/0/k"), ({"events": [{"k": 1, "type": "song"}]}, "/events/0/type")):
        (fault,) = parse_results(a_result(**members))
        assert isinstance(fault, InvalidMessage), members
        same((members, fault.pointer), (members, pointer))
    same(refuses(InvalidMessage, lambda: parse_results([a_result()] * 1001)).pointer, "")


def test_an_error_has_a_code_and_is_retryable_unless_it_says_otherwise_and_keeps_what_explains_it():
    (result,) = parse_results(a_result(status="failed", error={"message": "x" * 9000, "stderr": "y" * 9000, "exit_code": 3, "secret": 1}))
    assert not isinstance(result, Fault) and result.error is not None
    same((result.error["code"], result.error["retryable"], len(result.error["message"]), len(result.error["stderr"]), result.error["exit_code"]),
         ("step_failed", True, 4000, 4000, 3))
    assert "secret" not in result.error


def test_a_dispatch_names_a_worker_and_a_skill():
    found = parse_dispatch({"worker": "w1", "skill": "csv-profile", "input": {"text": "a"}, "priority": 5})
    same((found.worker, found.skill, found.input, found.task, found.members["priority"]), ("w1", "csv-profile", {"text": "a"}, None, 5))
    same(refuses(InvalidMessage, lambda: parse_dispatch({"worker": "w1"})).pointer, "/skill")


def test_a_poll_takes_plain_values_or_lists_and_bounds_them():
    same(tuple(commands_query({"worker": "w1"})), ("w1", 1, 0.0, None, None))
    same(tuple(commands_query({"worker": ["w1"], "max": ["4"], "wait": ["25"], "seen": ["17"], "boot": ["1-a"]})), ("w1", 4, 25.0, 17, "1-a"))
    poll = commands_query({"worker": "w1", "max": "inf", "wait": "1e9"})
    same((poll.max, poll.wait_s), (4352, 60.0))
    for query, pointer in (({}, "worker"), ({"worker": "/"}, "worker"), ({"worker": "w1", "max": "many"}, "max"),
                           ({"worker": "w1", "wait": "nan"}, "wait"),
                           ({"worker": "w1", "seen": "-1"}, "seen"), ({"worker": "w1", "boot": "x"}, "boot")):
        same(refuses(InvalidQuery, lambda q=query: commands_query(q)).pointer, pointer)


def test_of_two_boots_exactly_one_is_newer_unless_they_are_the_same():
    boots = ["999-zz", "1000-aa", "1000-ab", "1767225600000-0"]
    for i, one in enumerate(boots):
        for j, other in enumerate(boots):
            same(newer_boot(one, other), i > j)


def test_the_digest_of_a_result_depends_on_what_settles_it_and_on_nothing_else():
    one = result_digest("done", {"a": 1, "b": [1, 2]}, None)
    same(one, result_digest("done", {"b": [1, 2], "a": 1}, None))
    others = {result_digest("failed", {"a": 1, "b": [1, 2]}, None), result_digest("done", {"a": 1}, None), result_digest("done", None, {"a": 1})}
    same((len(others), one in others), (3, False))
    same(len(result_digest("done", "\ud800", None)), 64)


def test_a_worker_repeats_after_server_errors_and_three_client_errors_only():
    same([status for status in range(400, 600) if worth_retrying(status)], [408, 425, 429, *range(500, 600)])
