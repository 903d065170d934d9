"""What becomes of an attempt that did not end well: again, later, never, or a person's decision. Pure: randomness is an argument.

Failures count against `retry.attempts`; losses (the lease ended, the worker died) have their own maximum; interruptions and restarts
of the server count as neither. A step with effects "once" is never started twice without an operator.
"""

from __future__ import annotations

from typing import Any

from router.policy.decision import Decision
from state.limits import BACKOFF_S_MAX, LOSSES_MAX, UNCHARGED_MAX

PERMANENT_CODES = frozenset({"invalid_output", "invalid_input", "template"})     # the same attempt would fail again
UNENDED_CODES = frozenset({"timeout", "runner_died"})                            # the step did not say itself that it failed


def backoff_s(base_s: float, failures: int, random: float) -> float:
    """Exponential backoff with full jitter: `random` in [0, 1) picks from 0 to min(300 s, base * 2^failures)."""
    return random * min(BACKOFF_S_MAX, base_s * 2.0 ** min(failures, 60))


def after_failure(error: dict[str, Any], failures: int, attempts: int, backoff_base_s: float, effects: str, random: float) -> Decision:
    """The worker reported a failure; `failures` counts this one. Rules: retry (facts.delay_s), give_up, unknown."""
    code = str(error.get("code", ""))
    if effects == "once" and code in UNENDED_CODES:
        return Decision(False, "unknown", f"{code}; its effects may have happened, and it may run only once")
    if not error.get("retryable", True) or code in PERMANENT_CODES:
        return Decision(False, "give_up", f"{code}: {error.get('message', '')}"[:300], {"failures": failures})
    if failures >= attempts:
        return Decision(False, "give_up", f"failed {failures} of {attempts} attempts, the last with {code}: {error.get('message', '')}"[:300],
                        {"failures": failures, "attempts": attempts})
    delay = backoff_s(backoff_base_s, failures, random)
    return Decision(True, "retry", f"attempt {failures} of {attempts} failed with {code}, the next is due in {delay:.1f} s",
                    {"failures": failures, "attempts": attempts, "delay_s": round(delay, 3)})


def after_loss(losses: int, effects: str, received: bool, why: str) -> Decision:
    """The lease ended without a result; `losses` counts this one. `received`: the worker may have got it. Rules: retry, give_up, unknown."""
    if not received:
        return Decision(True, "retry", f"{why}; the worker never received it", {"losses": losses - 1})
    if effects == "once":
        return Decision(False, "unknown", f"{why}; its effects may have happened, and it may run only once")
    if losses > LOSSES_MAX:
        return Decision(False, "give_up", f"worker_lost: {losses} leases were lost, {LOSSES_MAX} are allowed; the last: {why}", {"losses": losses})
    return Decision(True, "retry", f"{why}; loss {losses} of {LOSSES_MAX}", {"losses": losses})


def bounded(decision: Decision, uncharged: int) -> Decision:
    """The same decision, unless the step was given out again too often without a charge: it may be what ends whoever takes it. Rule: give_up."""
    if decision.rule != "retry" or uncharged <= UNCHARGED_MAX:
        return decision
    reason = f"worker_lost: granted {uncharged} times without an end, {UNCHARGED_MAX} are allowed; the last: {decision.reason}"
    return Decision(False, "give_up", reason, decision.facts)


def after_interruption(effects: str, begun: bool) -> Decision:
    """The worker gave the step back unended (it drains); `begun`: it may have done something. Rules: retry, unknown."""
    if effects == "once" and begun:
        return Decision(False, "unknown", "interrupted; its effects may have happened, and it may run only once")
    return Decision(True, "retry", "interrupted by the worker's leaving; no attempt is charged")


def after_restart(effects: str) -> Decision:
    """The worker ended with the server that had started it, whenever that was in the attempt. Rules: retry, unknown."""
    if effects == "once":
        return Decision(False, "unknown", "its worker ended with the server; its effects may have happened, and it may run only once")
    return Decision(True, "retry", "its worker ended with the server; no attempt is charged")
