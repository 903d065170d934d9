#!/usr/bin/env python3
"""How long the loop keeps a request waiting: GET /health each 5 ms on one connection, from a process of its own, until SIGTERM.

usage: python3 prober.py PORT RESULT.jsonl      a line for each second: [monotonic time, requests, longest ms, overslept ms]

A wait also holds what the system needed to run server and prober: on busy cores that is whole time slices. So the prober also notes by how much it
overslept at most: so long it was kept from running itself. Seconds in which the server is away (a restart) have no line.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

from load import Connection

EACH_S = 0.005
AWAY_S = 0.05                # between attempts to connect
REQUEST = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Second(NamedTuple):
    """What one second showed."""

    at: float
    requests: int
    longest_ms: float
    overslept_ms: float


Say = Callable[[Second], object]


class Prober:
    """A running prober; as a context it is ended with the block."""

    def __init__(self, port: int, result: Path) -> None:
        self._result = result
        self._process = subprocess.Popen([sys.executable, str(Path(__file__).resolve()), str(port), str(result)])

    def seconds(self) -> list[Second]:
        """All whole seconds so far."""
        if not self._result.exists():
            return []
        return [Second(*json.loads(line)) for line in self._result.read_text().splitlines(True) if line.endswith("\n")]

    def longest_ms(self, since: float = 0.0) -> float:
        """The longest wait since a monotonic time."""
        return max((second.longest_ms for second in self.seconds() if second.at >= since), default=0.0)

    def overslept_ms(self, since: float = 0.0) -> float:
        """By how much it overslept at most since a monotonic time."""
        return max((second.overslept_ms for second in self.seconds() if second.at >= since), default=0.0)

    def stop(self) -> None:
        """End it; its last second is written."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class Probe:
    """The loop of the process."""

    def __init__(self, port: int, result: Path) -> None:
        self._port, self._result = port, result
        self.going = True

    def leave(self, number: int, frame: FrameType | None) -> None:
        """A handler for SIGTERM."""
        self.going = False

    def run(self) -> None:
        """Probe until told to leave."""
        with open(self._result, "a", buffering=1) as lines:
            while self.going:
                try:
                    self._connected(lambda second: lines.write(json.dumps(second) + "\n"))
                except OSError:
                    time.sleep(AWAY_S)

    def _connected(self, say: Say) -> None:
        """Probe on one connection until it breaks; a broken second is not told."""
        connection = Connection(self._port, REQUEST)
        began, requests, longest_s, overslept_s = time.monotonic(), 0, 0.0, 0.0
        while self.going:
            connection.send()
            while connection.receive() is None:
                pass
            now = time.monotonic()
            requests, longest_s = requests + 1, max(longest_s, now - connection.sent_at)
            if now - began >= 1.0:
                say(Second(now, requests, round(longest_s * 1000, 3), round(overslept_s * 1000, 3)))
                began, requests, longest_s, overslept_s = now, 0, 0.0, 0.0
            wake_at = max(now, connection.sent_at + EACH_S)
            time.sleep(wake_at - now)
            overslept_s = max(overslept_s, time.monotonic() - wake_at)
        if requests:
            say(Second(time.monotonic(), requests, round(longest_s * 1000, 3), round(overslept_s * 1000, 3)))


def main(argv: list[str]) -> None:
    """Probe."""
    probe = Probe(int(argv[0]), Path(argv[1]))
    signal.signal(signal.SIGTERM, probe.leave)
    probe.run()


if __name__ == "__main__":
    main(sys.argv[1:])
