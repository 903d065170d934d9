"""What runs where: gives waiting attempts to runners and run processes, within the worker's slots, in the order in which they came.

A slot is taken by a process that works, not by a warm one that waits. A short step may be written ahead to a busy runner, up to AHEAD_S of measured
work; if the call before it takes longer than that, it is taken back and goes elsewhere. The first attempt that finds no place holds back all
younger ones, so a stream of short steps cannot keep a slot from another skill. Exclusive attempts (`fleet.attempt`) never lie ahead.
"""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from fleet.attempt import OVER, RUNNING, WAITING, Attempt, RunnerKey, problem
from fleet.runner import Places, Runner, RunProcess
from fleet.spawner import Spawner
from state.limits import PREFETCH_MAX
from state.log import Log

AHEAD_S = 0.020                       # work written ahead to one runner, and what a call may take before those behind it are taken back
SPREAD_S = 0.005                      # a wait behind others that is shorter than this is not worth another process
CALLS_PER_RUNNER_MAX = 1_000          # then a fresh process takes over, so that a function's leaks stay small
WARM_PER_SLOT = 2
IDLE_CHECK_S = 60.0
IDLE_S_MAX = 600.0                    # a runner that nobody called for so long goes
COSTS_MAX = 4_096                     # measured entries; more are forgotten all at once
EXCLUSIVE_COST_S = 0.1                # what an exclusive step counts for, at least, when prefetch is measured
COST_WEIGHT_UP, COST_WEIGHT_DOWN = 0.2, 0.5     # of the newest measurement


class Listener(Protocol):
    """Who is told what became of attempts."""

    def event(self, attempt: Attempt, event: bytes) -> None:
        """It said something: an event, encoded."""

    def upload(self, attempt: Attempt, content: bytes) -> None:
        """It keeps a file: `[sha256, file, bytes]`, encoded."""

    def done(self, attempt: Attempt, output: bytes) -> None:
        """It has ended well; `output` is encoded JSON."""

    def printed(self, attempt: Attempt, stdout: bytes) -> None:
        """A run step has ended well with this stdout."""

    def failed(self, attempt: Attempt, error: bytes | dict[str, Any]) -> None:
        """It has failed; a runner's error comes encoded."""


