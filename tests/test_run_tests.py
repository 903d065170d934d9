"""The runner of the tests: what fails is told, whatever way it fails in."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.kit import ROOT, a_folder, same, written


def run_of(tests):
    """(status, last line) of a run of some test files in a project of their own."""
    folder = written(a_folder(), {"tests/__init__.py": "", **{f"tests/{name}": text for name, text in tests.items()}})
    for name in ("run_tests.py", "tests/kit.py"):
        shutil.copy(ROOT / name, folder / name)
    process = subprocess.run([sys.executable, "run_tests.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    return process.returncode, process.stdout.splitlines()[-1]


GOOD = "def test_good():\n    pass\n"


def test_a_run_is_good_when_all_passed_and_there_were_some():
    same(run_of({"test_a.py": GOOD, "test_b.py": GOOD}), (0, "2 passed, 0 failed"))
    same(run_of({}), (1, "0 passed, 0 failed"))


def test_what_raises_or_exits_in_a_test_or_at_its_import_is_a_failure_and_the_others_are_run():
    same(run_of({"test_a.py": "def test_bad():\n    assert False\n", "test_b.py": GOOD}), (1, "1 passed, 1 failed"))
    same(run_of({"test_a.py": "import sys\ndef test_exits():\n    sys.exit(0)\n\ndef test_good():\n    pass\n"}), (1, "1 passed, 1 failed"))
    same(run_of({"test_a.py": "raise SystemExit(0)\ndef test_good():\n    pass\n", "test_b.py": GOOD}), (1, "1 passed, 1 failed"))


def test_a_skipped_test_is_counted_as_such():
    same(run_of({"test_a.py": "from tests.kit import Skip\n" + GOOD + "def test_not_here():\n    raise Skip('no mount')\n"}),
         (0, "1 passed, 0 failed, 1 skipped"))


def test_folders_of_a_test_are_gone_when_it_has_ended_well_or_not():
    place = a_folder() / "made"
    body = f"from tests.kit import a_folder\n\ndef made():\n    open({str(place)!r}, 'a').write(str(a_folder()) + '\\n')\n\n"
    run_of({"test_a.py": body + "def test_good():\n    made()\n", "test_b.py": body + "def test_bad():\n    made()\n    assert False\n"})
    folders = [Path(line) for line in place.read_text().splitlines()]
    same([folder.exists() for folder in folders], [False, False])
