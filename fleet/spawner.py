"""The worker's side of its keeper: asks for processes, hears of their ends, replaces a keeper that died.

Used by the main thread only. `ended` callbacks get the keeper's last word on a process: `{"exit": code}`, `{"signal": n}` or `{"refused": why}`.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleet.keeper import kill_owned
from state.log import Log

HOME = str(Path(__file__).resolve().parent.parent)      # the folder, or the zipapp, that holds this program
START = "import sys; sys.path.insert(0, sys.argv[1]); from fleet.keeper import main; main(int(sys.argv[2]))"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
END_S_MAX = 4.0                       # the keeper takes 3 at most
PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Ended = Callable[[dict[str, Any]], None]


def scrubbed(folder: Path, extra: dict[str, str]) -> dict[str, str]:
    """The environment of a step: nothing of the worker's own but the search path and the language."""
    language, path = os.environ.get("LANG", "C.UTF-8"), os.environ.get("PATH", PATH_DEFAULT)
    return {"PATH": path, "LANG": language, "HOME": str(folder), "TMPDIR": str(folder), **extra}


class Spawner:
    """Processes by number. `spawn` never waits; a process that could not start is heard of as ended."""

    def __init__(self, selector: selectors.BaseSelector, log: Log) -> None:
        self.selector = selector
        self._log = log
        self._next = 0
        self._ended: dict[int, Ended] = {}
        self._pids: dict[int, int] = {}
        self._unread = b""
        self._start()

    @property
    def keeper_pid(self) -> int:
        """The keeper's process."""
        return self._keeper.pid

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with theirs:
            self._keeper = subprocess.Popen([sys.executable, "-E", "-s", "-P", "-c", START, HOME, str(theirs.fileno())], env=environment,
                                            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        self.selector.register(self._control, selectors.EVENT_READ, self._hear)

    def spawn(self, message: dict[str, Any], fds: list[int], ended: Ended) -> int:
        """Ask for a process (`fleet.keeper` has the message); its number. The caller closes its copies of `fds`."""
        self._next += 1
        self._ended[self._next] = ended
        line = json.dumps({"spawn": self._next, "fds": len(fds), **message}).encode() + b"\n"
        try:
            sent = socket.send_fds(self._control, [line], fds)
            self._control.sendall(line[sent:])
        except OSError:
            self._log.warning("keeper_unreachable")     # its end is heard on the next turn, and with it the end of this process
        return self._next

    def kill(self, number: int) -> None:
        """SIGKILL to the process's whole group; fine when it has ended."""
        if number in self._ended:
            with suppress(OSError):
                self._control.sendall(b'{"kill":%d}\n' % number)

    def close(self) -> None:
        """End the keeper, and with it every process."""
        self.selector.unregister(self._control)
        self._control.close()
        try:
            self._keeper.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            self._kill_known()
            self._keeper.kill()
            self._keeper.wait()

    def _hear(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self._replace()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            number = message.pop("id")
            if "pid" in message:
                self._pids[number] = message["pid"]
                continue
            self._pids.pop(number, None)
            ended = self._ended.pop(number, None)
            if ended:
                ended(message)

    def _replace(self) -> None:
        """The keeper died: what it kept is killed from here, and told as ended; a new one takes over."""
        self._log.error("keeper_died", exit=self._keeper.poll())
        self.selector.unregister(self._control)
        self._control.close()
        self._keeper.wait()
        self._kill_known()
        kill_owned(self._keeper.pid)
        lost, self._ended, self._unread = self._ended, {}, b""
        self._pids.clear()
        self._start()
        for ended in lost.values():
            ended({"signal": int(signal.SIGKILL)})

    def _kill_known(self) -> None:
        for pid in self._pids.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
