"""Decision: what every judgement returns. The reason is a sentence with numbers, fit to be shown to the person who asks why."""

from __future__ import annotations

from typing import Any, NamedTuple


class Decision(NamedTuple):
    """`dispatch` says whether to act, `rule` which judgement spoke (or its verdict), `facts` what it looked at."""

    dispatch: bool
    rule: str
    reason: str
    facts: dict[str, Any] = {}           # noqa: RUF012 - a NamedTuple default that nobody writes to
    priority: int = 0
    target: str = ""
    artifact_required: str = ""

    def document(self) -> dict[str, Any]:
        """As on the wire and in the job's record; empty members left out."""
        members: dict[str, Any] = {"dispatch": self.dispatch, "rule": self.rule, "reason": self.reason}
        for name in ("facts", "priority", "target", "artifact_required"):
            if value := getattr(self, name):
                members[name] = value
        return members
