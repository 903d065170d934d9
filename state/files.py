"""The file engine: a data folder that one process holds. Order of things: journal first (that is the acknowledgement), files after.

    data/LOCK  data/VERSION  data/journal/  data/jobs/  data/workers/  data/feedback/  data/events/  data/checkpoint*.json*  data/audit.jsonl

Recovery: checkpoint file, or every document where that file is missing; then replay of later units. A document that is newer than the
checkpoint or does not parse is ignored if the journal holds its image, and is damage otherwise. A commit that fails is cut off and refused
until a probe write succeeds; if the cut itself fails nobody knows what is on the disk, and the process must exit (`Fatal`).
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOENT
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

from state.checkpoints import Checkpoints, Tables, read_mark
from state.clock import Clock, iso
from state.disk import Disk
from state.engine import Key, KeyUse, Recovered, Ticket, Unit
from state.errors import DiskLow, Fault, SlowDown, StorageUnavailable
from state.filer import Filer
from state.finished import Finished, Row
from state.journal import Journal
from state.log import Log
from state.machine import JOB_ENDED
from state.projection import Event, Projection
from state.records import Feedback, Job, Worker, encode, feedback_document, sealed, worker_document
from state.recovery import recover
from state.retention import Keep, Retention
from state.streams import read_events
from state.writer import Writer

SEAL_AFTER_S = 0.1             # idle for so long, the journal gets its witness
PROBE_EVERY_S = 1.0            # while writes are refused
PREPARE_AGAIN_S = 10.0         # after there was no room for the next segment
ROOM_EVERY_S = 1.0             # how often the free space is asked for
LAG_S_MAX = 1.0                # files further behind than this slow new submissions down
EVICT_AFTER_S = 60.0           # an ended job stays in memory so long for whoever asks next
EVICT_AT_ONCE_MAX = 500        # looked at in one call: about 2 ms
EVICT_KEPT_MAX = 20_000        # and no more than so many of them
AUDIT_LINES_MAX = 10_000
CLOSE_S_MAX = 1.5              # for files and checkpoint at a clean stop, so that the process leaves within its grace
IDLE_TICK_S = 0.5              # between ticks when nothing waits
BUSY_TICK_S = 0.005           # while files or a seal wait: a batch takes the writer about as long
DISK_LOW_BYTES = 1 << 30       # nearly full: below 1 GB or 5%, whichever is less
DISK_LOW_SHARE = 0.05
AWAY = "the data folder was removed, moved or replaced while it was in use; put it back as it was, or stop, restore it and start"


class Fatal(BaseException):
    """The disk took a write back halfway and would not be cut: only a restart, which reads what is there, is safe.

    Not an `Exception`: whoever shields a turn from the mistakes of its parts must not shield it from this.
    """


class FileEngine:
    """Keeps a data folder. Everything but the commit itself is done by the writer or in slices."""

    def __init__(self, disk: Disk, folder: Path, clock: Clock, log: Log, writer: Writer, keep: Keep | None = None,
                 filer: Filer | None = None, in_place: Callable[[], bool] = lambda: True) -> None:
        self._disk, self._folder, self._clock, self._log, self._writer = disk, folder, clock, log, writer
        self._filer = filer or Filer(disk)
        self._in_place = in_place
        self._away = False                     # the folder is not at its path any more: nothing there is ours to touch
        self._journal = Journal(disk, folder / "journal")
        self.finished = Finished(disk, folder / "jobs" / "done")
        self.retention = Retention(disk, folder, self.finished, writer, keep or Keep(), clock, log)
        self._refused: str | None = None       # why commits are refused
        self._probe_at = 0.0
        self._committed_at = 0.0
        self._preparing = False
        self._prepare_at = 0.0
        self._room: tuple[int, int] | None = None
        self._room_asked_at = -ROOM_EVERY_S
        self._ended: dict[str, float] = {}     # ended jobs that have a done file, and since when, oldest first
        self._audited = 0

    def attach(self, jobs: dict[str, Job], workers: dict[str, Worker], feedback: dict[str, Feedback], keys: dict[Key, KeyUse],
               newest_id: Callable[[], str], unsettled: Callable[[], bool]) -> None:
        """The store's tables, to read from while not `unsettled()`."""
        def small(folder: str, name: str) -> bytes | None:
            if folder == "workers":
                return sealed(worker_document(workers[name])) if name in workers else None
            return sealed(feedback_document(feedback[name])) if name in feedback else None
        self._jobs, self._unsettled = jobs, unsettled
        self._projection = Projection(self._disk, self._folder, self.finished, self._writer, self._filer, jobs.get, small, self._kept,
                                      self._log)
        tables = Tables(jobs, workers, feedback, keys, newest_id)
        self._checkpoints = Checkpoints(self._disk, self._folder, self._journal, self._projection, self._writer, tables, self._log)

    # -- start --------------------------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """Read what is there, cut what was never acknowledged, begin a new segment."""
        self._disk.make_folder(self._folder)
        mark, newest_id = read_mark(self._disk, self._folder)
        found = recover(self._disk, self._folder, self._journal, self.finished, mark)
        self.finished.adopt()
        self._projection.adopt(found.live_files)
        now = self._clock.monotonic()
        for job_id in sorted(found.behind):
            self._projection.restored(job_id, mark + 1, now)
        for folder, name in sorted(found.small_behind):
            self._projection.small_changed(folder, name, mark + 1, now)
        for job_id, event in found.events:
            self._projection.happened(job_id, event)
        self._journal.open()
        self._checkpoints.recovered(mark)
        self._audited = len(self._disk.read(self._folder / "audit.jsonl").splitlines()) if self._disk.exists(self._folder / "audit.jsonl") else 0
        return Recovered(found.jobs, found.workers, found.feedback, found.keys, self._journal.seq, max(newest_id, found.newest_id))

    # -- commits ------------------------------------------------------------------------------------------------------------------

    def needs_image(self, job: Job) -> bool:
        """The first change after a checkpoint is journaled whole, so recovery never needs a file written later."""
        return job.seq <= self._checkpoints.cut

    def commit(self, units: list[Unit]) -> Ticket:
        """One write and one sync for all units of the turn."""
        if self._refused is not None:
            return Ticket(fault=self._unavailable())
        base = self._journal.seq
        payloads = [b'{"seq":%d,"at":%r,"base":%d,"changes":%b}' % (u.seq, u.at, base, u.encoded) for u in units]
        try:
            self._journal.commit(payloads, units[0].seq)
        except OSError as error:
            return self._failed(error)
        now = self._committed_at = self._clock.monotonic()
        for unit in units:
            for job_id, job in unit.jobs.items():
                self._projection.changed(job_id, job, unit.seq, now)
            for worker_id in unit.workers:
                self._projection.small_changed("workers", worker_id, unit.seq, now)
            for job_id in unit.feedback:
                self._projection.small_changed("feedback", job_id, unit.seq, now)
            for job_id, event in unit.events:
                self._projection.happened(job_id, event)
        return Ticket()

    def _failed(self, error: OSError) -> Ticket:
        self._log.error("commit_failed", error=str(error))
        self._away = not self._in_place()
        self._refused = AWAY if self._away else str(error)
        self._probe_at = self._clock.monotonic() + PROBE_EVERY_S
        try:
            self._journal.cut()
        except OSError as second:
            self._probe_at = inf
            raise Fatal(f"the journal could be neither written ({error}) nor cut ({second})") from second
        return Ticket(fault=self._unavailable())

    def _unavailable(self) -> Fault:
        return StorageUnavailable(f"the disk refuses writes: {self._refused}", retry_after_s=1)

    def _probe(self) -> None:
        self._away = not self._in_place()
        if self._away:
            self._refused = AWAY
            return
        try:
            self._journal.begin_after_failure()
        except OSError as error:
            self._refused = str(error)
        else:
            self._refused = None
            self._log.info("storage_back")

    # -- housekeeping ---------------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> float:
        """Probe, seal, files, checkpoint slice, spare segment, free space, retention; seconds until more is due.

        In the middle of a turn nothing is done: a file must not show what may yet be undone.
        """
        if self._unsettled():
            return 0.0
        if self._refused is None and not self._in_place():
            self._failed(OSError(ENOENT, "the data folder is not there"))
        elif self._refused is not None:
            if now >= self._probe_at:
                self._probe_at = now + PROBE_EVERY_S
                self._probe()
        elif now - self._committed_at >= SEAL_AFTER_S:
            try:
                self._journal.seal()
            except OSError as error:
                self._failed(error)
        if self._away:
            return IDLE_TICK_S
        self._projection.hand_over(now)
        self._ask_room(now)
        self._prepare(now)
        self.retention.tick(now, self._is_live, self._is_busy)
        if self._checkpoint_slice(now):
            return 0.0
        idle = self._projection.idle() and not self._checkpoints.under_way() and now - self._committed_at > SEAL_AFTER_S
        return IDLE_TICK_S if idle else BUSY_TICK_S

    def _kept(self, job_id: str, files: int, size: int) -> None:
        """A done file was written (if it is not one fewer now) or removed."""
        self._ended.pop(job_id, None)
        if files >= 0:
            self._ended[job_id] = self._clock.monotonic()
        self.retention.changed(job_id, files, size)

    def evictable(self, now: float) -> list[str]:
        """Ended a minute ago, or more of them than are kept."""
        over = len(self._ended) - EVICT_KEPT_MAX
        found: list[str] = []
        for job_id, since in list(islice(self._ended.items(), 2 * EVICT_AT_ONCE_MAX)):      # those named last time are still there, and pass
            if (over <= 0 and since + EVICT_AFTER_S > now) or len(found) == EVICT_AT_ONCE_MAX:
                break
            over -= 1
            job = self._jobs.get(job_id)
            if job is not None and (job.seq > self._journal.seq or (job.state in JOB_ENDED and not self._projection.behind(job_id))):
                found.append(job_id)
            else:
                del self._ended[job_id]        # gone, or live again, or to be named again when its file has followed
        return found

    def _is_live(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        return job is not None and job.state not in JOB_ENDED

    def _is_busy(self, job_id: str) -> bool:
        return self._is_live(job_id) or self._projection.behind(job_id)

    def _ask_room(self, now: float) -> None:
        if now - self._room_asked_at < ROOM_EVERY_S:
            return
        self._room_asked_at = now

        def ask() -> None:
            self._room = self._disk.room(self._folder)
        self._writer.hand(ask, self._note_error)

    def _prepare(self, now: float) -> None:
        if self._preparing or now < self._prepare_at or self._refused is not None or not self._journal.half_full():
            return
        self._preparing = True

        def prepared(error: Exception | None) -> None:
            self._preparing = False
            self._prepare_at = now + (PREPARE_AGAIN_S if error is not None else 0.0)
            self._note_error(error)
        self._writer.hand(self._journal.prepare, prepared)

    def _note_error(self, error: Exception | None) -> None:
        if error is not None:
            self._log.warning("housekeeping_failed", error=str(error))

    def checkpoint(self) -> None:
        """Begin one now, unless one is under way or memory holds what is not committed. From here on every first change is journaled whole."""
        if self._refused is None and not self._unsettled():
            try:
                self._checkpoints.begin()
            except OSError as error:
                self._failed(error)

    def _checkpoint_slice(self, now: float) -> bool:
        try:
            return self._refused is None and self._checkpoints.slice(now)
        except OSError as error:
            self._failed(error)
            return False

    # -- reading ------------------------------------------------------------------------------------------------------------------------

    def refusal(self) -> Fault | None:
        """Storage first, then room, then lag."""
        if self._refused is not None:
            return self._unavailable()
        if self._room is not None:
            free, total = self._room
            least = min(DISK_LOW_BYTES, int(total * DISK_LOW_SHARE))
            if free < least:
                return DiskLow(f"{free >> 20} MiB are free, new jobs need {least >> 20} MiB", retry_after_s=30,
                               hint="free some space; running jobs go on")
        lag = self._projection.lag_s(self._clock.monotonic())
        if lag > LAG_S_MAX:
            return SlowDown(f"job files are {lag:.1f} s behind, submissions wait below {LAG_S_MAX:.0f} s", retry_after_s=1)
        return None

    def read_finished(self, job_id: str) -> Job | None:
        """From its day's folder (blocking)."""
        self._check_place()
        return self.finished.read(job_id)

    def page_finished(self, before: str, limit: int, wanted: Callable[[Row], bool], skip: Callable[[str], bool]) -> tuple[list[Row], str | None]:
        """From the index files (blocking)."""
        self._check_place()
        return self.finished.page(before, limit, wanted, skip)

    def pending_events(self, job_id: str) -> list[Event]:
        """Journaled, perhaps not in the file yet."""
        return self._projection.pending_events(job_id)

    def read_events(self, job_id: str) -> list[Event]:
        """From the job's event file (blocking)."""
        self._check_place()
        return read_events(self._disk, self._folder / "events" / f"{job_id}.jsonl")

    def _check_place(self) -> None:
        """What is not there must not look as if it had never been."""
        if self._away:
            raise self._unavailable()

    def audit(self, line: dict[str, Any]) -> None:
        """One line in audit.jsonl, the first 10,000 of them."""
        self._audited += 1
        if self._audited <= AUDIT_LINES_MAX:
            data = encode({"at": iso(self._clock.wall()), "n": self._audited, **line}) + b"\n"
            path = self._folder / "audit.jsonl"
            self._writer.hand(lambda: self._disk.append(path, data), self._note_error)

    def status(self, now: float) -> dict[str, Any]:
        """What an operator asks first."""
        return {
            "engine": "files", "seq": self._journal.seq,
            "checkpoint_seq": self._checkpoints.mark, "checkpoints_stopped": self._checkpoints.stopped or None,
            "journal_bytes_since_checkpoint": self._journal.bytes_since(self._checkpoints.mark),
            "projection_lag_s": round(self._projection.lag_s(now, restored=True), 3), "projection_failures": self._projection.failures,
            "free_bytes": None if self._room is None else self._room[0], "refused": self._refused, "illegal_moves": self._audited,
        }

    def close(self) -> None:
        """Write every file, a checkpoint and the seal, in bounded time; what is left over only makes the next start slower."""
        self._writer.close()
        self._close_all()
        self._filer.close()

    def _close_all(self) -> None:
        if self._refused is None and not self._unsettled():
            try:
                self._journal.rotate(small=True)
                self._close_files(self._clock.monotonic())
                self._journal.close()
            except OSError as error:
                self._log.error("close_failed", error=str(error))

    def _close_files(self, started: float) -> None:
        """Until all is written, the disk refuses, or time is up. The writer works in this thread now."""
        failures = self._projection.failures
        self._checkpoints.begin()
        while self._checkpoints.under_way() and self._projection.failures == failures and self._clock.monotonic() - started < CLOSE_S_MAX:
            self._checkpoints.slice(inf)           # waiting for a better moment is over
