#!/usr/bin/env python3
"""Many connections in a process of their own: opened, kept, let go when told. Descriptors are counted per process, so the server needs as many again.

usage: crowd.py PORT COUNT, then commands on stdin, each answered by one line on stdout:
open REQUEST   open the connections; each sends REQUEST (JSON string, {n} is its number) if it is not empty
replies        wait until each has a reply; the statuses and how often each came
leave          close all of them at once        reset   the same, by resets
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import sys
import time
from collections import Counter

PATIENCE_S = 60.0


def opened(port: int, count: int, request: str) -> list[socket.socket]:
    """Connections that have sent their request."""
    sockets = []
    for n in range(count):
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        if request:
            sock.sendall(request.replace("{n}", str(n)).encode())
        sockets.append(sock)
    return sockets


def replies(sockets: list[socket.socket]) -> str:
    """Wait for one reply to each; what they were."""
    found: Counter[str] = Counter()
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
        until = time.monotonic() + PATIENCE_S
        while selector.get_map() and time.monotonic() < until:
            for key, _ in selector.select(1.0):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65536)
                found[data[9:12].decode("latin-1") or "none"] += 1
                selector.unregister(key.fileobj)
    return str(dict(found))


def main() -> int:
    """Do as told until stdin ends."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets: list[socket.socket] = []
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "open":
            sockets = opened(port, count, json.loads(rest))
            print(f"{len(sockets)} open", flush=True)
        elif command == "replies":
            print(replies(sockets), flush=True)
        else:
            for sock in sockets:
                if command == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
            sockets = []
            print("left", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
