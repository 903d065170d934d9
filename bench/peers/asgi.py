"""The peer of GET /health: the smallest ASGI application, on uvicorn with one worker. Runs under a Python that has uvicorn.

usage: python asgi.py BYTES      prints `listening on http://127.0.0.1:PORT` and answers every request with so many bytes, until it is killed
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

LISTEN_QUEUE = 1024


def application(body: bytes) -> Callable[..., Awaitable[None]]:
    """Answers 200 with the body."""
    async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "http":
            headers = [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
    return app


def main() -> None:
    """Serve."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=LISTEN_QUEUE)
    server = uvicorn.Server(uvicorn.Config(application(b"x" * int(sys.argv[1])), log_level="error", access_log=False, lifespan="off"))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])             # on uvloop, where it is installed


if __name__ == "__main__":
    main()
