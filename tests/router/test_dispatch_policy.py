"""The dispatch predicates: each alone, and all together over every combination of facts."""

from itertools import product

from router.policy.dispatch import OF_THE_JOB, OF_THE_WORKER, PREDICATES, Facts, StepFacts, WorkerFacts, decide, refusals
from tests.kit import same

NOW = 1_000.0


def a_step(**changes):
    facts = StepFacts(job="j_1", job_state="queued", step="main", state="ready", kind="python", runnable_kind=True, priority=100, skill="s")
    return facts._replace(**changes)


def a_worker(**changes):
    facts = WorkerFacts(id="w1", state="live", silent_s=1.0, stale_s=30.0, offers=frozenset({"gpu", "gpu=h100"}), slots=2, prefetch=0, leases=0,
                        memory_mb=1000, memory_held_mb=0)
    return facts._replace(**changes)


def decided(step=None, worker=None, now=NOW):
    return decide(Facts(step or a_step(), worker or a_worker(), now))


def test_a_ready_step_goes_to_a_free_fresh_worker_and_the_decision_names_both():
    decision = decided(a_step(priority=700))
    assert decision.dispatch
    same((decision.rule, decision.target, decision.priority), ("dispatch", "w1", 700))


def test_each_predicate_refuses_alone_with_its_own_rule_and_numbers_in_the_reason():
    cases = [
        ("job_live", a_step(job_state="cancelled"), a_worker(), "cancelled"),
        ("dependencies_done", a_step(state="pending", waits_for=("a", "b")), a_worker(), "2 step(s): a, b"),
        ("kind_runnable", a_step(kind="prompt", runnable_kind=False), a_worker(), "kind prompt"),
        ("not_paused", a_step(job_state="paused"), a_worker(), "paused"),
        ("retry_time_reached", a_step(state="waiting", waiting_for="retry", due_at=NOW + 12.5), a_worker(), "12.5 s"),
        ("step_ready", a_step(state="leased"), a_worker(), "leased"),
        ("worker_fresh", a_step(), a_worker(silent_s=640.0), "silent for 640 s"),
        ("not_draining", a_step(), a_worker(state="draining"), "w1 draining"),
        ("labels_fit", a_step(labels=("gpu=a100",)), a_worker(), "w1 lacks gpu=a100"),
        ("memory_fits", a_step(memory_mb=900), a_worker(memory_held_mb=200), "800 of 1000 MB free, 900 MB"),
        ("slot_free", a_step(), a_worker(leases=2), "2/2 slots busy"),
        ("skill_concurrency", a_step(skill_running=3, skill_limit=3), a_worker(), "3/3 steps of skill s"),
        ("pinned_target", a_step(target="w9"), a_worker(), "pinned to w9"),
    ]
    same(sorted(rule for rule, *_ in cases), sorted(p.__name__ for p in PREDICATES))
    for rule, step, worker, words in cases:
        decision = decided(step, worker)
        assert not decision.dispatch
        same(decision.rule, rule)
        assert words in decision.reason, decision.reason
        same([d.rule for d in refusals(Facts(step, worker, NOW))], [rule] if rule != "retry_time_reached" and rule != "dependencies_done"
             else [rule, "step_ready"])


def test_the_first_refusal_follows_the_documented_order():
    step = a_step(job_state="paused", labels=("tpu",), target="w9")
    worker = a_worker(state="draining", leases=2)
    same([d.rule for d in refusals(Facts(step, worker, NOW))], ["not_paused", "not_draining", "labels_fit", "slot_free", "pinned_target"])
    same(decided(step, worker).rule, "not_paused")
    same(PREDICATES, OF_THE_JOB + OF_THE_WORKER)


def test_over_every_combination_of_facts_a_step_goes_exactly_when_all_hold():
    for live, ready, paused, fresh, draining, label, memory, slot, limit, pin in product((False, True), repeat=10):
        step = a_step(job_state="done" if not live else "paused" if paused else "processing", state="ready" if ready else "leased",
                      labels=("gpu",) if label else (), memory_mb=10, skill_limit=1, skill_running=0 if limit else 1, target="w1" if pin else "w2")
        worker = a_worker(silent_s=0.0 if fresh else 31.0, state="draining" if draining else "live", memory_mb=10 if memory else 9,
                          leases=0 if slot else 2)
        wanted = live and ready and not paused and fresh and not draining and memory and slot and limit and pin
        same(decided(step, worker).dispatch, wanted)


def test_a_step_that_may_wait_in_a_workers_hands_counts_against_slots_and_prefetch_and_an_exclusive_one_against_slots():
    worker = a_worker(leases=2, prefetch=256)
    assert decided(a_step(), worker).dispatch
    same(decided(a_step(exclusive=True), worker).rule, "slot_free")
    same(decided(a_step(), a_worker(leases=258, prefetch=256)).rule, "slot_free")
