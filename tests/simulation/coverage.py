"""What can go wrong in a run, by name: `World.met` counts how often each has. A fault that never happens proves nothing."""

from __future__ import annotations

from collections.abc import Mapping

KINDS = (
    "killed between events", "killed in a call of the disk", "asked to stop", "stalled", "power cut",
    "unsynced write lost", "torn write lost in part", "unsynced name lost", "checkpoint removed", "checkpoint damaged",
    "start from documents with live jobs", "examined by the doctor",
    "disk full", "disk read-only", "write failed", "sync failed", "file refused",
    "clock jumped forward", "clock jumped back",
    "message lost", "message late", "message doubled", "message overtaken", "message to or from a node cut off",
    "worker crashed", "worker hung", "step failed", "step died", "step interrupted", "step ran over its time", "step gave a strange output",
    "result sent twice", "another result for the same lease", "result came too late", "curl worker began", "rogue lied",
    "client asked again", "key sent twice to an operator's verb", "batch submitted", "deadline given", "skill edited",
    "drain done", "pause done", "resume done", "cancel done", "retry done", "resolve done", "feedback done", "oldest feedback gone",
)


def missing(met: Mapping[str, int]) -> list[str]:
    """Kinds that have not happened."""
    return [kind for kind in KINDS if not met.get(kind)]


def told(met: Mapping[str, int]) -> str:
    """All of it in one line."""
    return "; ".join(f"{kind} {met.get(kind, 0)}" for kind in KINDS)
