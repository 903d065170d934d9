"""What happens to a data folder between two lives of the server: the doctor examines it, and the file of the checkpoint is lost."""

from __future__ import annotations

from pathlib import Path

from state import doctor
from state.disk import Disk
from state.findings import NOTE, Finding
from state.overlay import DryDisk
from tests.simulation.checker import Checker
from tests.simulation.disk import SimDisk
from tests.simulation.process import DATA, put_in_place
from tests.simulation.world import Violation, World

FINDINGS_SHOWN = 3
EXAMINED_SHARE = 0.25          # of the starts: the others are for the checker alone
CHECKPOINT_LOST_SHARE = 0.5     # of the starts after which a checkpoint is there, while there are faults


class Behind(Disk):
    """The simulated disk, for whoever reads through a `DryDisk`."""

    source: SimDisk

    def read_at(self, path: Path | str, offset: int, size: int) -> bytes:
        return self.source.read_at(path, offset, size)

    def exists(self, path: Path | str) -> bool:
        return self.source.exists(path)

    def size(self, path: Path | str) -> int:
        return self.source.size(path)

    def modified(self, path: Path | str) -> float:
        return self.source.modified(path)

    def names(self, folder: Path | str) -> list[str]:
        return self.source.names(folder)


class DrySimDisk(DryDisk, Behind):
    """A simulated disk that is only looked at."""

    def __init__(self, source: SimDisk) -> None:
        super().__init__()
        self.source = source


class Visits:
    """To the folder of a run."""

    def __init__(self, world: World, disk: SimDisk, checker: Checker) -> None:
        self._world, self._disk, self._checker = world, disk, checker
        self._random = world.stream("visits")
        self._damaged: set[str] = set()

    def examine(self) -> None:
        """In a share of the visits the doctor comes: it finds nothing but notes, whatever has happened."""
        if self._random.random() >= EXAMINED_SHARE:
            return
        with put_in_place(doctor, DryDisk=lambda: DrySimDisk(self._disk)):
            try:
                found = doctor.examine(self._disk, DATA, None)
            except Exception as error:
                raise Violation(f"the doctor fails, it says {type(error).__name__}: {error}") from error
        self._world.meet("examined by the doctor")
        wrong = [f.text() for f in found.findings if f.severity != NOTE and not self._is_known(f)]
        if wrong:
            raise Violation(f"the doctor has {len(wrong)} findings: {wrong[:FINDINGS_SHOWN]}")

    def _is_known(self, finding: Finding) -> bool:
        """It is our damage; or retention has removed a job and a power cut brought a part of it back, which the doctor cannot tell from a loss."""
        if finding.code == "checkpoint_damaged":
            return finding.file in self._damaged
        return finding.code in ("row_missing", "events_missing", "events_orphan") and any(
            job_id in finding.file or job_id in finding.what for job_id in self._checker.retained.taken)

    def lose_checkpoint(self) -> None:
        """In a share of the visits remove or damage the file of the checkpoint, which only makes a start slower."""
        names = [name for name in self._disk.names(DATA) if name.startswith("checkpoint-")]
        if not names or self._random.random() >= CHECKPOINT_LOST_SHARE:
            return
        how = self._random.choice(("removed", "damaged"))
        for name in names:
            if how == "removed":
                self._disk.lose(f"{DATA}/{name}")
            else:
                self._disk.damage(f"{DATA}/{name}", self._random)
                self._damaged.add(name)
        self._world.note(f"the checkpoint's file is {how}")
        self._world.meet(f"checkpoint {how}")
        if self._checker.live:
            self._world.meet("start from documents with live jobs")
