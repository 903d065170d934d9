#!/usr/bin/env python3
"""The peer: a stock http.server.ThreadingHTTPServer that answers every GET and POST with as many bytes as the real server does.

usage: python3 stock.py GET_BYTES POST_BYTES      prints `listening on http://127.0.0.1:PORT` and serves until it is killed

It reads the request's body and stores nothing. Three settings are not stock: HTTP/1.1 keep-alive, TCP_NODELAY (without it head and body, written as
two segments, cost 44 ms a request) and a listen queue in which 256 connections find room.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LISTEN_QUEUE = 1024


def handler(get_body: bytes, post_body: bytes) -> type[BaseHTTPRequestHandler]:
    """The handler class that answers with these bodies."""
    class Handler(BaseHTTPRequestHandler):
        """200 for a GET, 202 for a POST."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            """Answer a GET."""
            self._answer(200, get_body)

        def do_POST(self) -> None:
            """Read the body, answer."""
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(202, post_body)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """No line for each request."""
    return Handler


def main(argv: list[str]) -> None:
    """Serve until killed."""
    class Server(ThreadingHTTPServer):
        """Stock, with room for connections that come together."""

        request_queue_size = LISTEN_QUEUE

    get_bytes, post_bytes = (int(a) for a in argv)
    server = Server(("127.0.0.1", 0), handler(b"x" * get_bytes, b"x" * post_bytes))
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
