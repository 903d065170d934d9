#!/usr/bin/env python3
"""Yardmaster's dispatcher: match row, gate, handler, hand the value to the engine. And `main`, which reads the command line.

No domain words here: what a route means is in `router/api`, how objects fit together in `router/app.py`.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
if sys.platform == "win32":
    print("yardmaster: needs Linux or macOS: process groups, advisory locks and sync calls of Windows differ", file=sys.stderr)
    sys.exit(2)
if __name__ == "__main__" and sys.argv[1:2] == ["worker"]:
    # A worker is another program: it must not pay for, nor hold, anything of the router.
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "fleet", *sys.argv[2:]])       # -P: a folder here that is called fleet is not ours

import signal  # noqa: E402 - after the worker has left
import socket  # noqa: E402
from contextlib import AbstractContextManager  # noqa: E402
from dataclasses import replace  # noqa: E402
from typing import Any, cast  # noqa: E402

from router.api.check import check  # noqa: E402
from router.api.cli import Options, UsageError, parse, route, secrets_of, tls_of  # noqa: E402
from router.api.doctor import doctor  # noqa: E402
from router.api.gate import Gate, check_json_body  # noqa: E402
from router.api.learn import learn  # noqa: E402
from router.api.match import match  # noqa: E402
from router.api.routes import Route, Table  # noqa: E402
from router.app import House, build  # noqa: E402
from router.config import ConfigError, ConfigFolder  # noqa: E402
from router.http.bounds import EngineLimits  # noqa: E402
from router.http.engine import Engine  # noqa: E402
from router.http.listener import NotOurs, inherited  # noqa: E402
from router.http.messages import Outcome, Receive, Request  # noqa: E402
from router.work.embedded import EmbeddedWorker  # noqa: E402
from state.clock import Clock  # noqa: E402
from state.engine import Ticket  # noqa: E402
from state.errors import Fault, MethodNotAllowed, NoSuchRoute  # noqa: E402
from state.files import Fatal  # noqa: E402
from state.journal import Damage  # noqa: E402
from state.limits import JSON_BODY_BYTES_MAX  # noqa: E402
from state.lock import DataLock, Locked  # noqa: E402
from state.log import Log  # noqa: E402


class Dispatcher:
    """What the HTTP engine asks of the house. `house` is there before the first turn."""

    house: House

    def __init__(self, table: Table, gate: Gate) -> None:
        self._table, self._gate = table, gate
        self._committed = False

    def admit(self, request: Request) -> int | Receive:
        """The head is here: find the row, ask the gate, say how large a body may be or where it goes."""
        methods, request.params = self._table.find(request.path)
        row = methods.get("GET" if request.method == "HEAD" else request.method)
        if row is None:
            raise _refusal(request, methods)
        if request.method == "HEAD" and row.path == "/commands":
            raise MethodNotAllowed("HEAD would take work and drop it", allow=sorted(methods))
        self._gate.admit(request, row, self.house.config().server)
        if row.body == "upload":
            return cast(Receive, row.handler(self.house, request))
        return JSON_BODY_BYTES_MAX

    def handle(self, request: Request) -> Outcome:
        """The request is here: call the row's handler."""
        methods, request.params = self._table.find(request.path)
        row = methods["GET" if request.method == "HEAD" else request.method]
        if row.body == "json":
            check_json_body(request)
        return cast(Outcome, row.handler(self.house, request))

    def unit(self) -> AbstractContextManager[Any]:
        """A callback's changes stand or fall together."""
        return self.house.store

    def settle(self) -> bool:
        """Wake who waits for what the turn has made ready."""
        return self.house.dispatch.ring()

    def dirty(self) -> bool:
        """Something is to be committed."""
        return self.house.store.dirty()

    def commit(self) -> Ticket:
        """The turn's units, together."""
        self._committed = True
        return self.house.store.commit()

    def after_commit(self) -> None:
        """The replies are out."""
        committed, self._committed = self._committed, False
        self.house.after_commit(committed)

    def gap(self, seconds: float) -> None:
        """No turn ran for so long."""
        self.house.gap(seconds)


