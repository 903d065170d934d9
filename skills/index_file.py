"""A large index on disk, so that a start need not build it again. A cache: whatever is wrong with the file, it is as if there were none.

Pickled, so it holds code's own objects: it is read only where this program wrote it, from the data folder, which is nobody else's, and a file of
another program, or of another version of a module that the index depends on, is passed over by the first line.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from zlib import crc32

from skills.match import Index

MADE_BY = ("document", "exclusions", "features", "function_words", "index_file", "lanes", "linear", "match", "postings", "request", "segment",
           "vectors", "words")


def save(index: Index, path: Path) -> None:
    """Put the file in place at once or not at all. Raises OSError."""
    body = pickle.dumps(index, pickle.HIGHEST_PROTOCOL)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")             # one process at a time writes: what a killed one left is written over
    try:
        with open(temporary, "wb", opener=_private) as file:
            file.write(_head(body))
            file.write(body)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def load(path: Path) -> Index | None:
    """The index of the file, None if there is none that is whole and of this program."""
    try:
        with open(path, "rb") as file:
            head, body = file.readline(200), file.read()
        if head != _head(body):
            return None
        index = pickle.loads(body)
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError, TypeError):
        return None
    return index if isinstance(index, Index) else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _head(body: bytes) -> bytes:
    return b"index %s %08x\n" % (_program(), crc32(body))


@cache
def _program() -> bytes:
    """What the index depends on: the modules that make it, the interpreter, the word vectors."""
    here = Path(__file__).parent
    digest = hashlib.sha256(sys.version.encode())
    for name in MADE_BY:
        digest.update((here / f"{name}.py").read_bytes())
    digest.update(b"%08x" % crc32((here / "vectors.bin").read_bytes()))
    return digest.hexdigest().encode()
