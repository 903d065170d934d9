"""The port: held by a supervisor, it is served as it is; what is handed over wrongly is refused in one line."""

import os
import socket
import subprocess
import sys

from tests.house import HAND_OVER, a_server
from tests.kit import ROOT, a_folder, same


def started_with(listener, *arguments, **variables):
    """(status, first line of stderr) of a server that is handed something as descriptor 3, and gives up."""
    process = subprocess.run([sys.executable, "-c", HAND_OVER, str(listener.fileno()), sys.executable, "-c",
                              f"import os, sys; os.environ |= {variables!r}; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
                              str(ROOT / "server.py"), "--data", str(a_folder() / "data"), *arguments],
                             pass_fds=(listener.fileno(),), capture_output=True, text=True, timeout=30, cwd=a_folder())
    return process.returncode, process.stderr.splitlines()[0]


def test_a_server_listens_on_the_socket_that_it_is_given_and_who_comes_while_there_is_none_waits():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with a_server(listener=listener) as server:
            same(server.port, port)
            same(server.run("echo", {"a": 1})["output"], {"echo": {"a": 1}})
            same(server.stop(), 0)
            early = socket.create_connection(("127.0.0.1", port), timeout=30)
            early.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            server.start()
            same(early.recv(100).split(b"\r\n")[0], b"HTTP/1.1 200 OK")
            early.close()


def test_the_processes_of_a_server_do_not_keep_the_socket_when_it_has_left():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server_of = a_server(listener=listener)
        with server_of as server:
            same(server.run("echo", {})["state"], "done")      # the embedded worker and a runner are there
            server.process.kill()
            server.process.wait()
            listener.close()
            socket.create_server(("127.0.0.1", port)).close()


def test_the_address_of_the_socket_decides_whether_a_secret_is_needed():
    with socket.create_server(("0.0.0.0", 0)) as listener:
        same(started_with(listener),
             (2, "yardmaster: listening on 0.0.0.0 without --secret-file would let anybody who can reach it run jobs"))


def test_what_is_no_listening_tcp_socket_is_refused_in_one_line():
    left, right = socket.socketpair()
    with left, right, open(os.devnull, "rb") as file:
        same(started_with(left), (2, "yardmaster: descriptor 3 is not a TCP socket that listens"))
        same(started_with(file), (2, "yardmaster: LISTEN_FDS is 1, but descriptor 3 is no socket: Socket operation on non-socket"))
    with socket.socket() as unbound:
        same(started_with(unbound), (2, "yardmaster: descriptor 3 is not a TCP socket that listens"))


def test_several_sockets_are_refused_and_those_of_another_process_are_not_touched():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        same(started_with(listener, LISTEN_FDS="2"), (2, "yardmaster: LISTEN_FDS is 2: one socket can be handed over, not several"))
        port = str(listener.getsockname()[1])
        status, said = started_with(listener, "--port", port, LISTEN_PID="1")
        same((status, said), (2, f"yardmaster: cannot listen on 127.0.0.1:{port}: Address already in use"))
