"""The doctor's look at content that is kept by hash: artifacts, definitions and bundles, and whether all is here that kept jobs name.

Content is read once, in blocks. How a bundle is named is the business of `skills/bundle.py`: the caller hands in who can tell.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from state.content import READ_BYTES
from state.examine import Examination
from state.mending import Mender

NAME = re.compile(r"[0-9a-f]{64}")
AWAY = "keeps it aside; the same content may be stored again"
Whole = Callable[[Path, str], bool]


def look_at_content(exam: Examination, bundle_is_whole: Whole) -> None:
    """data/artifacts, data/definitions, data/bundles."""
    _look_at_artifacts(exam)
    needed = _look_at_definitions(exam)
    there = set()
    for name, file in _named_by_hash(exam, "bundles"):
        there.add(name)
        if not bundle_is_whole(exam.folder / file, name):
            exam.say("bundle_damaged", file, "its files are not those that its name says", repair=AWAY, mend=partial(Mender.keep, file=file))
    for name, definition in sorted(needed.items()):
        if name not in there:
            exam.say("bundle_missing", f"bundles/{name}", f"definition {definition} names it: no worker can run its steps")


def _named_by_hash(exam: Examination, place: str, suffix: str = "") -> Iterator[tuple[str, str]]:
    """What a folder of content has: sha256 and path of each. Names of another kind are told."""
    for name in exam.disk.names(exam.folder / place):
        file, sha256 = f"{place}/{name}", name.removesuffix(suffix)
        if name.endswith(".tmp"):
            exam.temporary(file)
        elif sha256 + suffix != name or not NAME.fullmatch(sha256):
            exam.unknown(file)
        else:
            exam.counts[place] += 1
            yield sha256, file


def _look_at_artifacts(exam: Examination) -> None:
    there = set()
    for name, file in _named_by_hash(exam, "artifacts"):
        there.add(name)
        _check_hash(exam, "artifact_damaged", file, name)
    for name, file in sorted(exam.artifacts.items()):
        if name not in there:
            exam.say("artifact_missing", f"artifacts/{name}", f"{file} names it")


def _check_hash(exam: Examination, code: str, file: str, name: str) -> bool:
    found = hashlib.sha256()
    at = 0
    try:
        while data := exam.disk.read_at(exam.folder / file, at, READ_BYTES):
            found.update(data)
            at += len(data)
    except OSError as error:
        exam.say("unreadable", file, f"{error.strerror or error}")
        return False
    if found.hexdigest() != name:
        exam.say(code, file, f"its {at} bytes have sha256 {found.hexdigest()}", repair=AWAY, mend=lambda m: m.keep(file))
        return False
    return True


def _look_at_definitions(exam: Examination) -> dict[str, str]:
    """Bundles that definitions of kept jobs name, each with a definition that does."""
    bundles: dict[str, str] = {}
    there = set()
    for sha256, file in _named_by_hash(exam, "definitions", ".json"):
        there.add(sha256)
        whole = _check_hash(exam, "definition_damaged", file, sha256)
        if not whole and sha256 in exam.needed:
            exam.blocked = f"live jobs need {file}, which is damaged"
        if whole and sha256 in exam.definitions:
            bundles[json.loads(exam.disk.read(exam.folder / file))["bundle"]["sha256"]] = sha256
    for sha256 in sorted(exam.definitions - there):
        file = f"definitions/{sha256}.json"
        if sha256 in exam.needed:
            exam.blocked = f"live jobs need {file}, which is not here"
        exam.say("definition_missing", file, "live jobs need it: the server does not start" if sha256 in exam.needed else "finished jobs ran by it")
    return bundles
