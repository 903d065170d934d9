"""Delivery of results: each is sent until there is an answer that settles it, however long the server is away.

What accumulated while the last POST was under way goes with the next; a lone result goes at once. An answer settles a result when it accepts it, or
refuses it with a 4xx other than 408, 425, 429: then the result is dropped with a line in the log. Where the server could not read a final result,
a failed one that says so goes in its place, so that the step does not go round until its losses are used up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from fleet.attempt import Attempt, problem
from fleet.book import Book
from fleet.client import Client, Reply, Unreachable
from fleet.protocol import worth_retrying
from fleet.talk import ANSWER_S_MAX, Conversation, Post, backoff_s, pause_s
from fleet.values import encoded
from state.limits import BATCH_ITEMS_MAX, KIB
from state.log import Log

GATHER_S = 0.002                      # between two POSTs while more results are about to come; a lone result never waits
CANNOT_BE_READ = frozenset({"invalid_json", "invalid_message", "body_too_large"})
POST_BYTES_MAX = 1536 * KIB           # of one POST /result, under the 2 MiB that the server takes


class Message(NamedTuple):
    """A result on its way. `attempt` is None for a command that could not be read."""

    attempt: Attempt | None
    body: bytes
    final: bool
    phase: bool
    instead: bool = False                 # of a result that the server could not read


class Delivery(Conversation):
    """The results' thread. `partly` is told on the main thread of each partial message: the code of its refusal, or nothing."""

    def __init__(self, client: Client, book: Book, post: Post, log: Log, partly: Callable[[Message, str], None],
                 superseded: Callable[[str], None]) -> None:
        super().__init__("results", client, book, post, log)
        self._partly, self._superseded = partly, superseded
        self._queue: SimpleQueue[Message | None] = SimpleQueue()

    def put(self, message: Message) -> None:
        """Deliver this, after what was put before it."""
        self._queue.put(message)

    def end(self) -> None:
        """Leave; what is not delivered is lost."""
        super().end()
        self._queue.put(None)

    def run(self) -> None:
        """Deliver until the end."""
        kept: Message | None = None
        posted_at = 0.0
        while not self.over.is_set():
            message = kept or self._queue.get()
            kept = None
            early_s = GATHER_S - (time.monotonic() - posted_at)
            if early_s > 0 and self.book.more_to_come():
                time.sleep(early_s)
            batch: list[Message] = []
            size = 0
            while message is not None:
                if batch and (size + len(message.body) > POST_BYTES_MAX or len(batch) >= BATCH_ITEMS_MAX):
                    kept = message
                    break
                batch.append(message)
                size += len(message.body) + 1
                try:
                    message = self._queue.get_nowait()
                except Empty:
                    break
            self._deliver(batch)
            posted_at = time.monotonic()

    def _deliver(self, batch: list[Message]) -> None:
        """Send until each has an answer that settles it."""
        failures = 0
        while batch and not self.over.is_set():
            body = batch[0].body if len(batch) == 1 else b"[" + b",".join([message.body for message in batch]) + b"]"
            try:
                reply = self.client.call("POST", "/result", body, ANSWER_S_MAX)
            except Unreachable as why:
                wait_s, code = backoff_s(failures), str(why)
            else:
                batch, code = self._settled(batch, reply)
                wait_s = pause_s(reply, failures)
            if batch:
                if failures == 0:
                    self.log.warning("results_wait", count=len(batch), code=code)
                failures += 1
                self.over.wait(wait_s)

    def _instead(self, attempt: Attempt, code: str) -> Message:
        error = encoded(problem("result_refused", f"the server could not read the result of this step: {code}", False))
        attempt.events, attempt.event_bytes = [], 0
        return Message(attempt, attempt.message(self.book.sender, "failed", b"", error), True, False, True)

    def _settled(self, batch: list[Message], reply: Reply) -> tuple[list[Message], str]:
        """Act on an answer; (what must be sent again, why)."""
        said = reply.json()
        if len(batch) > 1 and isinstance(said, list) and len(said) == len(batch):
            answers = [(item.get("status", 500), item) if isinstance(item, dict) and not item.get("accepted") else (200, item) for item in said]
        elif len(batch) > 1 and 400 <= reply.status < 500 and not worth_retrying(reply.status):
            for message in batch:                   # one of them may be what is refused; the others must not go with it
                self._deliver([message])
            return [], ""
        else:
            answers = [(reply.status, said)] * len(batch)
        again, over, code = [], [], ""
        for message, (status, item) in zip(batch, answers, strict=True):
            if type(status) is not int or (status >= 300 and (worth_retrying(status) or status < 400)):
                again.append(message)
                code = f"http_{status}"
                continue
            refused = "" if status < 300 else self.refusal(Reply(status, {}, encoded(item)), self._superseded)
            if refused:
                self.log.warning("result_dropped", lease=message.attempt.lease if message.attempt else None, code=refused)
                if message.final and message.attempt and refused in CANNOT_BE_READ and not message.instead:
                    again.append(self._instead(message.attempt, refused))
                    continue
            if message.final and message.attempt:
                over.append(message.attempt.lease)
            elif message.attempt:
                self.post(self._partly, message, refused)
        if over:
            self.book.release(over)
            if self.book.stopping:
                self.post(lambda: None)
        return again, code


def unreadable(book: Book, command: dict[str, Any], why: str) -> Message | None:
    """The failed result for a command that this worker cannot read; None when it does not even name its lease."""
    if type(command.get("lease")) is not str or type(command.get("attempt")) is not int:
        return None
    error = encoded(problem("bad_command", why, False))
    body = b'{%b,"lease":%b,"attempt":%d,"status":"failed","error":%b}' % (book.sender, encoded(command["lease"]), command["attempt"], error)
    return Message(None, body, True, False)
