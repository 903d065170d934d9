"""Content by hash: what is there under a name has the bytes that the name says, and goes only when nobody names it and a day has passed."""

import hashlib
import os
import time
from pathlib import Path

from state.content import READ_BYTES, YOUNG_S, Content, sweep
from state.disk import Disk
from state.errors import BodyTooLarge, DigestMismatch, DiskLow, StorageUnavailable, UnknownArtifact
from tests.kit import Skip, a_folder, refuses, same
from tests.state.faulty import FaultyDisk, broken


def sha256(data: bytes) -> str:
    """The name of some bytes."""
    return hashlib.sha256(data).hexdigest()


def names(folder: Path) -> set[str]:
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


def age(path: Path) -> None:
    """Make it older than what is young."""
    old = time.time() - YOUNG_S - 60.0
    os.utime(path, (old, old))


def test_an_upload_in_pieces_is_kept_under_its_hash_and_read_in_pieces():
    content = Content(a_folder() / "artifacts")
    data = os.urandom(READ_BYTES + 1_000)
    upload = content.upload("", len(data))
    for start in range(0, len(data), 100_000):
        upload.write(data[start:start + 100_000])
    same(names(content.folder) & {sha256(data)}, set())
    same((upload.finish(), upload.size), (sha256(data), len(data)))
    same((names(content.folder), content.size(sha256(data))), ({sha256(data)}, len(data)))
    same(content.read(sha256(data), 0) + content.read(sha256(data), READ_BYTES), data)
    same(content.read(sha256(data), len(data)), b"")


def test_an_empty_artifact_is_content_too():
    content = Content(a_folder() / "artifacts")
    same(content.upload("", 0).finish(), sha256(b""))
    same(content.size(sha256(b"")), 0)


def test_bytes_of_another_hash_or_beyond_the_limit_leave_nothing():
    content = Content(a_folder() / "artifacts")
    upload = content.upload(sha256(b"this"), 10)
    upload.write(b"that")
    refuses(DigestMismatch, upload.finish, sha256(b"that"), sha256(b"this"))
    same(names(content.folder), set())
    upload = content.upload("", 10)
    upload.write(b"0123456789")
    refuses(BodyTooLarge, lambda: upload.write(b"x"))
    upload.abort()
    content.upload("", 10).abort()
    same(names(content.folder), set())


def test_the_same_bytes_again_are_kept_once_and_count_as_young():
    content = Content(a_folder() / "artifacts")
    name = content.put(b"hello")
    age(content.folder / name)
    same(content.put(b"hello"), name)
    same(sweep(Disk(), content.folder, set(), 10), 0)
    upload = content.upload(name, 5)
    upload.write(b"hello")
    same((upload.finish(), names(content.folder)), (name, {name}))


def test_content_that_is_not_here_is_unknown():
    content = Content(a_folder() / "artifacts")
    refuses(UnknownArtifact, lambda: content.size("0" * 64), "0" * 64)


def test_a_sweep_takes_only_what_is_old_and_not_named_and_no_more_than_it_is_told():
    content = Content(a_folder() / "artifacts")
    kept, young, *old = [content.put(bytes([i])) for i in range(6)]
    leftover = content.folder / ".0123.tmp"
    leftover.write_bytes(b"of a crash")
    for name in (kept, *old, ".0123.tmp"):
        age(content.folder / name)
    same(sweep(Disk(), content.folder, {kept}, 2), 2)
    same(sweep(Disk(), content.folder, {kept}, 100), 3)
    same(names(content.folder), {kept, young})


def test_a_sweep_takes_definitions_by_their_name_and_bundles_with_all_that_is_in_them():
    folder = a_folder()
    (folder / "aa" / "scripts" / "deep").mkdir(parents=True)
    (folder / "aa" / "scripts" / "deep" / "x.py").write_text("x")
    (folder / "aa" / "SKILL.md").write_text("x")
    (folder / "bb.json").write_text("{}")
    (folder / "cc.json").write_text("{}")
    for path in folder.iterdir():
        age(path)
    same(sweep(Disk(), folder, {"cc"}, 10), 2)
    same(names(folder), {"cc.json"})
    same(sweep(Disk(), folder / "nowhere", set(), 10), 0)


