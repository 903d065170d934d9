"""A worker from the command line: `python3 -m fleet --server http://host:7070`. Needs nothing but Python and that URL."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from fleet.agent import Agent, Options
from fleet.bundles import DataInUse
from fleet.client import Client
from fleet.protocol import NAME, SLOTS_MAX, labels_of
from state.clock import Clock
from state.errors import InvalidMessage
from state.limits import MIB, PREFETCH_MAX
from state.log import LEVELS, Log

LOCK_S_MAX = 5.0                      # a predecessor on the same data folder may be leaving just now
EXIT_USAGE = 2
EXAMPLES = """examples:
  python3 -m fleet --server http://router:7070 --secret-file secret
  python3 -m fleet --server http://router:7070 --slots 4 --label gpu=h100 --label big-memory --memory-mb 64000
  curl -sO http://router:7070/worker.pyz && python3 worker.pyz --server http://router:7070
A server with a certificate of its own: --tls-pinned. SIGTERM drains, a second one kills."""


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="worker", description="Polls a Yardmaster server for steps and runs them.", epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, metavar="URL", help="where the server listens")
    parser.add_argument("--secret-file", metavar="F", help="file with the secret; - reads one line of stdin, whose end then ends the worker")
    parser.add_argument("--tls-pinned", default="", metavar="CERT", help="trust exactly this certificate (PEM), whatever name it carries")
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1, metavar="N", help="steps at the same time (default: cores)")
    parser.add_argument("--label", action="append", default=[], metavar="K=V", help="what this worker has, such as gpu=h100; may be repeated")
    parser.add_argument("--memory-mb", type=int, metavar="N", help="memory for steps (default: what the machine has)")
    parser.add_argument("--name", help="the worker's name (default: the host's)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="cache of bundles and artifacts (default: ~/.cache/yardmaster/NAME)")
    parser.add_argument("--prefetch", type=int, default=PREFETCH_MAX, metavar="N", help="leases held beyond the slots, at most")
    parser.add_argument("--grace", type=float, default=10.0, metavar="S", help="seconds that running steps get on SIGTERM")
    parser.add_argument("--log", choices=LEVELS, default="info", help="least level that is logged")
    return parser.parse_args(argv)


def fail(reason: str) -> NoReturn:
    """One clear line, exit 2."""
    print(f"worker: {reason}", file=sys.stderr)
    sys.exit(EXIT_USAGE)


def default_name() -> str:
    """The host's name as a worker's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64].lstrip("._-") or "worker"


def memory_mb() -> int | None:
    """The machine's memory, None where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
    except (ValueError, OSError):
        return None


def default_data(name: str) -> Path:
    """Where content is kept between starts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yardmaster" / name


def first_line(fd: int) -> str:
    """A line of a pipe, byte by byte: what follows stays unread."""
    line = b""
    while (byte := os.read(fd, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode().strip()


def options_of(found: argparse.Namespace) -> Options:
    """Checked options; a line and exit 2 for what cannot be used."""
    name = found.name or default_name()
    if not NAME.fullmatch(name):
        fail(f"{name!r} is not a worker's name: 1-64 letters, digits, dots, dashes, underscores")
    if not 1 <= found.slots <= SLOTS_MAX:
        fail(f"--slots takes 1 to {SLOTS_MAX}")
    try:
        labels = labels_of(found.label)
        Client(found.server, pinned=found.tls_pinned)
        secret = first_line(0) if found.secret_file == "-" else Path(found.secret_file).read_text().strip() if found.secret_file else ""
    except InvalidMessage:
        fail("a label looks like gpu=h100 or big-memory")
    except (ValueError, OSError) as error:
        fail(str(error))
    return Options(server=found.server, worker=name, boot=f"{int(time.time() * 1000)}-{secrets.token_hex(4)}",
                   data=(found.data or default_data(name)).absolute(), slots=found.slots, labels=labels, secret=secret, pinned=found.tls_pinned,
                   memory_mb=found.memory_mb if found.memory_mb is not None else memory_mb(), grace_s=max(0.0, found.grace),
                   prefetch=min(PREFETCH_MAX, max(0, found.prefetch)), parent_fd=0 if found.secret_file == "-" else None)


def agent_of(options: Options, log: Log) -> Agent:
    """The agent, once the data folder is free."""
    deadline = time.monotonic() + LOCK_S_MAX
    while True:
        try:
            return Agent(options, log)
        except DataInUse as why:
            if time.monotonic() >= deadline:
                fail(str(why))
            time.sleep(0.1)
        except OSError as error:
            fail(f"cannot use {options.data}: {error}")


def main(argv: list[str] | None = None) -> int:
    """Run a worker until it is told to leave; its exit code."""
    found = arguments(sys.argv[1:] if argv is None else argv)
    return agent_of(options_of(found), Log(Clock(), found.log)).run()


if __name__ == "__main__":
    sys.exit(main())
