"""Text of any encoding, from a string or a file, opened for reading in pieces.

`encoding_of` decides the encoding once, over the whole file, so that no reader meets a surprise in the middle; `opened` reads with it. Nothing
here knows what the text means. The same file lies in every skill that reads text, because a skill folder is a bundle of its own.
Rules: a file is never held in memory whole; a byte that cannot be decoded becomes U+FFFD and is counted, it never ends the work.
"""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

PIECE_BYTES = 1 << 20         # what one read takes: large enough to be fast, small enough for any machine
HEAD_BYTES = 4_096            # what the first look takes
GOOD_PER_BAD_MIN = 10         # UTF-8 with fewer faults than one in so many characters is damaged UTF-8, not another encoding
WIDE_SHARE_MIN = 0.4          # zero bytes on one side of the byte pairs that mean UTF-16 without a mark
WIDE_SHARE_OTHER_MAX = 0.05   # and on the other side
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
         (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))    # longest first: the UTF-32 mark begins like that of UTF-16
NOT_TEXT = ((b"PK\x03\x04", "a ZIP file (an .xlsx or .docx is one too): export it as text first"),
            (b"\x1f\x8b", "a gzip file: decompress it first"), (b"%PDF", "a PDF file: extract its text first"),
            (b"\xd0\xcf\x11\xe0", "an old Office file: export it as text first"), (b"PAR1", "a Parquet file: export it as CSV first"),
            (b"SQLite format 3\x00", "a SQLite database: export its tables as CSV first"),
            (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"))
CP1252_HOLES = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))          # bytes that cp1252 leaves undefined


class BadInput(Exception):
    """The input cannot be worked on; trying again will not help. The message is one sentence for the person who sent it."""

    retryable = False
    code = "bad_input"


@dataclass(frozen=True)
class Encoding:
    """What the bytes of a text turned out to be. `replaced` counts characters that could not be decoded."""

    name: str         # a Python codec name, or "unicode" when the text came as a string
    found_by: str     # given | string | byte order mark | zero bytes | valid | mostly valid | fallback
    replaced: int = 0

    def to_json(self) -> dict[str, str | int]:
        """The encoding as a member of an output."""
        return {"name": self.name, "found_by": self.found_by, "replaced": self.replaced}


def encoding_of(text: str | Path, wanted: str | None = None) -> Encoding:
    """The encoding of a text; `wanted` is obeyed when given. Raises BadInput for what is not text and for an unknown codec."""
    if isinstance(text, str):
        return Encoding("unicode", "string")
    with text.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for magic, what in NOT_TEXT:
        if head.startswith(magic):
            raise BadInput(f"The input is not text but {what}.")
    if wanted:
        return Encoding(wanted, "given", _faults(text, wanted)[1])
    for mark, name in MARKS:
        if head.startswith(mark):
            return Encoding(name, "byte order mark", _faults(text, name)[1])
    wide = _wide(head)
    if wide:
        return Encoding(wide, "zero bytes", _faults(text, wide)[1])
    good, bad = _faults(text, "utf-8")
    if not bad:
        return Encoding("utf-8", "valid")
    if good > GOOD_PER_BAD_MIN * bad:
        return Encoding("utf-8", "mostly valid", bad)
    return Encoding("latin-1" if _has_cp1252_holes(text) else "cp1252", "fallback")


def opened(text: str | Path, encoding: Encoding) -> TextIO:
    """The text as a stream that keeps its line ends (`newline=""`) and has no byte order mark."""
    if isinstance(text, Path):
        return text.open(encoding=encoding.name, errors="replace", newline="")
    clean = text.removeprefix("\ufeff").encode("utf-8", "replace").decode()     # lone surrogates cannot be written out again
    return io.StringIO(clean, newline="")


def size_of(text: str | Path) -> int:
    """Bytes of a file, characters of a string."""
    return text.stat().st_size if isinstance(text, Path) else len(text)


def _wide(head: bytes) -> str | None:
    """The codec of UTF-16 without a mark, known by its zero bytes, or None."""
    pairs = len(head) // 2
    if pairs < 2:
        return None
    even, odd = head[0:pairs * 2:2].count(0) / pairs, head[1:pairs * 2:2].count(0) / pairs
    if odd >= WIDE_SHARE_MIN and even <= WIDE_SHARE_OTHER_MAX:
        return "utf-16-le"
    if even >= WIDE_SHARE_MIN and odd <= WIDE_SHARE_OTHER_MAX:
        return "utf-16-be"
    return None


def _faults(path: Path, name: str) -> tuple[int, int]:
    """(characters beyond ASCII that decode, those that do not) over the whole file."""
    try:
        decoder = codecs.getincrementaldecoder(name)("replace")
        good = bad = 0
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                decoded = decoder.decode(piece)
                if not decoded.isascii():
                    wrong = decoded.count("\ufffd")
                    bad += wrong
                    good += len(decoded) - len(decoded.encode("ascii", "ignore")) - wrong
        return good, bad + decoder.decode(b"", True).count("\ufffd")
    except (LookupError, UnicodeError, TypeError, AssertionError) as error:
        raise BadInput(f"{name!r} is not a text encoding that can be used here ({error}).") from error


def _has_cp1252_holes(path: Path) -> bool:
    """Whether a byte occurs that cp1252 does not define."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            if any(hole in piece for hole in CP1252_HOLES):
                return True
    return False
