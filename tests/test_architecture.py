"""The house keeps its floors: read from the code with `ast`, and shown by a start without any package."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.house import a_server
from tests.kit import ROOT, same

FLOORS = ("state", "skills", "fleet", "router.http", "router.config", "router.policy", "router.models", "router.work", "router.observe",
          "router.app", "router.api", "server")
POLICY_NEVER = {"state.store", "state.clock", "os", "socket", "time", "random"}
TAKES_FROM_STORE = {"Move"}          # a value that policy returns; the store itself it never sees
WORKER_SIDE_NEVER = ("state.store", "state.files", "state.journal", "router")
SERVER_SIDE_OF_FLEET = {"fleet/leases.py", "fleet/registry.py"}


def sources():
    """(path, tree) of every runtime module; the shipped skills are programs of their own."""
    for folder in ("state", "skills", "fleet", "router"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "library" not in path.parts:
                yield path.relative_to(ROOT), ast.parse(path.read_text())
    for name in ("server.py", "run_tests.py"):
        yield Path(name), ast.parse((ROOT / name).read_text())


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def floor_of(module):
    fitting = [i for i, name in enumerate(FLOORS) if module == name or module.startswith(name + ".")]
    return max(fitting, key=lambda i: len(FLOORS[i]), default=None)


def test_imports_go_down_only():
    for path, tree in sources():
        own = floor_of(".".join(path.with_suffix("").parts))
        for name, node in imports(tree):
            there = floor_of(name)
            assert own is None or there is None or there <= own, f"{path}:{node.lineno} imports {name}, which stands on a higher floor"


def test_the_runtime_imports_the_standard_library_only():
    ours = {"state", "skills", "fleet", "router", "server", "tests"}
    for path, tree in sources():
        for name, node in imports(tree):
            assert name.split(".")[0] in sys.stdlib_module_names | ours, f"{path}:{node.lineno} imports {name}"
    for path in sorted((ROOT / "skills" / "library").rglob("*.py")):
        beside = {p.stem for p in path.parent.glob("*.py")}
        for name, node in imports(ast.parse(path.read_text())):
            assert name.split(".")[0] in sys.stdlib_module_names | beside, f"{path}:{node.lineno} imports {name}"


def test_no_function_imports():
    for path, tree in sources():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden = [n.lineno for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
                same((str(path), hidden), (str(path), []))


def test_policy_never_sees_the_store_the_clock_or_the_system():
    for path, tree in sources():
        if path.parts[:2] == ("router", "policy"):
            for name, node in imports(tree):
                module, _, what = name.rpartition(".")
                forbidden = (name in POLICY_NEVER or module in POLICY_NEVER) and what not in TAKES_FROM_STORE
                assert not forbidden, f"{path}:{node.lineno} imports {name}"


def test_the_worker_side_of_the_fleet_never_sees_the_store_or_the_router():
    for path, tree in sources():
        if path.parts[0] == "fleet" and str(path) not in SERVER_SIDE_OF_FLEET:
            for name, node in imports(tree):
                assert not name.startswith(WORKER_SIDE_NEVER), f"{path}:{node.lineno} imports {name}"


def test_states_are_changed_by_the_store_alone():
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_replace":
                named = {keyword.arg for keyword in node.keywords}
                assert "state" not in named or str(path) in {"state/store.py", "router/work/dispatch.py"}, f"{path}:{node.lineno} assigns a state"


def test_every_module_and_public_definition_says_what_it_is():
    for path, tree in sources():
        assert ast.get_docstring(tree), f"{path} has no docstring"
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                inside = any(isinstance(f, ast.FunctionDef) and node in ast.walk(f) and f is not node for f in ast.walk(tree))
                assert inside or ast.get_docstring(node), f"{path}:{node.lineno} {node.name} has no docstring"


def test_there_are_no_utils_and_no_file_that_cannot_be_read_at_once():
    for path, tree in sources():
        assert not {"util", "utils", "helper", "common", "misc"} & set(path.with_suffix("").parts), f"{path}: which noun owns this?"
        length = len((ROOT / path).read_text().splitlines())
        assert length <= 400, f"{path} has {length} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 70, f"{path}:{node.lineno} {node.name} is longer than a screen"


def test_importing_a_module_does_nothing():
    names = [".".join(path.with_suffix("").parts) for path, _ in sources() if path.name not in ("__main__.py", "runner_child.py")]
    code = "import sys, threading\nbefore = threading.active_count()\n" + "\n".join(f"import {n.removesuffix('.__init__')}" for n in names)
    code += "\nassert threading.active_count() == before"
    done = subprocess.run([sys.executable, "-S", "-E", "-s", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    same((done.returncode, done.stdout, done.stderr), (0, "", ""))


def test_the_server_starts_and_finishes_a_job_without_any_package():
    with a_server(python=("-S", "-E", "-s")) as server:
        same(server.run("echo", {"words": [1, 2]})["output"], {"echo": {"words": [1, 2]}})


def test_no_pattern_has_a_possessive_group_which_python_before_3_11_5_matches_wrongly():
    for folder in ("state", "skills", "fleet", "router"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found = re.findall(r"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>", path.read_text())
            assert not found, f"{path}: {found}; take a greedy group whose alternatives differ in their first character"
