"""The keeper: one small single-threaded process that is the parent of every runner and run process of its worker.

The worker asks over a socket, one JSON line a message, descriptors beside it; the keeper forks, tells exits, and kills groups. When the socket
ends (the worker is gone, even by kill -9) it kills everything and leaves: no orphan runs beside its successor.
    to the keeper:   {"spawn": id, "mode": "runner"|"run", "fds": n, "targets": [..], "env": {}, "cwd": "..", "limits": {}, "argv"|"runner": ..}
                     {"kill": id}
    from the keeper: {"id": id, "pid": p} or {"id": id, "refused": "why"};   {"id": id, "exit": code} or {"id": id, "signal": s}
Rules: each process is the leader of its own session; its group is killed before it is reaped, so a number is never another's. On Linux
the keeper is a child subreaper: what left its session comes here when its parent dies, and goes with its attempt (named in OWNER).
Runners are forked from this process without exec: it has their modules loaded, so one starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from fleet import runner_child
from state.limits import MIB

FDS_PER_MESSAGE_MAX = 16
LINE_BYTES_MAX = 4 * MIB              # a spawn with its environment and arguments
DESCRIPTORS_MAX = 4_096               # the keeper holds a handful; closing a million numbers one by one takes a tenth of a second
ESCAPE_FD_FIRST = 64                  # received descriptors move above this, so that placing them never steps on another
END_S_MAX = 3.0                       # what killing everything may take at the end; a process in the kernel's hands cannot be waited for
OWNER = "YARDMASTER_ATTEMPT"          # in the environment of each process, `<keeper>.<id>`: whose it is, also after it left its session
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CANNOT_START = 126                    # exit code of a child that could not become what it should; the reason went through the pipe


def prctl(option: int, value: int) -> bool:
    """Linux prctl(2); False where there is none."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


class Keeper:
    """Serves one control socket until it ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._leaders: dict[int, int] = {}          # pid -> id
        self._pids: dict[int, int] = {}             # id -> pid
        self._given: deque[int] = deque()           # descriptors received and not yet used
        self._unread = b""
        self._bell, self._bell_end = os.pipe()      # SIGCHLD rings here
        for fd in (self._bell, self._bell_end):
            os.set_blocking(fd, False)

    def serve(self) -> None:
        """Until the worker is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._bell_end, warn_on_full_buffer=False)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)  # the worker's end is the one signal that counts
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        gc.collect()
        gc.freeze()                                 # children share these pages
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        waiting.register(self._bell, select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiting.poll()}
            if self._bell in ready:
                with suppress(BlockingIOError):
                    os.read(self._bell, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._hear():
                return

    def end(self) -> None:
        """Kill every group, then whatever was left to this process by its dead, until nothing lives or END_S_MAX is over."""
        deadline = time.monotonic() + END_S_MAX
        for pid in list(self._leaders):
            kill_group(pid)
        while time.monotonic() < deadline:
            for pid in children():
                kill_group(pid)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                return
            time.sleep(0.002)

    # -- Messages ----------------------------------------------------------------------------------------------------------------

    def _hear(self) -> bool:
        """Read what the worker says; False when it is gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, FDS_PER_MESSAGE_MAX)
        except ConnectionError:
            return False
        for fd in fds:
            self._given.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ESCAPE_FD_FIRST))
            os.close(fd)
        if not data or len(self._unread) > LINE_BYTES_MAX:
            return False
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "spawn" in message:
                self._spawn(message)
            elif message.get("kill") in self._pids:
                kill_group(self._pids[message["kill"]])
        return True

    def _say(self, message: dict[str, Any]) -> None:
        """Tell the worker; when it is gone the control socket says so on the next turn."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(json.dumps(message).encode() + b"\n")

    # -- Processes ---------------------------------------------------------------------------------------------------------------

    def _spawn(self, message: dict[str, Any]) -> None:
        fds = [self._given.popleft() for _ in range(message["fds"])]
        told, tell = os.pipe()                      # closes itself on exec; says why not when there was none
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"id": message["spawn"], "refused": f"cannot fork: {error}"})
            pid = -1
        if pid == 0:
            become(message, fds, tell)
        for fd in (*fds, tell):
            os.close(fd)
        refused = os.read(told, 4096).decode("utf-8", "replace") if pid > 0 else ""
        os.close(told)
        if pid < 0:
            return
        if refused:
            os.waitpid(pid, 0)
            self._say({"id": message["spawn"], "refused": refused})
            return
        self._leaders[pid] = message["spawn"]
        self._pids[message["spawn"]] = pid
        self._say({"id": message["spawn"], "pid": pid})

    def _reap(self) -> None:
        """Collect the dead; kill a dead leader's group while its number is still held by its body."""
        gone = False
        while (found := next_dead()) is not None:
            gone = True
            pid, status = found
            leader = self._leaders.pop(pid, None)
            if leader is not None:
                kill_group(pid)
                del self._pids[leader]
            if status is None:
                status = os.waitpid(pid, 0)[1]
            if leader is not None:
                self._say({"id": leader, "signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status)
                          else {"id": leader, "exit": os.waitstatus_to_exitcode(status)})
        if gone:
            self._kill_strays()

    def _kill_strays(self) -> None:
        """Kill adopted processes whose attempt has ended: they left its session, their parents are dead."""
        for pid in children():
            if pid in self._leaders or session(pid) in self._leaders or owner(pid, os.getpid()) in self._pids:
                continue
            kill_group(pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def next_dead() -> tuple[int, int | None] | None:
    """(pid, None) of a child that has ended, left unreaped; where the system cannot look without reaping, (pid, its status)."""
    try:
        if hasattr(os, "waitid"):
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return (found.si_pid, None) if found else None
        pid, status = os.waitpid(-1, os.WNOHANG)
        return (pid, status) if pid else None
    except ChildProcessError:
        return None


def kill_group(pid: int) -> None:
    """SIGKILL to the process group that `pid` leads; none left is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def children() -> list[int]:
    """Pids of this process's children, adopted ones too; empty where the system does not tell."""
    try:
        return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def session(pid: int) -> int:
    """The session of a process, 0 if it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def owner(pid: int, keeper: int) -> int | None:
    """The id that this keeper gave a process or its ancestor, read from its environment; None when it is not this keeper's, or cannot be read."""
    mark = b"%b=%d." % (OWNER.encode(), keeper)
    try:
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(mark):
                return int(entry.removeprefix(mark))
    except (OSError, ValueError):
        return None
    return None


def kill_owned(keeper: int) -> None:
    """SIGKILL to every process that a dead keeper's environment mark is found in."""
    for entry in Path("/proc").glob("[0-9]*"):
        if owner(int(entry.name), keeper) is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.name), signal.SIGKILL)


