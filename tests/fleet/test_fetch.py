"""The http step: where it may go, what it takes, and how it says no. Everything is asked of a server on loopback."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fleet.fetch import FetchError, fetch, host_allowed, public
from tests.fleet.hands import hands
from tests.kit import a_folder, refuses, same


class FakeStep:
    """A handle with a work folder that remembers what was kept."""

    def __init__(self) -> None:
        self.work_folder = a_folder()
        self.kept: list[bytes] = []

    def artifact(self, source: Path) -> dict[str, Any]:
        self.kept.append(source.read_bytes())
        return {"$artifact": "sha256:x"}


class Site:
    """Answers by path; records what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}


@contextmanager
def a_site() -> Iterator[tuple[Site, str]]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            site.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers, content = site.pages.get(self.path, (404, {}, b"nothing here"))
            self.send_response(status)
            for name, text in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            if headers.get("X-Slow"):
                time.sleep(0.4)
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield site, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def get(url: str, step: FakeStep | None = None, **spec: Any) -> dict[str, Any]:
    return fetch({"url": url, "allow_hosts": ["127.0.0.1"], "allow_private": True, "max_s": 5, **spec}, step or FakeStep())    # type: ignore[arg-type]


def refused(url: str, code: str, retryable: bool, **spec: Any) -> FetchError:
    error: FetchError = refuses(FetchError, lambda: get(url, **spec))
    same((url, error.code, error.retryable), (url, code, retryable))
    return error


def test_json_text_and_bytes_come_as_what_they_are():
    with a_site() as (site, url):
        for path, kind, body in (("/j", "application/json", b'{"a":1}'), ("/t", "text/html; charset=latin-1", b"\xe9"),
                                 ("/m", "text/html", b"<meta charset=koi8-r>\xd0"), ("/w", "text/plain", b"\x80 5"),
                                 ("/l", "application/json", b"no json"), ("/b", "image/png", b"\x89PNG\0")):
            site.pages[path] = (200, {"Content-Type": kind}, body)
        found = get(url + "/j")
        same((found["status"], found["url"], found["json"], found["content_type"], found["headers"]["content-length"]),
             (200, url + "/j", {"a": 1}, "application/json", "7"))
        same((get(url + "/t")["text"], get(url + "/m")["text"][-1], get(url + "/w")["text"], get(url + "/l")["text"]), ("é", "п", "€ 5", "no json"))
        same(get(url + "/j", expect="text")["text"], '{"a":1}')
        refused(url + "/l", "not_json", False, expect="json")
        step = FakeStep()
        same((get(url + "/b", step)["artifact"], step.kept), ({"$artifact": "sha256:x"}, [b"\x89PNG\0"]))


def test_method_headers_and_body_are_sent_and_json_is_made_of_values():
    with a_site() as (site, url):
        site.pages["/p?q=%C3%BC&r=1"] = (200, {}, b"ok")
        get(url + "/p?q=ü&r=1", method="POST", headers={"X-One": "1"}, body={"a": "ü"})
        method, path, headers, body = site.asked[0]
        same((method, path, headers["x-one"], headers["content-type"]), ("POST", "/p?q=%C3%BC&r=1", "1", "application/json"))
        same(json.loads(body), {"a": "ü"})
        for name, value in (("X-A", "1\r\nHost: x"), ("bad name", "1")):
            refused(url + "/p", "bad_header", False, headers={name: value})
        refused(url + "/p", "bad_method", False, method="GET / HTTP/1.1")
        same(len(site.asked), 1)


def test_hosts_must_be_allowed_by_name_or_pattern():
    for host, allowed, wanted in (("example.org", ["example.org"], True), ("EXAMPLE.org.", ["example.org"], True), ("x", ["*"], True),
                                  ("a.example.org", ["*.example.org"], True),
                                  ("example.org", ["*.example.org"], False), ("badexample.org", ["*.example.org"], False),
                                  ("example.org.evil.net", ["example.org", "*.example.org"], False), ("::1", ["[::1]"], True), ("x", [], False)):
        same((host, allowed, host_allowed(host, allowed)), (host, allowed, wanted))
    refused("http://127.0.0.1:9/", "host_not_allowed", False, allow_hosts=["example.org"])
    refused("http://127.0.0.1:9/", "host_not_allowed", False, allow_hosts=[])


def test_only_http_urls_without_credentials_or_control_characters_are_asked():
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "http://user:pass@127.0.0.1/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: 1", "http:///x",
                "http://127.0.0.1:99999/", "//127.0.0.1/"):
        refused(url, "bad_url", False)


def test_addresses_that_are_not_public_are_refused_in_every_spelling():
    for address in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
                    "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.9", "::1", "::", "fe80::1",
                    "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::",
                    "2002:a00:1::", "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "::127.0.0.1", "2001::1", "fec0::1"):
        same((address, public(address)), (address, False))
    for address in ("1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"):
        same((address, public(address)), (address, True))
    for url in ("http://127.0.0.1:9/", "http://localhost:9/", "http://[::1]:9/", "http://2130706433:9/", "http://0x7f.1:9/"):
        refused(url, "address_not_allowed", False, allow_hosts=["*"], allow_private=False)