class Pool:
    """All processes of one worker. Main thread only. `may_start` is asked before an attempt that must not run twice."""

    def __init__(self, slots: int, selector: selectors.BaseSelector, places: Places, listener: Listener, bundle_of: Callable[[str], Path],
                 may_start: Callable[[Attempt], bool], now: Callable[[], float], log: Log) -> None:
        self.slots = slots
        self.waiting: deque[Attempt] = deque()
        self.running: set[Runner | RunProcess] = set()               # processes that work; each takes a slot
        self._warm: dict[RunnerKey, list[Runner]] = {}
        self._retiring: set[Runner] = set()
        self._costs: dict[tuple[RunnerKey, str], float] = {}
        self._mean_s: float | None = None
        self._places, self._listener, self._log = places, listener, log
        self._bundle_of, self._may_start, self._now = bundle_of, may_start, now
        self._idle_check_at = now() + IDLE_CHECK_S
        self.spawner = Spawner(selector, log)

    # -- From the agent ----------------------------------------------------------------------------------------------------------

    def add(self, attempt: Attempt) -> None:
        """A prepared attempt waits for its turn."""
        attempt.state = WAITING
        self.waiting.append(attempt)

    def cancel(self, attempt: Attempt, error: dict[str, Any] | None = None) -> None:
        """Make sure that it does not run: what has not started never will, what runs is killed. With `error` it then fails, else it is forgotten."""
        if attempt.state == RUNNING:
            process = self._process_of(attempt)
            if isinstance(process, RunProcess):
                process.kill(error)
                attempt.state = OVER if error is None else RUNNING
                return
            if process is not None and process.outstanding[0] is attempt:
                self._end(process, attempt, error)
                return
            if process is not None:
                self._take_back(process)
        if error is not None and attempt.state != OVER:
            attempt.state = OVER
            self._listener.failed(attempt, error)
        attempt.state = OVER

    def take_waiting(self) -> list[Attempt]:
        """Every attempt that has not started; the pool forgets them."""
        for process in list(self.running):
            if isinstance(process, Runner):
                self._take_back(process)
        found = [attempt for attempt in self.waiting if attempt.state == WAITING]
        self.waiting.clear()
        return found

    def running_attempts(self) -> list[Attempt]:
        """What works now, or lies ahead."""
        found: list[Attempt] = []
        for process in self.running:
            found += [process.attempt] if isinstance(process, RunProcess) else process.outstanding
        return [attempt for attempt in found if attempt.state == RUNNING]

    def wanted_ahead(self) -> int:
        """How many leases beyond its slots keep the worker busy for AHEAD_S, by measured times; 0 while nothing is known."""
        if not self._mean_s:
            return 0
        return min(PREFETCH_MAX, int(AHEAD_S * self.slots / self._mean_s))

    def bundles_in_use(self) -> set[str]:
        """What must stay on disk."""
        return {key[0] for key in self._warm} | {runner.key[0] for runner in self._retiring} | {
            attempt.bundle for attempt in (*self.waiting, *self.running_attempts())}

    def acknowledge(self, attempt: Attempt) -> None:
        """A phase of this attempt is stored."""
        process = self._process_of(attempt)
        if isinstance(process, Runner):
            process.acknowledge()

    def listen(self, attempt: Attempt, on: bool) -> None:
        """Stop or go on listening to the process of an attempt."""
        process = self._process_of(attempt)
        if isinstance(process, Runner):
            process.listen(on)

    def close(self) -> None:
        """Kill everything."""
        self.spawner.close()

    # -- Turns -------------------------------------------------------------------------------------------------------------------

    def turn(self, now: float) -> float:
        """End what is over time, take back what stalls, start what can be started. Returns when to come again at the latest."""
        if now >= self._idle_check_at:
            self._idle_check_at = now + IDLE_CHECK_S
            self._let_idle_go(now)
        soonest = self._idle_check_at
        for process in list(self.running):
            attempt = process.attempt if isinstance(process, RunProcess) else process.outstanding[0]
            since = process.since if isinstance(process, RunProcess) else process.head_since
            end = since + attempt.timeout_s
            if now >= end:
                self._time_out(process, attempt)
                continue
            if isinstance(process, Runner) and len(process.outstanding) > 1:
                if now - since >= AHEAD_S:
                    self._take_back(process)
                else:
                    end = min(end, since + AHEAD_S)
            soonest = min(soonest, end)
        if self.waiting:
            self._start_waiting(now)
            soonest = min(soonest, min((self._end_of(process) for process in self.running), default=soonest))
        return soonest

    def _end_of(self, process: Runner | RunProcess) -> float:
        if isinstance(process, RunProcess):
            return process.since + process.attempt.timeout_s
        return process.head_since + min(process.outstanding[0].timeout_s, AHEAD_S if len(process.outstanding) > 1 else 1e9)

    def _time_out(self, process: Runner | RunProcess, attempt: Attempt) -> None:
        error = problem("timeout", f"the step ran for more than its {attempt.timeout_s:g} s and was ended")
        if isinstance(process, RunProcess):
            process.since = float("inf")              # once
            process.kill(error)
        else:
            process.head_since = float("inf")
            self._end(process, attempt, error)

    def _end(self, runner: Runner, attempt: Attempt, error: dict[str, Any] | None) -> None:
        """Kill a runner for the sake of one attempt; nothing new goes to it, what it has not taken goes elsewhere."""
        self._forget(runner)
        self._retiring.add(runner)
        self._take_back(runner)
        runner.kill(attempt, error)

    def _start_waiting(self, now: float) -> None:
        held: list[Attempt] = []
        while self.waiting:
            attempt = self.waiting[0]
            if attempt.state == WAITING:
                if attempt.once and not self._may_start(attempt):
                    held.append(attempt)              # its lease may be over; a heartbeat that gets through settles it
                else:
                    try:
                        if not self._placed(attempt, now):
                            break
                        attempt.state = RUNNING
                    except (OSError, ValueError) as error:
                        attempt.state = OVER
                        self._listener.failed(attempt, problem("cannot_start", f"this worker cannot start a process: {error}"))
            self.waiting.popleft()
        self.waiting.extendleft(reversed(held))

    def _placed(self, attempt: Attempt, now: float) -> bool:
        """Start it, or write it ahead; False when there is no place."""
        free = len(self.running) < self.slots
        if attempt.kind == "run":
            if free:
                self.running.add(RunProcess(self, self.spawner, self._places, attempt, self._bundle_of(attempt.bundle), now))
            return free
        idle = best = None
        for runner in self._warm.get(attempt.key, ()):
            if not runner.outstanding:
                idle = runner
            elif best is None or len(runner.outstanding) < len(best.outstanding):
                best = runner
        cost = None if attempt.exclusive else self._costs.get((attempt.key, attempt.entry))
        behind_s = 1e9
        if cost is not None and best is not None and now - best.head_since < AHEAD_S and not best.outstanding[0].exclusive:
            behind_s = (len(best.outstanding) + 1) * cost
        if best is not None and behind_s <= (SPREAD_S if free else AHEAD_S) and len(best.outstanding) < PREFETCH_MAX and best.send(attempt, now):
            self._retire_if_old(best)
            return True
        if not free:
            return False
        runner = idle or self._new_runner(attempt)
        if not runner.send(attempt, now):
            self._let_go(runner)
            raise OSError("a new process takes no call")
        self.running.add(runner)
        self._retire_if_old(runner)
        return True

    def _new_runner(self, attempt: Attempt) -> Runner:
        warm = [runner for runners in self._warm.values() for runner in runners]
        if len(warm) >= WARM_PER_SLOT * self.slots:
            idle = min((runner for runner in warm if not runner.outstanding), key=lambda runner: runner.idle_since, default=None)
            if idle:
                self._let_go(idle)
        runner = Runner(self, self.spawner, self._places, attempt, self._bundle_of(attempt.bundle), self._now())
        self._warm.setdefault(attempt.key, []).append(runner)
        return runner

    def _retire_if_old(self, runner: Runner) -> None:
        if runner.calls >= CALLS_PER_RUNNER_MAX:
            self._forget(runner)
            self._retiring.add(runner)                # ends its calls, then goes; its successor is forked meanwhile
            self._new_runner(runner.outstanding[0])

    def _let_idle_go(self, now: float) -> None:
        """Let runners go that nobody called for long."""
        for runner in [runner for runners in self._warm.values() for runner in runners]:
            if not runner.outstanding and now - runner.idle_since >= IDLE_S_MAX:
                self._let_go(runner)

    def _let_go(self, runner: Runner) -> None:
        self._forget(runner)
        self._retiring.add(runner)
        runner.kill(None, None)

    def _forget(self, runner: Runner) -> None:
        runners = self._warm.get(runner.key, [])
        if runner in runners:
            runners.remove(runner)
            if not runners:
                del self._warm[runner.key]

    def _take_back(self, runner: Runner) -> None:
        """What a runner has not begun waits again. It may have begun nothing, when it is slow to start: then it is idle."""
        self._return(runner.take_back())
        if not runner.outstanding:
            runner.idle_since = self._now()
            self.running.discard(runner)

    def _return(self, attempts: list[Attempt]) -> None:
        """Attempts that have not started wait again, first in line."""
        for attempt in reversed(attempts):
            if attempt.state == RUNNING:
                attempt.state = WAITING
                self.waiting.appendleft(attempt)

    def _process_of(self, attempt: Attempt) -> Runner | RunProcess | None:
        for process in self.running:
            if process.attempt is attempt if isinstance(process, RunProcess) else attempt in process.outstanding:
                return process
        return None

    # -- From processes ----------------------------------------------------------------------------------------------------------

    def event(self, attempt: Attempt, event: bytes) -> None:
        """A process said something."""
        if attempt.state == RUNNING:
            self._listener.event(attempt, event)

    def upload(self, attempt: Attempt, content: bytes) -> None:
        """A process keeps a file."""
        self._listener.upload(attempt, content)

    def answered(self, runner: Runner, attempt: Attempt, output: bytes | None, error: bytes | None, took_s: float) -> None:
        """A call has ended; the next one lying ahead has begun."""
        now = self._now()
        runner.head_since = now
        self._measure(attempt, took_s)
        if not runner.outstanding:
            runner.idle_since = now
            self.running.discard(runner)
            if runner in self._retiring:
                runner.kill(None, None)
        if attempt.state != RUNNING:
            return
        attempt.state = OVER
        if output is not None:
            self._listener.done(attempt, output)
        elif error is not None:
            self._listener.failed(attempt, error)

    def ran(self, process: RunProcess, output: bytes) -> None:
        """A run step has ended well."""
        self.running.discard(process)
        self._measure(process.attempt, self._now() - process.since)
        process.attempt.state = OVER
        self._listener.printed(process.attempt, output)

    def gone(self, process: Runner | RunProcess, attempt: Attempt | None, error: dict[str, Any] | None) -> None:
        """A process has ended. What lay ahead of it waits again; it was not started, or may be repeated."""
        self.running.discard(process)
        if isinstance(process, Runner):
            self._forget(process)
            self._retiring.discard(process)
            self._return(list(process.outstanding))
            process.outstanding.clear()
        if attempt is not None and attempt.state == RUNNING:
            attempt.state = OVER
            if error is not None:
                self._listener.failed(attempt, error)

    def _measure(self, attempt: Attempt, took_s: float) -> None:
        if attempt.kind != "run":
            if len(self._costs) >= COSTS_MAX:
                self._costs.clear()
            name = (attempt.key, attempt.entry)
            known = self._costs.get(name)
            self._costs[name] = took_s if known is None else smoothed(known, took_s)
        counted = max(took_s, EXCLUSIVE_COST_S) if attempt.exclusive else took_s
        self._mean_s = counted if self._mean_s is None else smoothed(self._mean_s, counted)


def smoothed(known: float, newest: float) -> float:
    """A moving average that falls faster than it rises: the first call of a runner, which imports, says little about the next."""
    return known + (COST_WEIGHT_DOWN if newest < known else COST_WEIGHT_UP) * (newest - known)
