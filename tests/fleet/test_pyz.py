"""The worker as one file: whole, the same each time, and as good as the sources."""

from __future__ import annotations

import ast
import sys
import zipfile
from pathlib import Path

from fleet.pyz import MODULES, build
from tests.fleet.peer import Peer, command, run_command, worker
from tests.kit import ROOT, a_folder, same


def test_the_same_sources_make_the_same_bytes():
    same(build(), build())


def test_every_module_of_ours_that_the_worker_imports_is_in_it():
    ours = {f"{package}.{name}".removesuffix(".__init__") for package, names in MODULES.items() for name in names}
    for package, names in MODULES.items():
        for name in names:
            for node in ast.walk(ast.parse((ROOT / package / f"{name}.py").read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in MODULES:
                    for alias in node.names:
                        assert node.module in ours or f"{node.module}.{alias.name}" in ours, f"{package}.{name} imports {node.module}"


def test_one_file_and_python_are_a_worker():
    folder = a_folder()
    place = folder / "worker.pyz"
    place.write_bytes(build())
    assert zipfile.is_zipfile(place)
    with Peer() as peer:
        bundle = peer.bundle({"tool.py": "def main(value, step):\n    print('here')\n    return value\n"})
        peer.give(command(1, bundle, value=1), run_command(2, bundle, ["cat"], [2]),
                  command(3, "", kind="http", spec={"url": peer.url, "allow_hosts": []}))
        with worker(peer, data=folder / "data", program=[sys.executable, "-S", "-E", "-s", str(place)]):
            ends = {r["lease"]: r for r in peer.ends(3)}
    same((ends["l_1"]["output"], ends["l_2"]["output"], ends["l_3"]["error"]["code"]), (1, [2], "host_not_allowed"))
    same(sorted(path.name for path in Path(folder).iterdir()), ["data", "worker.pyz"])
