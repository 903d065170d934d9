"""What the server acknowledged during a soak, and what must be true of its data folder afterwards. The server is not asked: its files are read.

Rule 1: an acknowledged job has one document, in jobs/done, in an ended state.  Rule 2: it ended once more than it was retried, and no step of it was
done twice.  Rule 3: documents and index rows agree, and nothing is left in jobs/live.  Rule 4: nobody but a client tried a
move that the law does not have.  Rule 5: the doctor has nothing but notes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from jobs import index_rows
from subject import SERVER

ENDED = {"done", "failed", "cancelled"}
FINAL = {"done", "cancelled"}
PROBLEMS_KEPT = 20
NOTE = "note"                # a severity of the doctor: nothing is wrong
DOCTOR_S_MAX = 1_800.0


class Ledger:
    """Filled by many threads. `problems` are sentences; only the first are kept, all are counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}                # id to the skill
        self.counts: dict[str, int] = {}
        self.problems: list[str] = []
        self.wrong = 0

    def add(self, job: dict[str, Any], skill: str) -> str:
        """A job was acknowledged; its id."""
        job_id = str(job["id"])
        with self._lock:
            self.acknowledged[job_id] = skill
        return job_id

    def count(self, what: str, n: int = 1) -> None:
        """Something happened."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + n

    def problem(self, sentence: str) -> None:
        """Something is wrong."""
        with self._lock:
            self.wrong += 1
            if len(self.problems) < PROBLEMS_KEPT:
                self.problems.append(sentence)

    def check(self, data: Path) -> None:
        """Look at the data folder of a server that has stopped; what is wrong becomes problems."""
        files: dict[str, Path] = {}
        for path in (data / "jobs" / "done").glob("*/j_*.json"):
            if path.stem in files:
                self.problem(f"job {path.stem} has two documents")
            files[path.stem] = path
        left = [path.stem for path in (data / "jobs" / "live").glob("j_*.json")]
        if left:
            self.problem(f"{len(left)} jobs are left in jobs/live, {left[0]} for one")
        lost = [job_id for job_id in self.acknowledged if job_id not in files and job_id not in left]
        if lost:
            self.problem(f"{len(lost)} of {len(self.acknowledged)} acknowledged jobs have no document, {lost[0]} of skill "
                         f"{self.acknowledged[lost[0]]} for one")
        states = {job_id: self._looked_at(path) for job_id, path in files.items()}
        listed = {row[0]: row[1] for row in index_rows(data)}                # the last row of a job counts
        differ = [job_id for job_id in {*listed, *states} if listed.get(job_id) != states.get(job_id)]
        if differ:
            self.problem(f"{len(differ)} jobs differ between index and document: {differ[0]} is listed as {listed.get(differ[0])}, "
                         f"its document says {states.get(differ[0])}")
        self.count("documents read", len(files))
        audit = data / "audit.jsonl"
        for line in audit.read_text().splitlines() if audit.exists() else ():
            if json.loads(line)["by"] != "client":                        # clients try what comes too late; the server itself must not
                self.problem(f"an illegal move: {line[:300]}")

    def _looked_at(self, path: Path) -> str:
        """The state that a document names, after a look at its history."""
        job = json.loads(path.read_bytes())
        moves = job["history"]
        ends = [move["to"] for move in moves if move["of"] == "job" and move["to"] in ENDED]
        retries = sum(move["of"] == "job" and move["from"] == "failed" and move["to"] == "queued" for move in moves)
        if job["state"] not in ENDED or len(ends) != retries + 1 or ends[-1] != job["state"] or FINAL & set(ends[:-1]):
            self.problem(f"job {path.stem} is {job['state']}, it ended as {ends} and was retried {retries} times")
        for step in job["steps"]:
            done = sum(move["of"] == step["id"] and move["to"] == "done" for move in moves)
            if done > 1 or (job["state"] == "done" and done != 1):
                self.problem(f"step {step['id']} of job {path.stem}, which is {job['state']}, was done {done} times")
        return str(job["state"])

    def ask_doctor(self, data: Path) -> str:
        """What `server.py doctor` says of the folder, in words; its findings become problems."""
        command = [sys.executable, str(SERVER), "doctor", "--data", str(data), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOCTOR_S_MAX, check=False)
        if done.returncode == 2 and "invalid choice" in done.stderr:
            return "doctor: this server has none"
        if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
            self.problem(f"doctor ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
            return "doctor: failed"
        findings = json.loads(done.stdout)["findings"]
        for finding in findings:
            if finding["severity"] != NOTE:
                self.problem(f"doctor: {json.dumps(finding)[:300]}")
        return f"doctor: {len(findings)} findings, {sum(finding['severity'] == NOTE for finding in findings)} of them notes"
