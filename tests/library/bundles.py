"""Loads the tools of the starter library the way a runner does (the skill's folder first on the path), and checks values against their schemas."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

from skills.schema import compile_schema
from tests.kit import ROOT, a_folder, pretty

LIBRARY = ROOT / "skills" / "library"


def tool_of(skill: str, module: str = "tool") -> ModuleType:
    """A module of a skill's folder. Modules of the same name in two skills do not meet: none stays behind in sys.modules."""
    folder = LIBRARY / skill
    own = {path.stem for path in folder.glob("*.py")}
    aside = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(aside)


def definition_of(skill: str) -> dict[str, Any]:
    """The skill.toml of a skill."""
    return tomllib.loads((LIBRARY / skill / "skill.toml").read_text(encoding="utf-8"))


def fits(skill: str, part: str, value: dict[str, Any]) -> dict[str, Any]:
    """`value`, which must be JSON and fit the `input` or `output` schema of the skill."""
    plain = json.loads(json.dumps(value, allow_nan=False))
    errors = compile_schema(definition_of(skill)[part]).errors(plain)
    assert not errors, f"{skill} {part}: {errors}\n{pretty(plain)[:2000]}"
    return value


def is_refused(skill: str, value: Any) -> bool:
    """Whether the input schema of a skill refuses a value."""
    return not compile_schema(definition_of(skill)["input"]).is_valid(value)


class Step:
    """A step's handle that remembers what it was told."""

    def __init__(self) -> None:
        self.work_folder = a_folder()
        self.fractions: list[float] = []
        self.kept: dict[str, bytes] = {}

    def progress(self, fraction: float, message: str = "") -> None:
        """Remember how far the step is."""
        self.fractions.append(fraction)

    def artifact(self, source: Path | bytes, name: str = "") -> dict[str, Any]:
        """Keep the bytes."""
        content = source if isinstance(source, bytes) else source.read_bytes()
        self.kept[name] = content
        return {"$artifact": f"sha256:{hashlib.sha256(content).hexdigest()}", "bytes": len(content), "name": name}


def a_file(content: bytes | str, name: str = "input") -> Path:
    """A file with this content."""
    path = a_folder() / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
