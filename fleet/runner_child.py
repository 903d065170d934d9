"""What runs in a warm runner process: imports a step's function once, then calls it for one attempt after the other.

Calls come as packets on descriptor 3, one at a time: `[call, entry, job, attempt, more, input]`, `@file` for one too big for a packet, `!` for
the acknowledgement of a phase. Answers go to descriptor 4 (see `fleet.step`). Descriptors 1 and 2 belong to what the function starts.
Convention: an exception whose attribute `retryable` is False fails the step for good; a text attribute `code` becomes the error's code.
Module state lives on between calls (that is what warm means); the work folder, which is the current folder, is emptied.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
import os
import re
import resource
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.step import Answers, Printed, Step, Voice, dumps, emptied
from fleet.values import reference
from state.limits import KIB

CALLS_FD, ANSWERS_FD = 3, 4
PACKET_BYTES_MAX = 128 * KIB          # a larger call goes through a file; a packet is one piece of kernel memory
TRACEBACK_LINES_MAX = 20
CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
BROKEN = (ImportError, SyntaxError, AttributeError, NameError)      # of an entry at import: another attempt ends the same way


class NotFound(Exception):
    """The entry names no function; nothing that another attempt could change."""

    retryable, code = False, "entry_broken"


class Refused(Exception):
    """The output cannot be taken."""

    retryable = False

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Runner:
    """Serves calls until the worker closes its end."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._bundle = Path(options["bundle"])
        self._own = bool(options.get("own"))                        # an entry of this program (http), not of a bundle
        self._work = Path(options["work"])
        self._output_bytes_max = int(options["output_bytes"])
        self._calls = socket.socket(fileno=CALLS_FD)
        self._answers = Answers(ANSWERS_FD)
        self._voice = Voice(self._answers, Path(options["spool"]))
        self._later: deque[bytes] = deque()                         # calls read while a phase waited for its acknowledgement
        self._entries: dict[str, tuple[Callable[..., Any], bool]] = {}
        self._encode = json.JSONEncoder(default=self._kept, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
        self._encode_ascii = json.JSONEncoder(default=self._kept, allow_nan=False, separators=(",", ":")).encode
        self._streams = [Printed("stdout", self._voice, self._answers, 1), Printed("stderr", self._voice, self._answers, 2)]

    def prepare(self) -> None:
        """Make this process look like a fresh `python3` in the bundle's folder."""
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
        sys.stdout, sys.stderr = (io.TextIOWrapper(stream, encoding="utf-8", errors="replace", write_through=True)  # type: ignore[type-var]
                                  for stream in self._streams)
        sys.argv = [str(self._bundle)]
        sys.dont_write_bytecode = True                              # a bundle stays what its name says
        if not self._own:
            home = str(Path(__file__).resolve().parent.parent)
            sys.path[:] = [str(self._bundle), *(p for p in sys.path if p not in (home, ""))]
            for name in [n for n in sys.modules if n.partition(".")[0] in ("fleet", "state", "skills")]:
                del sys.modules[name]                               # a bundle may have modules of these names

    def serve(self) -> None:
        """One call after the other."""
        while True:
            packet = self._later.popleft() if self._later else self._calls.recv(PACKET_BYTES_MAX)
            if not packet:
                return
            if packet[:1] == b"@":
                spooled = Path(os.fsdecode(packet[1:]))
                packet = spooled.read_bytes()
                spooled.unlink()
            self._call(packet)
            if not self._clean():
                self._answers.write(b"X 0 \n")                      # the calls that lie ahead go to another runner
                return

    def _clean(self) -> bool:
        """Make the work folder the current folder, and empty; False when the last call made that impossible."""
        try:
            os.chdir(self._work)
            if os.listdir("."):
                emptied(self._work)
                return not os.listdir(".")
        except OSError:
            return False
        return True

    def _call(self, packet: bytes) -> None:
        started_ns = time.perf_counter_ns()
        call, entry, job, attempt, more, value = json.loads(packet)
        self._voice.begin(call)
        try:
            function, wants_step = self._entries.get(entry) or self._load(entry)
            if more:
                value = self._with(more, value)
            if wants_step:
                step = Step(self._voice, job, attempt, self._work, (more or {}).get("phases") or {}, self._acknowledged)
                answer = b"D %d %d %b\n" % (call, 0, self._output(function(value, step)))
            else:
                answer = b"D %d %d %b\n" % (call, 0, self._output(function(value)))
        except BaseException as error:
            answer = b"F %d %d %b\n" % (call, 0, self._error(error))
        if not self._answers.ours():
            os._exit(1)                                             # a child that the function forked came back; it is not the runner
        for stream in self._streams:
            if stream.rest:
                stream.end()
        self._voice.end()
        took_us = (time.perf_counter_ns() - started_ns) // 1000
        self._answers.write(answer.replace(b" 0 ", b" %d " % took_us, 1))

    def _with(self, more: dict[str, Any], value: Any) -> Any:
        """Apply what a call carries beside its input: a CPU limit from now on, references with a path."""
        if more.get("cpu_s"):
            used = resource.getrusage(resource.RUSAGE_SELF)
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            soft = int(used.ru_utime + used.ru_stime + more["cpu_s"]) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
        return paths(value) if more.get("paths") else value

    def _acknowledged(self) -> None:
        """Wait until the worker says that the server has stored a phase."""
        while (packet := self._calls.recv(PACKET_BYTES_MAX)) != b"!":
            if not packet:
                os._exit(0)                                         # the worker let go of this runner
            self._later.append(packet)

    # -- The function ------------------------------------------------------------------------------------------------------------

    def _load(self, entry: str) -> tuple[Callable[..., Any], bool]:
        """Import `file.py:function` of the bundle (or `module:function` of this program); (function, takes a step handle)."""
        place, _, name = entry.partition(":")
        try:
            module = importlib.import_module(place) if self._own else self._file(place)
            function = getattr(module, name)
            parameters = [p for p in inspect.signature(function).parameters.values()
                          if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
        except BROKEN as error:
            raise NotFound(f"{entry} cannot be used: {type(error).__name__}: {error}") from error
        self._entries[entry] = function, len(parameters) > 1
        return self._entries[entry]

    def _file(self, place: str) -> Any:
        path = self._bundle / place
        name = path.stem if path.stem not in sys.stdlib_module_names else f"step_{path.stem}"
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ImportError(f"there is no file {place} in the skill's folder")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def _output(self, value: Any) -> bytes:
        try:
            data = self._bytes(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise Refused("output_not_json", f"the output is not JSON: {error}") from error
        if len(data) > self._output_bytes_max:
            raise Refused("output_too_large", f"the output has {len(data)} bytes, {self._output_bytes_max} are allowed; return a Path")
        return data

    def _bytes(self, value: Any) -> bytes:
        text = self._encode(value)
        try:
            return text.encode()
        except UnicodeEncodeError:                                  # lone surrogates: JSON has an escape for them, UTF-8 has not
            return self._encode_ascii(value).encode()

    def _kept(self, value: Any) -> Any:
        """Paths in an output become artifacts."""
        if isinstance(value, Path):
            try:
                return self._voice.keep(value, value.name)
            except OSError as error:
                raise ValueError(f"{value} cannot be kept as an artifact: {error}") from error
        raise TypeError(f"{type(value).__name__} is not a JSON type")

    def _error(self, error: BaseException) -> bytes:
        """The error document of a failed call."""
        code = getattr(error, "code", None)
        lines = "".join(traceback.format_exception(type(error), error, _own_frames_cut(error))).rstrip().split("\n")
        text = str(error) if isinstance(error, (Refused, NotFound)) else f"{type(error).__name__}: {error}"
        return dumps({"code": code if isinstance(code, str) and CODE.fullmatch(code) else "step_raised", "message": text[:2000],
                      "retryable": getattr(error, "retryable", True) is not False,
                      "traceback": "\n".join(lines[-TRACEBACK_LINES_MAX:])[-4000:]}).encode()


def _own_frames_cut(error: BaseException) -> Any:
    """The traceback from the function on, without the frame that called it."""
    return error.__traceback__.tb_next if error.__traceback__ else None


def paths(value: Any) -> Any:
    """`value` with every reference that has a path replaced by the Path."""
    named = reference(value)
    if named is not None and "path" in value:
        return Path(value["path"])
    if isinstance(value, dict):
        return {key: paths(member) for key, member in value.items()}
    return [paths(member) for member in value] if isinstance(value, list) else value


def main(options: dict[str, Any]) -> None:
    """In a forked child of the keeper: serve until the worker lets go. `options`: bundle, work, spool, output_bytes, own."""
    runner = Runner(options)
    runner.prepare()
    runner.serve()
