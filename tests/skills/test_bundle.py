"""Promises of bundles."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from skills import bundle
from skills.bundle import Bundle, BundleError, SkillFile
from state.limits import BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX
from tests.kit import a_folder, refuses, same

FILES = {"SKILL.md": SkillFile("---\nname: é\n".encode()), "run.sh": SkillFile(b"#!/bin/sh\n", True), "lib/deep/empty": SkillFile(b""),
         "lib/x.py": SkillFile(b"x = 1\n"), "l" * 200 + ".txt": SkillFile(b"a long name"), "naïve.txt": SkillFile(bytes(range(256)))}


def a_tar(*members: tuple[str, bytes, bytes, str]) -> bytes:
    """A tar of (name, type, content, link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:") as tar:
        for name, kind, content, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), target
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def everything_below(folder: Path) -> list[str]:
    """Relative paths of all files and folders."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_bundle_goes_through_a_tar_and_comes_back_byte_for_byte() -> None:
    into = a_folder() / "cache" / "one"
    described = bundle.describe(FILES)
    same(bundle.unpack(bundle.pack(FILES), into, described.sha256), described)
    same(bundle.read(into), FILES)
    same(Bundle.from_document(described.document()), described)
    assert os.access(into / "run.sh", os.X_OK) and not (into / "lib/x.py").stat().st_mode & 0o222
    same([path.name for path in into.parent.iterdir()], ["one"])


def test_the_name_depends_on_paths_bytes_and_the_executable_bit_only() -> None:
    name = bundle.describe(FILES).sha256
    same(bundle.describe(dict(reversed(FILES.items()))).sha256, name)
    same(bundle.pack(dict(reversed(FILES.items()))), bundle.pack(FILES))
    for change in ({"run.sh": SkillFile(b"#!/bin/sh\n")}, {"lib/x.py": SkillFile(b"x = 2\n")}, {"more": SkillFile(b"")}):
        assert bundle.describe({**FILES, **change}).sha256 != name
    same(bundle.describe({"a": SkillFile(b"b")}).files[0].sha256, hashlib.sha256(b"b").hexdigest())


def test_content_with_another_hash_is_refused_and_nothing_is_written() -> None:
    folder = a_folder()
    data = bundle.pack(FILES)
    for bytes_received in (data, data[:-2000], data.replace(b"x = 1", b"x = 2"), b"", b"not a tar" * 100, data[:700]):
        refuses(BundleError, lambda it=bytes_received: bundle.unpack(it, folder / "x", "0" * 64))  # type: ignore[misc]
    wanted = bundle.describe(FILES).sha256
    refuses(BundleError, lambda: bundle.unpack(data.replace(b"x = 1", b"x = 2"), folder / "x", wanted), "the content is")
    same(everything_below(folder), [])


def test_paths_that_leave_the_folder_are_refused() -> None:
    folder = a_folder()
    for path in ("../evil", "/etc/evil", "a/../../evil", "a/./b", "a//b", "..", ".", "", "a\\..\\b", "a/", "\ud800", "x" * 256, "x/" * 600 + "y"):
        refuses(BundleError, lambda path=path: bundle.describe({path: SkillFile(b"")}))  # type: ignore[misc]
    for path in ("../evil", "/etc/evil", "a/../../evil"):
        tar = a_tar((path, tarfile.REGTYPE, b"x", ""))
        refuses(BundleError, lambda tar=tar: bundle.unpack(tar, folder / "in", "0" * 64), "stays inside")  # type: ignore[misc]
    same(everything_below(folder), [])


def test_links_devices_folders_and_double_names_in_a_tar_are_refused() -> None:
    folder = a_folder()
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        tar = a_tar(("x", kind, b"", "/etc/passwd"))
        refuses(BundleError, lambda tar=tar: bundle.unpack(tar, folder / "in", "0" * 64), "not a plain file")  # type: ignore[misc]
    twice = a_tar(("x", tarfile.REGTYPE, b"1", ""), ("x", tarfile.REGTYPE, b"2", ""))
    refuses(BundleError, lambda: bundle.unpack(twice, folder / "in", "0" * 64), "twice")
    clash = a_tar(("x", tarfile.REGTYPE, b"1", ""), ("x/y", tarfile.REGTYPE, b"2", ""))
    refuses(BundleError, lambda: bundle.unpack(clash, folder / "in", "0" * 64), "a file and a folder")
    same(everything_below(folder), [])


def test_too_many_files_or_bytes_are_refused() -> None:
    most = {f"f{number}": SkillFile(b"") for number in range(BUNDLE_FILES_MAX)}
    same(len(bundle.describe(most).files), BUNDLE_FILES_MAX)
    same(bundle.parse(bundle.pack(most), bundle.describe(most).sha256), most)
    refuses(BundleError, lambda: bundle.describe({**most, "one": SkillFile(b"")}), "513")
    refuses(BundleError, lambda: bundle.describe({"big": SkillFile(bytes(BUNDLE_BYTES_MAX + 1))}), str(BUNDLE_BYTES_MAX))
    many = a_tar(*((f"f{number}", tarfile.REGTYPE, b"", "") for number in range(BUNDLE_FILES_MAX + 1)))
    refuses(BundleError, lambda: bundle.parse(many, "0" * 64), "513")


def test_a_written_bundle_is_synced_before_it_has_its_name_and_its_folder_after() -> None:
    root = a_folder() / "bundles"
    root.mkdir()
    final = root / bundle.describe(FILES).sha256
    synced: list[tuple[str, bool]] = []

    def sync(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}").removeprefix(str(root)), final.exists()))

    same(bundle.write(root, FILES, sync).sha256, final.name)
    before, after = [path for path, there in synced if not there], [path for path, there in synced if there]
    same(after, [""])
    same(len(before), len(FILES) + 3)       # the files, the new folder, lib and lib/deep
    same(bundle.read(final), FILES)


def test_writing_a_bundle_again_changes_nothing_and_syncs_its_folder() -> None:
    root = a_folder()
    bundle.write(root, FILES)
    inode = (root / bundle.describe(FILES).sha256 / "run.sh").stat().st_ino
    synced: list[int] = []
    bundle.write(root, FILES, synced.append)
    same(len(synced), 1)
    same((root / bundle.describe(FILES).sha256 / "run.sh").stat().st_ino, inode)


def test_a_write_that_fails_leaves_nothing_under_the_final_name_and_can_be_repeated() -> None:
    root = a_folder()
    calls: list[int] = []

    def broken_disk(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 4:
            raise OSError(5, "Input/output error")

    refuses(OSError, lambda: bundle.write(root, FILES, broken_disk), "Input/output")
    same(everything_below(root), [])
    described = bundle.write(root, FILES)
    assert bundle.is_whole(root / described.sha256, described.sha256)


def test_a_damaged_bundle_folder_is_noticed_and_what_python_leaves_there_is_not_damage() -> None:
    root = a_folder()
    described = bundle.write(root, FILES)
    folder = root / described.sha256
    (folder / "lib" / "__pycache__").mkdir()
    (folder / "lib" / "__pycache__" / "x.pyc").write_bytes(b"..")
    assert bundle.is_whole(folder, described.sha256)
    same(bundle.pack(bundle.read(folder)), bundle.pack(FILES))
    (folder / "lib" / "link").symlink_to("/etc")
    assert not bundle.is_whole(folder, described.sha256)
    (folder / "lib" / "link").unlink()
    (folder / "lib" / "x.py").unlink()
    assert not bundle.is_whole(folder, described.sha256)
    assert not bundle.is_whole(root / "missing", described.sha256)
