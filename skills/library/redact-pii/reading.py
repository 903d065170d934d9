"""Text in pieces: a string as it came, or a file of any size in bounded memory.

Offsets in the whole skill are characters (code points) of the text that this module yields: a byte order mark is not counted, line ends are kept.
Bytes that the encoding does not know are replaced one for one, counted and reported; they never stop the work.
Every skill folder that reads text holds the same copy of this file, because a skill folder is self-contained.
"""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

PIECE_CHARACTERS = 1 << 18        # of a piece: large enough that the cost per piece vanishes, small enough for tens of skills side by side
SNIFF_BYTES = 4096                # looked at to find the encoding
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
SURROGATES = re.compile("[\ud800-\udfff]")
# A byte that is not UTF-8 comes out of the decoder as U+DC80-U+DCFF and is read as Windows-1252, which is what it nearly always is.
WINDOWS_1252 = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)}


class InputError(Exception):
    """The input cannot be used, and trying again will not help. The message is one sentence for the client."""

    retryable = False


class Text:
    """A text to read in pieces, as often as wanted. `bad` and `first_bad` tell what the last full reading could not decode."""

    def __init__(self, source: str | Path, encoding: str | None = None) -> None:
        """Look at the beginning of `source` (a string, or the path of a plain or gzip-compressed file). Raises `InputError`."""
        self.source = source
        self.bad = 0                                # bytes or characters that could not be decoded
        self.first_bad: int | None = None           # offset in characters of the first of them
        self.compressed = False
        self.bom = b""
        self.encoding = "utf-8"
        if isinstance(source, Path):
            self._sniff(encoding)

    @property
    def size_bytes(self) -> int:
        """The size of the file, or the length of the string."""
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)

    def pieces(self, characters: int = PIECE_CHARACTERS) -> Iterator[str]:
        """The text from its beginning, in strings of about this length, none empty. Raises `InputError` for a damaged gzip file."""
        self.bad, self.first_bad = 0, None
        seen = 0
        for piece in self._raw(characters):
            if not piece:
                continue
            clean = self._clean(piece, seen)
            seen += len(clean)
            yield clean

    def whole(self, characters_max: int) -> str:
        """All of the text, for the jobs that need it at once. Raises `InputError` when it is longer than the limit."""
        parts: list[str] = []
        length = 0
        for piece in self.pieces():
            length += len(piece)
            if length > characters_max:
                raise InputError(f"the text is longer than {characters_max:,} characters, which is the limit for this option")
            parts.append(piece)
        return "".join(parts)

    def notes(self) -> list[str]:
        """What a reader of the result must know about the decoding; empty for clean UTF-8."""
        notes = []
        if self.bad:
            how = "read as Windows-1252" if self.encoding == "utf-8" and isinstance(self.source, Path) else "replaced by U+FFFD"
            notes.append(f"{self.bad} bytes or characters are not valid {self.encoding.upper()} (the first at offset {self.first_bad}); "
                         f"they were {how}. Give `encoding` if the text has another one.")
        elif self.encoding != "utf-8":
            notes.append(f"The text was read as {self.encoding}.")
        return notes

    def _raw(self, characters: int) -> Iterator[str]:
        """Decoded pieces, with what could not be decoded still marked."""
        if isinstance(self.source, str):
            for start in range(0, len(self.source), characters):
                yield self.source[start:start + characters]
            return
        decoder = codecs.getincrementaldecoder(self.encoding)("surrogateescape" if self.encoding == "utf-8" else "replace")
        with self._open() as file:
            file.read(len(self.bom))
            while data := self._read(file, characters):
                yield decoder.decode(data)
            yield decoder.decode(b"", True)

    def _clean(self, piece: str, offset: int) -> str:
        """The piece without surrogates (not text, and no JSON writer takes them) and with its bad characters counted."""
        if self.encoding == "utf-8":
            found = SURROGATES.search(piece)
            if found is None:
                return piece
            self._count(len(SURROGATES.findall(piece)), offset + found.start())
            return SURROGATES.sub("\ufffd", piece.translate(WINDOWS_1252) if isinstance(self.source, Path) else piece)
        if "\ufffd" in piece:
            self._count(piece.count("\ufffd"), offset + piece.index("\ufffd"))
        return piece

    def _count(self, bad: int, first: int) -> None:
        self.bad += bad
        if self.first_bad is None:
            self.first_bad = first

    def _open(self) -> BinaryIO:
        path = cast(Path, self.source)
        return cast(BinaryIO, gzip.open(path, "rb") if self.compressed else path.open("rb"))

    def _read(self, file: BinaryIO, length: int) -> bytes:
        try:
            return file.read(length)
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise InputError(f"the file cannot be read to its end: {error}") from error

    def _sniff(self, encoding: str | None) -> None:
        """Find compression, byte order mark and encoding from the first bytes; a given encoding wins over a guess."""
        with self._open() as file:
            self.compressed = file.read(2) == b"\x1f\x8b"
        with self._open() as file:
            head = self._read(file, SNIFF_BYTES)
        self.bom, found = next(((bom, name) for bom, name in BOMS if head.startswith(bom)), (b"", ""))
        self.encoding = encoding or found or wide(head) or "utf-8"
        try:
            codecs.getincrementaldecoder(self.encoding)
        except LookupError as error:
            raise InputError(f"the encoding {self.encoding!r} is not known") from error
        if self.encoding == "utf-8" and head.count(b"\0") > len(head) // 100:
            raise InputError("the input is not text: its first bytes hold NUL bytes, as in an image, an archive or a program")


def wide(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: nearly every second byte of Western text is NUL."""
    half = len(head) // 2
    if half >= 8 and head[1::2].count(0) > 0.7 * half > 10 * head[0::2].count(0):
        return "utf-16-le"
    if half >= 8 and head[0::2].count(0) > 0.7 * half > 10 * head[1::2].count(0):
        return "utf-16-be"
    return None
