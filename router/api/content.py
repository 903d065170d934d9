"""Content by hash: artifacts in and out, bundles and the worker itself out; streamed as raw bytes, read and written on helper threads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fleet.pyz import build
from router.app import House
from router.http.messages import WAIT, Offload, Outcome, Receive, Request, Response, Stream
from router.http.messages import Wait as WaitMark
from state.content import Upload
from state.errors import UnknownArtifact, UnknownBundle
from state.limits import ARTIFACT_BYTES_MAX

SHA256 = re.compile(r"[0-9a-f]{64}")
CHUNKS_AHEAD = 2               # read from the disk before the reader asks
IMMUTABLE = (("Cache-Control", "max-age=31536000, immutable"),)


def receive(house: House, request: Request) -> Receive:
    """Where the body of POST /artifacts and PUT /artifacts/{sha256} goes while it arrives."""
    wanted = request.params.get("sha256", "").removeprefix("sha256:")
    if "sha256" in request.params and not SHA256.fullmatch(wanted):
        raise UnknownArtifact(f"{wanted[:80]!r} is not a sha256 in hex")
    refusal = house.store.engine.refusal()
    if refusal is not None and request.method == "POST":
        raise refusal
    upload = house.content.upload(wanted, ARTIFACT_BYTES_MAX)
    return Receive(upload.write, lambda: _stored(upload, request.method == "PUT"), upload.abort)


def _stored(upload: Upload, put: bool) -> Outcome:
    def answer(found: Any) -> Outcome:
        if isinstance(found, Exception):
            raise found
        body = {"$artifact": f"sha256:{found}", "sha256": found, "bytes": upload.size}
        return Response(200 if put else 201, body, (("Location", f"/artifacts/{found}"),))
    return Offload(upload.finish, answer)


def artifact(house: House, request: Request) -> Outcome:
    """GET /artifacts/{sha256}."""
    name = request.params["sha256"].removeprefix("sha256:")
    if not SHA256.fullmatch(name):
        raise UnknownArtifact(f"{name[:80]!r} is not a sha256 in hex")

    def opened(size: Any) -> Outcome:
        if isinstance(size, Exception):
            raise size
        reader = _Reader(house, name, size)
        return Stream(200, (*IMMUTABLE, ("ETag", f'"{name}"')), "application/octet-stream", reader.key, reader.pull, reader.close, size)
    return Offload(lambda: house.content.size(name), opened)


class _Reader:
    """Hands a file to a stream in pieces that helper threads have read."""

    def __init__(self, house: House, name: str, size: int) -> None:
        self._house, self._name, self._left, self._offset = house, name, size, 0
        self._ready: list[bytes] = []
        self._asked = self._closed = False
        self.key = ("artifact", id(self))

    def pull(self) -> bytes | WaitMark | None:
        """The next piece if it is here; asks for the one after it."""
        if self._left == 0 and not self._ready:
            return None
        piece = self._ready.pop(0) if self._ready else None
        if not self._asked and self._left and len(self._ready) < CHUNKS_AHEAD:
            self._ask()
        return WAIT if piece is None else piece

    def _ask(self) -> None:
        self._asked = True
        offset = self._offset
        self._house.engine.offload(lambda: self._house.content.read(self._name, offset), self._arrived)

    def _arrived(self, piece: Any) -> None:
        self._asked = False
        if isinstance(piece, Exception) or not piece or self._closed:
            self._left, self._ready = 0, []        # the stream ends short of its length, which the client notices
        else:
            self._offset += len(piece)
            self._left -= len(piece)
            self._ready.append(piece)
        self._house.engine.wake(self.key)

    def close(self) -> None:
        """The stream has ended."""
        self._closed = True


def bundle(house: House, request: Request) -> Outcome:
    """GET /bundles/{sha256}: the files of a pinned skill as a tar."""
    name = request.params["sha256"]
    if not SHA256.fullmatch(name):
        raise UnknownBundle(f"{name[:80]!r} is not a sha256 in hex")
    return _bytes(lambda: house.definitions.bundle_tar(name), "application/x-tar", IMMUTABLE)


def worker_pyz(house: House, request: Request) -> Outcome:
    """GET /worker.pyz: the worker as one file that python3 runs."""
    return _bytes(build, "application/zip", (("Content-Disposition", 'attachment; filename="worker.pyz"'),))


def _bytes(read: Callable[[], bytes], content_type: str, headers: tuple[tuple[str, str], ...]) -> Outcome:
    def answer(found: Any) -> Outcome:
        if isinstance(found, Exception):
            raise found
        return Response(200, found, headers, content_type)
    return Offload(read, answer)
