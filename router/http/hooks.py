"""What the engine asks of the house, as protocols, and what it counts. The house never asks the engine for a socket."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from router.http.messages import Outcome, Receive, Request
from state.errors import Fault


class Ticket(Protocol):
    """The promise of one commit. It ends when the commit is on disk, or when it has failed (`fault` says how). Tickets end in order."""

    @property
    def ended(self) -> bool:
        """Whether the commit is decided."""

    @property
    def fault(self) -> Fault | None:
        """Why it failed; None while it has not ended, and when it is on disk."""


class Hooks(Protocol):
    """The house behind the engine, called on the loop's thread. An optional `gap(seconds)` is called, in a unit, when no turn ran for over 1 s."""

    def admit(self, request: Request) -> int | Receive:
        """The head is complete, no body byte is read yet: the body limit in bytes, or where an upload goes. May raise a Fault."""

    def handle(self, request: Request) -> Outcome:
        """The request is complete. Called in a unit."""

    def unit(self) -> AbstractContextManager[None]:
        """Wraps every callback that may change state; an exception inside undoes it, and passes through."""

    def settle(self) -> bool:
        """Draw conclusions from the turn's changes and wake what they concern. True asks for another round."""

    def dirty(self) -> bool:
        """Whether there is something to commit."""

    def commit(self) -> Ticket:
        """Commit the units since the last commit together."""

    def after_commit(self) -> None:
        """The turn's replies are written: hand over what is to be projected. Called every turn."""


@dataclass(slots=True)
class Stats:
    """Plain counters since the start. `connections` and `parked` are the present ones; `refused` counts by code."""

    connections: int = 0
    accepted: int = 0
    requests: int = 0
    turns: int = 0
    parked: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    refused: Counter[str] = field(default_factory=Counter)