def _refusal(request: Request, methods: dict[str, Route]) -> Fault:
    """Why no row takes this request."""
    if not methods:
        return NoSuchRoute(f"nothing is at {request.path[:200]}", hint="GET / lists where to begin")
    allow = sorted({*methods, *({"HEAD"} if "GET" in methods and request.path != "/commands" else ())})
    return MethodNotAllowed(f"{request.path} takes {', '.join(allow)}, not {request.method}", allow=allow)


def serve(options: Options) -> int:
    """Run the server until it is told to stop; the exit status."""
    clock = Clock()
    log = Log(clock, options.log_level)
    listener = inherited(os.environ)
    if listener is not None:                               # it decides where we listen, and with that whether a secret is needed
        host, port, *_ = listener.getsockname()
        options = replace(options, host=host, port=port)
    lock, engine, house = start(options, clock, log, listener)
    try:
        engine.serve()
    except Fatal as error:
        log.error("fatal", reason=str(error))
        return 3
    finally:
        engine.close()
    house.close()
    lock.release()
    return 0


def start(options: Options, clock: Clock, log: Log, listener: socket.socket | None = None) -> tuple[DataLock, Engine, House]:
    """Take the folder and the port, recover, and say where it listens. What stands in the way is a UsageError, Locked or Damage."""
    config = ConfigFolder(options.settings.config, log)
    embedded = EmbeddedWorker(options.settings, log, clock.monotonic, lambda: config.current.server.grace_s)
    gate = Gate(secrets_of(options, embedded.secret), options.loopback)
    try:
        lock = DataLock(options.settings.data)
    except OSError as error:
        raise UsageError(f"cannot use {options.settings.data}: {error}") from error
    dispatcher = Dispatcher(Table(), gate)
    limits = EngineLimits(too_large_hint="POST /artifacts takes large values; the input names them by their sha256")
    try:
        engine = Engine(listener or (options.host, options.port), dispatcher, clock, log, ssl_context=tls_of(options), limits=limits)
    except OSError as error:
        raise UsageError(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}") from error
    try:
        dispatcher.house = house = build(options.settings, config, engine, embedded, clock, log, lock.descriptor)
    except OSError as error:
        raise UsageError(f"cannot use {options.settings.data}: {error}") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: engine.post(house.leave))
    try:
        house.open(options.url(engine.server_address[1]))
    except (OSError, Fault) as error:
        raise UsageError(f"cannot start on {options.settings.data}: {error}") from error
    say(f"listening on {options.url(engine.server_address[1])}")
    skills = house.library.current()
    more = ", more are being read" if house.library.reading else ""
    say(f"{len(skills.skills)} skills from {options.settings.skills}{more}" + (f", {len(skills.broken)} broken" if skills.broken else ""))
    say(f"data in {options.settings.data}, {len(house.store.jobs)} live jobs")
    say(f"embedded worker with {options.settings.slots} slots" if options.settings.worker else "no embedded worker")
    return lock, engine, house


def say(line: str) -> None:
    """One line on stdout, at once."""
    print(line, flush=True)


def main(argv: list[str]) -> int:
    """Run the command that the arguments name; the exit status. What is wrong with a command, a file or a folder is one line and status 2."""
    try:
        options = parse(argv, ROOT)
        if options.command in ("check", "route", "match", "doctor", "learn"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)      # their reader may be `head`
        if options.command == "check":
            return check(options)
        if options.command == "route":
            return route(options)
        if options.command == "match":
            return match(options)
        if options.command == "doctor":
            return doctor(options)
        if options.command == "learn":
            return learn(options)
        return serve(options)
    except (UsageError, ConfigError, Locked, Damage, NotOurs) as error:
        print(f"yardmaster: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
