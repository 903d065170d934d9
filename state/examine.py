"""One examination of a data folder: what the parts of it find and count, and what a repair would do about it.

The parts (`segments`, `documents`, `keepsakes`) look at one kind of file each and only tell; `state/doctor.py` calls them in order. Nothing here or
there changes a file: a repair is a callable that is kept beside its finding, for `state/mending.py` to call when everything has been looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from state.disk import Disk
from state.findings import CODES, ERROR, NOTE, WARNING, Finding
from state.finished import Finished
from state.mending import Mender
from state.recovery import Found

SHOWN_MAX = 1_000              # findings of one code that are kept to be shown; the rest is counted
MENDS_MAX = 100_000            # repairs of one round

Mend = Callable[[Mender], None]


class Examination:
    """What is known of a folder so far. `found` is what a start would find, None where it would be refused."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.disk, self.folder = disk, folder
        self._place = str(folder)                  # paths are made for every file
        self.finished = Finished(disk, folder / "jobs" / "done")
        self.mark = 0                              # unit up to which the checkpoint has everything
        self.newest_id = ""                        # of all jobs that were made before it
        self.newest = 0                            # unit that the journal ends with
        self.found: Found | None = None
        self.refused = ""                          # why recovery would be
        self.blocked = ""                          # why the server would not start although recovery succeeds
        self.findings: list[Finding] = []
        self.tally: Counter[str] = Counter()       # by code
        self.counts: Counter[str] = Counter()      # of what was looked at
        self.mends: dict[str, Mend] = {}           # one for each name
        self.definitions: set[str] = set()         # that kept jobs name
        self.needed: set[str] = set()              # of them those that live jobs name: without these the server does not start
        self.artifacts: dict[str, str] = {}        # that kept jobs name, and the file of one that does

    def say(self, code: str, file: str, what: str, *, line: int = 0, offset: int = -1, repair: str = "", mend: Mend | None = None,
            severity: str = "", name: str = "") -> None:
        """Tell a finding. `mend` is what does as `repair` says, once for each `name` (of the file, unless given)."""
        self.tally[code] += 1
        self.counts[severity or CODES[code][0]] += 1
        if self.tally[code] <= SHOWN_MAX:
            self.findings.append(Finding(code, severity or CODES[code][0], file, line, offset, what, repair))
        if mend is not None and len(self.mends) < MENDS_MAX:
            self.mends.setdefault(name or file, mend)

    def read(self, path: str) -> bytes | None:
        """A file, None if it is not there or cannot be read, which is told."""
        try:
            return self.disk.read(f"{self._place}/{path}")
        except FileNotFoundError:
            return None
        except OSError as error:
            self.say("unreadable", path, f"{error.strerror or error}")
            return None

    def temporary(self, file: str) -> None:
        """A file that was being written. The temporary name is told, and the file kept aside by a repair."""
        self.say("temp_file", file, "it was being written when the process died", repair="keeps it aside", mend=lambda m: m.keep(file))

    def unknown(self, file: str) -> None:
        """A name that is none of ours."""
        self.say("unknown_file", file, "nothing of ours has this name; it is left alone")

    @property
    def start_problem(self) -> str:
        """Why a server would not start, "" if it would."""
        return self.refused or self.blocked

    @property
    def healthy(self) -> bool:
        """Nothing but notes."""
        return not (self.counts[ERROR] or self.counts[WARNING])

    def severities(self) -> dict[str, int]:
        """How many findings of each."""
        return {severity: self.counts[severity] for severity in (ERROR, WARNING, NOTE)}
