"""Builders and helpers that keep tests short. Nothing here replaces a part of the program: scenario tests run the real server."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"     # public data beside the checkout; tests that need it raise Skip where it is missing
LONG = False                                 # set by run_tests.py --long
FOLDERS: list[Path] = []                     # that are there now


class Skip(Exception):
    """Raised by a test that cannot be tried here, with the reason."""


def same(got: Any, wanted: Any) -> None:
    """Fail with both values shown unless they are equal."""
    assert got == wanted, f"\n   got {got!r}\nwanted {wanted!r}"


def refuses(kind: type[BaseException], call: Callable[[], Any], *words: str) -> Any:
    """The error that `call` raises: it must be of `kind` and its text must hold every word."""
    try:
        value = call()
    except kind as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in {str(error)!r}"
        return error
    raise AssertionError(f"expected {kind.__name__}, got {value!r}")


def shared_data(*parts: str) -> Path:
    """A path in the public data, or Skip."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise Skip(f"{'/'.join(parts)} of the public data is not here")
    return path


def a_folder(parent: Path | None = None) -> Path:
    """A new empty folder, removed at the end of the test."""
    folder = Path(tempfile.mkdtemp(prefix="yardmaster-test-", dir=parent))
    FOLDERS.append(folder)
    return folder


@atexit.register
def remove_folders() -> None:
    """The runner calls this after each test: its processes are forked, and what is registered for their exit is not run."""
    while FOLDERS:
        shutil.rmtree(FOLDERS.pop(), ignore_errors=True)


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write `files` (relative path to content) below `folder` and return it; scripts (#!) become executable."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
        if data.startswith(b"#!"):
            path.chmod(0o755)
    return folder


def pretty(value: Any) -> str:
    """JSON for failure messages."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