def test_every_redirect_is_checked_again():
    with a_site() as (site, url):
        site.pages |= {"/1": (302, {"Location": "/2"}, b""), "/2": (307, {"Location": url + "/3"}, b""), "/3": (200, {}, b"here"),
                       "/away": (302, {"Location": "http://169.254.169.254/latest"}, b""), "/file": (302, {"Location": "file:///etc/passwd"}, b""),
                       "/loop": (302, {"Location": "/loop"}, b"")}
        same((get(url + "/1")["text"], get(url + "/1")["url"]), ("here", url + "/3"))
        refused(url + "/away", "host_not_allowed", False)
        refused(url + "/file", "bad_url", False)
        error = refused(url + "/loop", "too_many_redirects", False, max_redirects=3)
        assert "/loop" in str(error)
        same(sum(path == "/loop" for _, path, _, _ in site.asked), 4)
        refused(url + "/1", "too_many_redirects", False, max_redirects=0)


def test_a_redirect_changes_the_method_as_browsers_do_and_takes_no_credentials_to_another_host():
    with a_site() as (site, url):
        other = url.replace("127.0.0.1", "localhost")
        site.pages |= {"/303": (303, {"Location": "/end"}, b""), "/307": (307, {"Location": "/end"}, b""),
                       "/other": (307, {"Location": other + "/end"}, b""), "/end": (200, {}, b"ok")}
        for path in ("/303", "/307", "/other"):
            get(url + path, method="POST", body="data", headers={"Authorization": "Bearer x"}, allow_hosts=["127.0.0.1", "localhost"])
        ends = [(method, headers.get("authorization"), body) for method, path, headers, body in site.asked if path == "/end"]
        same(ends, [("GET", "Bearer x", b""), ("POST", "Bearer x", b"data"), ("POST", None, b"data")])


def test_sizes_are_limited_after_decompression():
    with a_site() as (site, url):
        site.pages |= {"/big": (200, {"Content-Type": "text/plain"}, b"x" * 5_000),
                       "/bomb": (200, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}, gzip.compress(b"x" * 10_000_000)),
                       "/zip": (200, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}, gzip.compress(b"hello " * 50_000)),
                       "/zlib": (200, {"Content-Encoding": "deflate"}, zlib.compress(b"hello")),
                       "/cut": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 5_000)[:-12]),
                       "/lie": (200, {"Content-Encoding": "gzip"}, b"plain")}
        same(len(get(url + "/big", max_bytes=5_000)["text"]), 5_000)
        refused(url + "/big", "body_too_large", False, max_bytes=4_999)
        refused(url + "/bomb", "body_too_large", False, max_bytes=1_000_000)
        same((len(get(url + "/zip")["text"]), get(url + "/zlib")["text"]), (300_000, "hello"))
        refused(url + "/cut", "connect_failed", True)
        refused(url + "/lie", "bad_encoding", True)


def test_statuses_say_whether_trying_again_is_worth_it():
    with a_site() as (site, url):
        for status, retryable in ((400, False), (404, False), (408, True), (425, True), (429, True), (451, False), (500, True), (503, True)):
            site.pages["/s"] = (status, {}, b"the reason")
            assert "the reason" in str(refused(url + "/s", "http_status", retryable))
        site.pages["/s"] = (404, {}, b"")
        refused(url + "/s", "http_status", True, retry_statuses=[404])


def test_what_cannot_be_reached_or_takes_too_long_is_worth_trying_again():
    with a_site() as (site, url):
        site.pages["/slow"] = (200, {"X-Slow": "1"}, b"late")
        refused(url + "/slow", "connect_failed", True, max_s=0.15)
        site.pages["/short"] = (200, {"Content-Length": "10", "Connection": "close"}, b"half")
        refused(url + "/short", "connect_failed", True)
    refused(url + "/", "connect_failed", True)
    refused("http://a..b/", "connect_failed", True, allow_hosts=["*"])


def test_an_http_step_runs_in_a_runner_process_with_its_time_limit():
    with a_site() as (site, url), hands({}) as h:
        site.pages |= {"/j": (200, {"Content-Type": "application/json"}, b"[1]"), "/slow": (200, {"X-Slow": "1"}, b"late")}
        spec = {"method": "GET", "url": url + "/j", "allow_hosts": ["127.0.0.1"], "allow_private": True}
        same(h.end_of(h.call(kind="http", spec=spec))["json"], [1])
        error = h.error_of(h.call(kind="http", spec={**spec, "allow_hosts": []}))
        same((error["code"], error["retryable"]), ("host_not_allowed", False))
        assert h.error_of(h.call(kind="http", spec={**spec, "url": url + "/slow"}, timeout_s=0.2))["code"] in ("timeout", "connect_failed")
