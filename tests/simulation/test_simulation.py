"""The simulator on a short budget of seeds, and that a seed gives the same trace in every process."""

import os
import re
import secrets
import subprocess
import sys
from collections import Counter

from tests import kit
from tests.kit import ROOT, same
from tests.simulation.budget import clean, holds
from tests.simulation.coverage import missing, told
from tests.simulation.run import HOURS, run

SEEDS = range(1, 17)
SEEDS_LONG = range(1, 401)


def test_every_invariant_holds_under_mixed_faults_for_a_fixed_budget_of_seeds():
    for seed in SEEDS_LONG if kit.LONG else SEEDS:
        holds(clean(seed))


def test_every_invariant_holds_for_a_fresh_seed():
    seed = secrets.randbelow(1 << 31)
    print(f"  fresh seed {seed}")
    holds(run(seed, HOURS))


def test_a_seed_gives_the_same_trace_byte_for_byte_in_another_process_with_another_hash_seed():
    digests = set()
    for hash_seed in ("1", "77"):
        done = subprocess.run([sys.executable, "-m", "tests.simulation", "--seed", "5"], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed},
                              capture_output=True, text=True, check=False)
        found = re.search(r"seed 5: trace sha256 ([0-9a-f]{64})", done.stdout)
        assert found is not None, done.stdout + done.stderr
        digests.add(found[1])
    same(digests, {clean(5).digest})


def test_each_kind_of_fault_happens_within_the_fixed_budget_of_seeds():
    met: Counter[str] = Counter()
    for seed in SEEDS:
        met.update(clean(seed).met)
    assert not missing(met), f"{missing(met)} did not happen; {told(met)}"


def test_runs_hold_what_they_are_for():
    results = [clean(seed) for seed in SEEDS]
    assert all(result.jobs > 10 and result.units > 50 for result in results), results
    assert sum(result.starts for result in results) > 3 * len(results)