def test_what_became_young_while_a_sweep_looked_elsewhere_stays():
    content = Content(a_folder() / "artifacts")
    all_names = [content.put(bytes([i])) for i in range(3)]
    for name in all_names:
        age(content.folder / name)

    class Slow(Disk):
        """Somebody stores the same bytes again while the first name is removed."""

        def remove(self, path: Path | str) -> None:
            for i in range(3):
                if (content.folder / all_names[i]).exists() and Path(path).name != all_names[i]:
                    content.put(bytes([i]))
            super().remove(path)
    same(sweep(Slow(), content.folder, set(), 10), 1)
    same(len(names(content.folder)), 2)


def test_a_name_whose_sync_failed_is_synced_before_it_counts_as_stored_once_more():
    name = sha256(b"hello")
    for again in ("put", "touch", "upload"):
        disk = FaultyDisk()
        content = Content(a_folder() / "artifacts", disk)

        def store(content: Content = content, again: str = again) -> object:
            if again == "put":
                return content.put(b"hello")
            if again == "touch":
                return content.touch(name)
            upload = content.upload(name, 5)
            upload.write(b"hello")
            return upload.finish()
        disk.refuse(1, "sync", error=broken)
        refuses(StorageUnavailable, lambda content=content: content.put(b"hello"))
        same(names(content.folder), {name})
        disk.refuse(1, "sync", error=broken)
        refuses(StorageUnavailable, store)
        before = disk.calls.count(("sync", "artifacts")) + disk.calls.count(("sync", name))
        for more in (1, 1 + (again == "upload")):                          # once it is known, only what is written anew needs a sync
            store()
            same(disk.calls.count(("sync", "artifacts")) + disk.calls.count(("sync", name)) - before, more)


def test_who_stores_the_same_bytes_while_their_name_is_synced_does_not_trust_it_either():
    class Between(FaultyDisk):
        """Somebody puts the same bytes after the rename and before its sync."""

        def rename(self, old: Path | str, new: Path | str) -> None:
            os.rename(old, new)
            content.put(b"hello")
            self.sync_folder(Path(new).parent)
    disk = Between()
    content = Content(a_folder() / "artifacts", disk)
    content.put(b"hello")
    same(disk.calls.count(("sync", "artifacts")), 3)                       # of the start, of the one who came between, and its own


def test_names_of_an_earlier_process_are_synced_at_a_start():
    disk = FaultyDisk()
    folder = a_folder() / "artifacts"
    Content(folder, disk)
    same(disk.calls, [("sync", "artifacts")])


def test_content_that_goes_before_it_is_made_young_is_stored_again_or_unknown():
    content = Content(a_folder() / "artifacts")
    name = content.put(b"hello")
    (content.folder / name).unlink()
    refuses(UnknownArtifact, lambda: content.touch(name), name)
    same((content.put(b"hello"), names(content.folder)), (name, {name}))


def test_a_disk_that_refuses_to_make_content_young_is_said_so():
    content = Content(a_folder() / "artifacts")
    name = content.put(b"hello")
    content.folder = content.folder / name                                 # below a file there is no name, and nothing can be made
    refuses(StorageUnavailable, lambda: content.put(b"hello"))
    refuses(StorageUnavailable, lambda: content.touch(name))


def test_a_disk_that_is_full_is_said_so_whenever_it_shows_and_nothing_is_left():
    full = Path("/dev/full")
    if not full.exists():
        raise Skip("there is no /dev/full here")
    content = Content(a_folder() / "artifacts")
    for size in (1_000_000, 10):               # shows when it is written, or only when it is written out

        def store(size: int = size) -> None:
            upload = content.upload("", size)
            upload.write(b"")
            upload._file.close()
            upload._file = open(full, "wb")  # noqa: SIM115 - closed by the upload
            try:
                upload.write(bytes(size))
                upload.finish()
            finally:
                upload.abort()
        same(refuses(DiskLow, store).retry_after_s, 30)
        same(names(content.folder), set())


def test_a_disk_that_refuses_for_another_reason_is_unavailable():
    content = Content(a_folder() / "artifacts")
    content.folder.rmdir()
    refuses(StorageUnavailable, lambda: content.put(b"a"), "refuses writes")
    refuses(StorageUnavailable, lambda: content.upload("", 5).finish(), "refuses writes")
