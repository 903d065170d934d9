"""What becomes of an attempt that did not end well."""

from router.policy.retry import after_failure, after_interruption, after_loss, after_restart, backoff_s, bounded
from state.limits import UNCHARGED_MAX
from tests.kit import same

FAILED = {"code": "step_raised", "message": "ValueError: x", "retryable": True}


def test_backoff_doubles_with_each_failure_is_jittered_fully_and_stops_at_300_seconds():
    same([backoff_s(1.0, n, 0.999999999) > 0.99 * w for n, w in ((0, 1), (1, 2), (2, 4), (8, 256), (9, 300), (500, 300))], [True] * 6)
    same(backoff_s(1.0, 5, 0.0), 0.0)
    same(backoff_s(2.0, 3, 0.5), 8.0)
    assert backoff_s(1.0, 500, 0.999) <= 300.0


def test_a_retryable_failure_is_tried_again_until_the_attempts_are_used_up():
    decision = after_failure(FAILED, 1, 3, 1.0, "none", 0.5)
    assert decision.dispatch
    same((decision.rule, decision.facts["delay_s"]), ("retry", 1.0))
    last = after_failure(FAILED, 3, 3, 1.0, "none", 0.5)
    assert not last.dispatch
    same(last.rule, "give_up")
    assert "3 of 3" in last.reason


def test_a_failure_that_the_worker_calls_permanent_is_never_tried_again():
    same(after_failure({**FAILED, "retryable": False}, 1, 5, 1.0, "none", 0.5).rule, "give_up")
    same(after_failure({"code": "invalid_output"}, 1, 5, 1.0, "none", 0.5).rule, "give_up")


def test_a_step_with_effects_once_goes_to_unknown_on_timeout_loss_and_interruption_and_fails_on_a_reported_failure():
    same(after_failure({"code": "timeout", "retryable": True}, 1, 1, 1.0, "once", 0.5).rule, "unknown")
    same(after_loss(1, "once", True, "w1 is gone").rule, "unknown")
    same(after_interruption("once", begun=True).rule, "unknown")
    same(after_interruption("once", begun=False).rule, "retry")
    same(after_failure(FAILED, 1, 1, 1.0, "once", 0.5).rule, "give_up")


def test_a_lease_that_the_worker_provably_never_received_goes_back_uncounted_also_with_effects_once():
    for effects in ("none", "many", "once"):
        decision = after_loss(1, effects, False, "w1 is gone")
        same((decision.rule, decision.facts["losses"]), ("retry", 0))


def test_a_worker_that_ended_with_its_server_charges_nothing_and_leaves_a_step_with_effects_once_unknown():
    same([after_restart(effects).rule for effects in ("none", "many", "once")], ["retry", "retry", "unknown"])
    same([after_restart(effects).facts for effects in ("none", "many", "once")], [{}, {}, {}])


def test_losses_have_their_own_maximum_of_three():
    same([after_loss(n, "many", True, "gone").rule for n in (1, 2, 3, 4)], ["retry", "retry", "retry", "give_up"])
    assert "worker_lost" in after_loss(4, "many", True, "gone").reason


def test_what_nobody_is_charged_for_does_not_go_round_for_ever_either():
    for decision in (after_loss(1, "many", False, "w1 is gone"), after_restart("none"), after_loss(1, "none", True, "w1 is gone")):
        same(bounded(decision, UNCHARGED_MAX), decision)
        given_up = bounded(decision, UNCHARGED_MAX + 1)
        same((given_up.dispatch, given_up.rule), (False, "give_up"))
        assert "worker_lost" in given_up.reason and decision.reason in given_up.reason
    unknown = after_restart("once")
    same(bounded(unknown, UNCHARGED_MAX + 1), unknown)