# -- In the child ----------------------------------------------------------------------------------------------------------------


def become(message: dict[str, Any], fds: list[int], tell: int) -> NoReturn:
    """In a forked child: take the session, limits, folder and descriptors of an attempt, then run it. Never returns."""
    try:
        os.setsid()
        if prctl(PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() == 1:
            os._exit(CANNOT_START)                  # the keeper died in between
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        tell = place(fds, message["targets"], tell)
        os.environ.clear()
        os.environ.update(message["env"], **{OWNER: f"{os.getppid()}.{message['spawn']}"})
        os.chdir(message["cwd"])
        limit(message["limits"])
        if message["mode"] == "run":
            os.execvpe(message["argv"][0], message["argv"], os.environ)
        os.close(tell)
        tell = -1
        runner_child.main(message["runner"])
        os._exit(0)
    except BaseException as error:
        named = getattr(error, "filename", None) or message.get("argv", [""])[0]
        why = f"{error.strerror}: {named}" if isinstance(error, OSError) and error.strerror else repr(error)
        with suppress(OSError):                     # a runner that has begun has nobody to tell but its stderr
            os.write(tell if tell >= 0 else 2, why.encode()[:1000])
    finally:
        os._exit(CANNOT_START)


def place(fds: list[int], targets: list[int], tell: int) -> int:
    """Put descriptors on their numbers, /dev/null on 0-2 where nothing else is, close the rest. Returns where `tell` is now."""
    for fd, target in zip(fds, targets, strict=True):
        os.dup2(fd, target, inheritable=target <= 2)
    nothing = os.open(os.devnull, os.O_RDWR)
    for target in {0, 1, 2} - set(targets):
        os.dup2(nothing, target)
    last = max(*targets, 2) + 1
    moved = fcntl.fcntl(tell, fcntl.F_DUPFD_CLOEXEC, ESCAPE_FD_FIRST)
    os.closerange(last, moved)
    os.closerange(moved + 1, max(descriptor_limit(), moved + 2))
    kept = fcntl.fcntl(moved, fcntl.F_DUPFD_CLOEXEC, last)
    os.close(moved)
    return kept


def descriptor_limit() -> int:
    """One more than the highest descriptor that this process can have."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], DESCRIPTORS_MAX)


def limit(limits: dict[str, Any]) -> None:
    """Apply rlimits: `memory_mb` (address space), `cpu_s`, `files` (open descriptors), no core files. None or absent: no limit.

    A warm runner sets its own CPU limit per call, so its spawn carries none."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.get("files"):
        lower(resource.RLIMIT_NOFILE, int(limits["files"]))
    if limits.get("cpu_s"):
        lower(resource.RLIMIT_CPU, max(1, int(limits["cpu_s"])), slack=1)
    if limits.get("memory_mb"):
        lower(resource.RLIMIT_AS, int(limits["memory_mb"]) * MIB)


def lower(which: int, value: int, slack: int = 0) -> None:
    """Set a soft and hard limit, never above the hard limit that is there."""
    hard = resource.getrlimit(which)[1]
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (least, least + slack if hard == resource.RLIM_INFINITY else min(least + slack, hard)))


def main(control_fd: int) -> None:
    """The keeper's process: serve the worker's socket, and leave nothing alive."""
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    keeper = Keeper(control)
    try:
        keeper.serve()
    finally:
        keeper.end()

