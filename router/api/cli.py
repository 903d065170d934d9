"""The command line: serve, check, route, match, doctor, learn (worker is another program). What is asked for, in `Options`; and `route`."""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from router.api.gate import Secrets, is_loopback
from router.config import Settings, load, read_secret
from router.policy.routing import choose
from router.work.submit import parse_task
from skills.cache import Library
from state.clock import Clock
from state.errors import InvalidTask
from state.log import Log

EXAMPLES = """examples:
  python3 server.py                                         serve on http://127.0.0.1:7070
  python3 server.py --port 0 --data /var/lib/yardmaster     a free port, another data folder
  python3 server.py --host 0.0.0.0 --secret-file secret     beyond this machine, with a secret
  python3 server.py worker --server http://host:7070 --secret-file secret --slots 4 --label gpu=h100
  python3 server.py check                                   lint skills and configuration and ask trigger phrases, status 1 on errors
  python3 server.py check --routing --gate 0.9              also: do the skills find their tasks? status 1 if under 90% of the phrases pass
  python3 server.py doctor --data /var/lib/yardmaster       is the data folder of a stopped server whole? --repair mends it
  python3 server.py doctor --backup FILE.tar                a consistent copy, also of a running server; --restore FILE.tar --data NEW
  python3 server.py route "which columns have gaps?"        which skill a task would go to
  python3 server.py learn                                   which examples feedback would make; --apply writes them into the skills
  python3 server.py match --skills CATALOGUE.jsonl          the same for many tasks, as JSON lines from stdin to stdout
"""


COMMANDS = ("serve", "worker", "check", "route", "match", "doctor", "learn")


class UsageError(Exception):
    """What the command line asks for cannot be done; one line says why."""


@dataclass(frozen=True)
class Options:
    """The command line, understood."""

    command: str
    settings: Settings
    host: str = "127.0.0.1"
    port: int = 7070
    secret_file: Path | None = None
    worker_secret_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log_level: str = "info"
    text: str = ""
    json: bool = False
    routing: bool = False
    gate: float | None = None
    repair: bool = False
    backup: Path | None = None
    restore: Path | None = None
    apply: bool = False
    skill: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)      # route: members of the task beside its words

    @property
    def loopback(self) -> bool:
        """Only this machine can reach the address."""
        return is_loopback(self.host)

    def url(self, port: int) -> str:
        """Where a client on this machine finds the server."""
        host = self.host
        if host in ("0.0.0.0", ""):
            host = "127.0.0.1"
        elif host == "::":
            host = "::1"
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert else 'http'}://{shown}:{port}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of a page of usage."""
        raise UsageError(f"{message} (python3 server.py --help shows examples)")


