"""The worker as one file: a zipapp of the standard library's making, the same bytes for the same sources. Served as GET /worker.pyz."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

MODULES = {
    "state": ("__init__", "clock", "compact", "errors", "limits", "log"),
    "skills": ("__init__", "bundle"),
    "fleet": ("__init__", "__main__", "agent", "attempt", "book", "bundles", "client", "delivery", "errands", "fetch", "intake", "keeper", "pool",
              "protocol", "runner", "runner_child", "spawner", "step", "talk", "values"),
}
FIRST_LINE = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom fleet.__main__ import main\n\nsys.exit(main())\n"
DATE = (1980, 1, 1, 0, 0, 0)          # the zip format's first: content alone decides the bytes


def build(root: Path | None = None) -> bytes:
    """The bytes of worker.pyz, from the sources below `root` (default: this program's own). OSError when a source is missing."""
    root = root or Path(__file__).resolve().parent.parent
    out = io.BytesIO()
    out.write(FIRST_LINE)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry("__main__.py"), MAIN)
        for package, names in sorted(MODULES.items()):
            for name in sorted(names):
                archive.writestr(_entry(f"{package}/{name}.py"), (root / package / f"{name}.py").read_bytes())
    return out.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
