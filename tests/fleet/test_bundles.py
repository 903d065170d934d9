"""Content by hash on a worker's disk: verified before use, kept within limits, swept after a crash."""

from __future__ import annotations

import io
import os
from pathlib import Path

from fleet.bundles import Content, DataInUse, TryLater, Unavailable
from fleet.client import Client, Unreachable
from tests.fleet.peer import Peer
from tests.kit import a_folder, refuses, same, written


def test_a_bundle_is_fetched_once_verified_and_read_only():
    with Peer() as peer:
        bundle = peer.bundle({"tool.py": "x = 1\n", "deep/run.sh": "#!/bin/sh\n"}, ("deep/run.sh",))
        content, client = Content(a_folder()), Client(peer.url)
        same(content.has_bundle(bundle), None)
        folder = content.fetch_bundle(client, bundle)
        same(((folder / "tool.py").read_text(), os.access(folder / "deep/run.sh", os.X_OK), content.has_bundle(bundle)), ("x = 1\n", True, folder))
        content.fetch_bundle(client, bundle)
        same(sum("/bundles/" in request for request in peer.requests), 1)


def test_what_an_earlier_process_left_is_checked_before_it_is_used_again():
    data = a_folder()
    with Peer() as peer:
        bundle, artifact = peer.bundle({"tool.py": "x = 1\n"}), peer.artifact(b"data")
        first, client = Content(data), Client(peer.url)
        places = first.fetch_bundle(client, bundle) / "tool.py", first.fetch_artifact(client, artifact)
        first.close()
        second = Content(data)
        second.fetch_bundle(client, bundle)
        second.fetch_artifact(client, artifact)
        same(len(peer.requests), 2)
        second.close()
        for place in places:
            place.chmod(0o600)
            place.write_bytes(b"changed")
        third = Content(data)
        same((third.fetch_bundle(client, bundle) / "tool.py").read_text(), "x = 1\n")
        same(third.fetch_artifact(client, artifact).read_bytes(), b"data")
        same(len(peer.requests), 4)


def test_content_that_is_not_what_its_name_says_is_never_used():
    with Peer() as peer:
        bundle, artifact = peer.bundle({"tool.py": "x = 1\n"}), peer.artifact(b"data")
        peer.content[artifact] = b"other"
        peer.content[bundle] = peer.content[bundle].replace(b"x = 1", b"x = 2")
        content, client = Content(a_folder()), Client(peer.url)
        same(refuses(Unavailable, lambda: content.fetch_bundle(client, bundle)).code, "bundle_damaged")
        same(refuses(Unavailable, lambda: content.fetch_artifact(client, artifact)).code, "artifact_damaged")
        same([list(folder.iterdir()) for folder in (content.bundles, content.artifacts, content.tmp)], [[], [], []])


def test_what_the_server_has_not_got_or_cannot_give_now_is_told_apart():
    with Peer() as peer:
        content, client = Content(a_folder()), Client(peer.url)
        same(refuses(Unavailable, lambda: content.fetch_artifact(client, "a" * 64)).code, "artifact_missing")
        peer.answers["/artifacts/" + "a" * 64] = [(503, {"code": "storage_unavailable", "retry_after": 3})]
        same(refuses(TryLater, lambda: content.fetch_artifact(client, "a" * 64)).wait_s, 3.0)
        peer.answers["/artifacts"] = [(507, {"code": "disk_low"}), (422, {"code": "digest_mismatch"})]
        refuses(TryLater, lambda: content.send_bytes(client, b"x"))
        same(refuses(Unavailable, lambda: content.send_bytes(client, b"x")).code, "artifact_refused")
    refuses(Unreachable, lambda: content.send_bytes(client, b"x"))


def test_artifacts_go_up_whole_and_are_streamed():
    with Peer() as peer:
        content, client = Content(a_folder()), Client(peer.url)
        data = bytes(range(256)) * 4_000
        sha256 = content.send_bytes(client, data)
        same(peer.content[sha256], data)
        content.send(client, io.BytesIO(data), sha256, len(data))
        same(content.fetch_artifact(client, sha256).read_bytes(), data)


def test_the_least_recently_used_content_goes_first_and_never_what_is_in_use():
    with Peer() as peer:
        bundles = [peer.bundle({"data.txt": str(i) * 1_000}) for i in range(4)]
        content, client = Content(a_folder(), bundles_bytes_max=2_500), Client(peer.url)
        for bundle in bundles:
            content.fetch_bundle(client, bundle)
        content.used(bundles[0])
        content.trim({bundles[1]})
        same([content.has_bundle(bundle) is not None for bundle in bundles], [True, True, False, False])
        same(sorted(path.name for path in content.bundles.iterdir()), sorted(bundles[:2]))


def test_a_start_sweeps_what_a_crash_left_half_done():
    data = written(a_folder(), {"tmp/half": "x", "work/r1/deep/file": "x", "bundles/.abc.1.2.tmp/x": "x", "artifacts/half.tmp": "x"})
    content = Content(data)
    same([list(folder.iterdir()) for folder in (content.tmp, content.work, content.bundles, content.artifacts)], [[], [], [], []])


def test_two_workers_never_share_a_data_folder():
    data = a_folder()
    first = Content(data)
    refuses(DataInUse, lambda: Content(data), str(data))
    first.close()
    Content(Path(data)).close()
