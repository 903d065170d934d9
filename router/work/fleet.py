"""The fleet's conversation: what a heartbeat, a poll, a result and a targeted dispatch do. The words are in `fleet/protocol.py`.

A lease is lost by omission only if the worker's own count says that it received the grant and it no longer lists it. A worker that lists nothing
renews all its leases; one that counts nothing is never judged by omission.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleet.leases import Leases
from fleet.protocol import CANCEL, Heartbeat, Poll, Result, newer_boot
from fleet.registry import Live, Registry
from router.config import Fleet as FleetConfig
from router.work.dispatch import Dispatch, Parked, received
from router.work.duties import Duties
from router.work.finish import Finish
from state.errors import Fault, UnknownWorker, WorkerSuperseded
from state.records import Worker
from state.store import Store


class Fleet:
    """Server side of the four endpoints, without HTTP."""

    def __init__(self, store: Store, registry: Registry, leases: Leases, dispatch: Dispatch, finish: Finish, duties: Duties,
                 config: Callable[[], FleetConfig], leaving: Callable[[], bool]) -> None:
        self._store, self._registry, self._leases, self._dispatch, self._finish, self._duties = store, registry, leases, dispatch, finish, duties
        self._config, self._leaving = config, leaving

    def heartbeat(self, beat: Heartbeat) -> dict[str, Any]:
        """Register, renew, notice what was lost; the reply tells the rhythm and what to stop."""
        replaced = self._registry.heard(beat)
        if replaced is not None:
            self._dispatch.rouse(beat.worker)        # polls of the process before it would be woken in place of others, and take nothing
            self._duties.free_all(beat.worker, f"{beat.worker} was started again", replaced.live, replaced.boot)
        live = self._registry.live[beat.worker]
        self._renew(beat, live)
        worker = self._store.workers[beat.worker]
        self._dispatch.refresh(beat.worker)
        config = self._config()
        return {"heartbeat_s": config.heartbeat_s, "poll_s": config.poll_s, "lease_s": config.lease_s,
                "cancel": self._cancels(beat, live), "seen": live.seen or 0, "drain": self._drains(worker)}

    def _renew(self, beat: Heartbeat, live: Live) -> None:
        held = None if beat.held is None else set(beat.held)
        running = None if beat.running is None else set(beat.running)
        for lease in list(self._leases.of(beat.worker).values()):
            if held is None or lease.id in held:
                self._leases.renew(lease, running=running is None or lease.id in running)
            elif beat.seen is not None and lease.n <= beat.seen:
                self._finish.lose(lease, f"{beat.worker} no longer has it", received(lease, live), beat.worker)

    def _cancels(self, beat: Heartbeat, live: Live) -> list[str]:
        """Leases to stop: those it lists that do not stand, and those cancelled since it was last told."""
        stands = self._leases.of(beat.worker)
        told = dict.fromkeys(lease for lease in beat.held or () if lease not in stands) | live.cancel
        live.cancel = {}
        return list(told)

    def _drains(self, worker: Worker) -> bool:
        return worker.state in ("draining", "drained")

    def poll(self, poll: Poll) -> tuple[dict[str, Any], bool]:
        """(the reply to GET /commands, whether it holds anything). Sent again first: grants that the worker says it has not seen."""
        worker = self._registry.worker(poll.worker)
        if poll.boot and worker.boot and poll.boot != worker.boot:
            if newer_boot(poll.boot, worker.boot):       # it must not be sent what an earlier process was granted
                raise UnknownWorker(f"process {poll.boot} of worker {worker.id} has not sent a heartbeat",
                                    hint=f'POST /heartbeat {{"worker":"{worker.id}","boot":"{poll.boot}"}} registers it')
            raise WorkerSuperseded(f"worker {worker.id} was started again as {worker.boot}; {poll.boot} is the older process")
        live = self._registry.polled(poll.worker, poll.seen)
        worker = self._store.workers[poll.worker]
        commands = [] if poll.seen is None else self._dispatch.unseen(worker.id, poll.seen)
        if not self._leaving():
            commands += self._dispatch.grant(worker, live, poll.max - len(commands))
        commands += [{"type": CANCEL, "lease": lease} for lease in live.cancel]
        live.cancel = {}
        seen = max((c["n"] for c in commands if "n" in c), default=live.seen or 0)
        return {"commands": commands, "seen": seen, "poll_s": self._config().poll_s, "drain": self._drains(worker)}, bool(commands)

    def park(self, poll: Poll) -> Parked:
        """The poll waits; a worker may have several that do."""
        return self._dispatch.park(poll.worker, poll.max)

    def unpark(self, parked: Parked) -> None:
        """The poll waits no more."""
        self._dispatch.unpark(parked)

    def results(self, results: list[Result | Fault]) -> list[dict[str, Any] | Fault]:
        """Each result's reply or its refusal, in order; each is a unit of its own."""
        answers: list[dict[str, Any] | Fault] = []
        for result in results:
            if isinstance(result, Fault):
                answers.append(result)
                continue
            try:
                answers.append(self._finish.result(result))
                self._store.split()
            except Fault as fault:
                self._store.rollback()
                self._store.begin()
                answers.append(fault.with_traceback(None))       # the trace holds this frame, which holds the answers: a cycle
        return answers