def parse(argv: list[str], root: Path) -> Options:
    """Options of a command line; UsageError where it makes no sense."""
    parser = _Parser(prog="server.py", description="Yardmaster: an agent router in one program.", epilog=EXAMPLES,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="serve", choices=COMMANDS, help="serve unless given")
    parser.add_argument("text", nargs="?", default="", help="route: the task")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=7070, help="port to listen on, 0 for a free one (7070)")
    parser.add_argument("--data", type=Path, default=root / "data", help="data folder (data/ beside server.py)")
    parser.add_argument("--skills", type=Path, default=root / "skills" / "library",
                        help="skill library (skills/library); for match also a catalogue of JSON lines")
    parser.add_argument("--config", type=Path, default=root / "config", help="configuration folder (config/)")
    parser.add_argument("--secret-file", type=Path, help="file with the secret that every request must carry")
    parser.add_argument("--worker-secret-file", type=Path, help="file with a secret that opens the fleet and content routes only")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain in PEM")
    parser.add_argument("--tls-key", type=Path, help="its private key in PEM")
    parser.add_argument("--no-worker", action="store_true", help="start no embedded worker")
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1, help="slots of the embedded worker (the number of cores)")
    parser.add_argument("--no-vectors", action="store_true", help="serve, route, match, check: words and examples only, no word vectors")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info", help="least level that is logged (info)")
    parser.add_argument("--json", action="store_true", help="check, route, doctor, learn: answer in JSON")
    parser.add_argument("--tenant", default="", help="route: the tenant that the task says")
    parser.add_argument("--language", default="", help="route: the language that the task says, such as de")
    parser.add_argument("--label", action="append", dest="labels", help="route: a label that the task says; may be given again")
    parser.add_argument("--choose", default="", help="route: ask or first, where it is not clear which skill fits")
    parser.add_argument("--routing", action="store_true", help="check: also review the library as a whole: which skills take each other's tasks")
    parser.add_argument("--gate", type=float, metavar="RATE", help="check: status 1 if less than this share (0 to 1) of all trigger phrases pass")
    parser.add_argument("--repair", action="store_true", help="doctor: mend what can be mended; what that replaces is kept in data/doctor/")
    parser.add_argument("--backup", type=Path, metavar="FILE", help="doctor: write a consistent copy of the data folder to a new tar file")
    parser.add_argument("--restore", type=Path, metavar="FILE", help="doctor: unpack a backup into the empty folder --data and prove it by a start")
    parser.add_argument("--apply", action="store_true", help="learn: write the examples into each skill.toml")
    parser.add_argument("--skill", default="", metavar="NAME", help="learn: for this skill only")
    found = parser.parse_intermixed_args(argv)        # route --json "the task" as well as route "the task" --json
    if not 0 <= found.port <= 65535 or not 1 <= found.slots <= 4096:
        raise UsageError("--port must be 0 to 65535 and --slots 1 to 4096")
    if bool(found.tls_cert) != bool(found.tls_key):
        raise UsageError("--tls-cert and --tls-key go together")
    if found.command == "route" and not found.text:
        raise UsageError('route needs the task, such as: route "which columns have gaps?"')
    if found.command == "worker":
        raise UsageError("worker comes first: python3 server.py worker --server URL")
    if sum((found.repair, bool(found.backup), bool(found.restore))) > (1 if found.command == "doctor" else 0):
        raise UsageError("--repair, --backup and --restore are for doctor, one at a time")
    if found.command != "check" and (found.routing or found.gate is not None):
        raise UsageError("--routing and --gate are for check")
    if found.gate is not None and not 0 <= found.gate <= 1:
        raise UsageError("--gate must be 0 to 1, such as 0.9")
    if found.command != "learn" and (found.apply or found.skill):
        raise UsageError("--apply and --skill are for learn")
    said = {name: value for name in ("tenant", "language", "labels", "choose") if (value := getattr(found, name))}
    if found.command != "route" and said:
        raise UsageError("--tenant, --language, --label and --choose are for route")
    if found.command != "route" and found.text:
        raise UsageError(f"unexpected argument {found.text!r}")
    trust = ("--tls-pinned", str(found.tls_cert.resolve())) if found.tls_cert else ()
    settings = Settings(root, found.data.resolve(), found.skills.resolve(), found.config.resolve(), not found.no_worker, found.slots, trust,
                        not found.no_vectors)
    return Options(found.command, settings, found.host, found.port, found.secret_file, found.worker_secret_file, found.tls_cert, found.tls_key,
                   found.log_level, found.text, found.json, found.routing, found.gate, found.repair, found.backup, found.restore,
                   found.apply, found.skill, said)


def secrets_of(options: Options, embedded: str) -> Secrets:
    """The secrets in force; UsageError for an address beyond this machine without one."""
    if options.secret_file is None:
        if options.worker_secret_file:
            raise UsageError("--worker-secret-file without --secret-file would open everything to everybody")
        if not options.loopback:
            raise UsageError(f"listening on {options.host} without --secret-file would let anybody who can reach it run jobs")
        return Secrets()
    worker = read_secret(options.worker_secret_file) if options.worker_secret_file else ""
    return Secrets(read_secret(options.secret_file), worker, embedded)


def tls_of(options: Options) -> ssl.SSLContext | None:
    """The TLS context, if TLS was asked for."""
    if options.tls_cert is None or options.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"cannot use {options.tls_cert} and {options.tls_key}: {error}") from error
    return context


def route(options: Options) -> int:
    """Say which skill a task would go to; 1 if none."""
    catalogue = Library(options.settings.skills, Clock(), Log(Clock(), "error"), vectors=options.settings.vectors).whole()
    try:
        task = parse_task({"task": options.text, **options.said})
    except InvalidTask as fault:
        raise UsageError(fault.detail) from fault
    decision = choose(catalogue, task.task, load(options.settings.config).matching, task.scope, task.choose)
    if options.json:
        print(json.dumps(decision.document(), indent=1, ensure_ascii=False))
    else:
        print(f"{decision.target or ('the client is asked' if decision.rule == 'choose' else 'no skill')}: {decision.reason}")
        for candidate in decision.facts["candidates"]:
            print(f"  {candidate['confidence']:.2f}  {candidate['skill']}", file=sys.stdout)
    return 0 if decision.dispatch else 1
