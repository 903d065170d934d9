"""A listening socket that a supervisor hands over and keeps open itself, so that clients which come while the server restarts wait instead of being
refused. The hand-over is that of sd_listen_fds(3): LISTEN_PID is our process, LISTEN_FDS is 1, the socket is descriptor 3.

Never here: binding, which is the engine's; whom the address lets in, which is the gate's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST_DESCRIPTOR = 3
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class NotOurs(Exception):
    """What was handed over is no TCP socket to listen on; one line says what it is."""


def inherited(environ: MutableMapping[str, str]) -> socket.socket | None:
    """The socket that was handed over to this process, or None. Its children get neither the socket nor the variables. Raises NotOurs."""
    pid, count, _ = (environ.pop(name, "") for name in VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal() or count == "0":
        return None
    if count != "1":
        raise NotOurs(f"LISTEN_FDS is {count[:20]}: one socket can be handed over, not several")
    try:
        listener = socket.socket(fileno=FIRST_DESCRIPTOR)
    except OSError as error:
        raise NotOurs(f"LISTEN_FDS is 1, but descriptor {FIRST_DESCRIPTOR} is no socket: {error.strerror or error}") from error
    listener.set_inheritable(False)
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM or not listening:
        listener.detach()
        raise NotOurs(f"descriptor {FIRST_DESCRIPTOR} is not a TCP socket that listens")
    return listener
