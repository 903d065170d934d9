"""A server that takes connections and never answers: every call of a worker ends in bounded time, and the worker goes on calling."""

import io
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from fleet import client as clients
from fleet import delivery as deliveries
from fleet import talk
from fleet.attempt import Attempt
from fleet.book import Book
from fleet.client import Client, Unreachable
from fleet.delivery import Delivery, Message
from fleet.talk import Conversation, Heart, Poller
from state.clock import Clock
from state.log import Log
from tests.fleet.peer import PATIENCE_S, command
from tests.kit import refuses, same

SHORT_S = 0.1                         # instead of the bounds that are in use


@contextmanager
def a_mute_server() -> Iterator[tuple[socket.socket, str]]:
    """(a listening socket whose connections are taken by the system alone, its URL)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def set_to(seconds: float, *places: tuple[Any, str]) -> Iterator[None]:
    """These bounds are shorter meanwhile."""
    before = [getattr(module, name) for module, name in places]
    for module, name in places:
        setattr(module, name, seconds)
    try:
        yield
    finally:
        for (module, name), value in zip(places, before, strict=True):
            setattr(module, name, value)


def outcome(call: Callable[[], Any]) -> Callable[[], Any]:
    """Begin a call; what is returned waits for its end, in bounded time, and gives its value or raises its error."""
    ended: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

    def run() -> None:
        try:
            ended.put((call(), None))
        except Exception as error:
            ended.put((None, error))
    Thread(target=run, daemon=True).start()

    def wait() -> Any:
        value, error = ended.get(timeout=PATIENCE_S)
        if error is not None:
            raise error
        return value
    return wait


def test_every_call_to_a_server_that_never_answers_times_out() -> None:
    with a_mute_server() as (listener, url), set_to(SHORT_S, (clients, "STREAM_STALL_S_MAX")):
        calls: list[tuple[str, Callable[[Client], Any]]] = [
            ("POST /result", lambda client: client.call("POST", "/result", b"{}", SHORT_S)),
            ("GET /bundles/b", lambda client: client.download("/bundles/b", io.BytesIO(), 9)),
            ("PUT /artifacts/a", lambda client: client.upload("/artifacts/a", io.BytesIO(b"x"), 1)),
        ]
        for wanted, call in calls:
            refuses(Unreachable, outcome(partial(call, Client(url))), "timed out")
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(65_536).decode().startswith(wanted), wanted
        listener.settimeout(0.0)
        refuses(BlockingIOError, listener.accept)


def test_what_times_out_on_a_kept_connection_is_not_sent_a_second_time_for_the_server_had_its_time() -> None:
    with a_mute_server() as (listener, url):
        client = Client(url)
        first = outcome(lambda: client.call("GET", "/one", timeout_s=PATIENCE_S))
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            assert connection.recv(65_536).startswith(b"GET /one")
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            same(first().status, 204)
            refuses(Unreachable, outcome(lambda: client.call("GET", "/two", timeout_s=SHORT_S)), "timed out")
            assert connection.recv(65_536).startswith(b"GET /two")
        listener.settimeout(0.0)
        refuses(BlockingIOError, listener.accept)


def goes_on(make: Callable[[Client], Conversation], wanted: str) -> None:
    """The conversation asks three times, each on a connection of its own, though none of them is answered or closed."""
    with a_mute_server() as (listener, url):
        conversation = make(Client(url))
        conversation.start()
        connections = []
        try:
            for _ in range(3):
                connection, _ = listener.accept()
                connections.append(connection)
                connection.settimeout(PATIENCE_S)
                assert connection.recv(65_536).decode().startswith(wanted), wanted
        finally:
            conversation.end()
            for connection in connections:
                connection.close()


def test_heartbeats_polls_and_results_that_get_no_answer_are_given_up_in_bounded_time_and_sent_again() -> None:
    lines: list[str] = []
    log = Log(Clock(), write=lines.append)
    book = Book("w1", "1-a", dict, 1, 0)
    book.registered.set()

    def nothing(*_: Any) -> None:
        return

    def with_a_result(client: Client) -> Delivery:
        made = Delivery(client, book, nothing, log, nothing, nothing)
        attempt = Attempt(command(1, "b" * 64))
        made.put(Message(attempt, attempt.message(book.sender, "done", b"1"), True, False))
        return made
    heart = Heart(Client("http://127.0.0.1:9"), book, nothing, log, nothing, nothing)
    with set_to(SHORT_S, (talk, "HEARTBEAT_ANSWER_S_MAX"), (talk, "ANSWER_S_MAX"), (talk, "WAIT_S"), (deliveries, "ANSWER_S_MAX")):
        goes_on(lambda client: Heart(client, book, nothing, log, nothing, nothing), "POST /heartbeat")
        goes_on(lambda client: Poller(client, book, nothing, log, heart, nothing, nothing), "GET /commands")
        goes_on(with_a_result, "POST /result")
    same({json.loads(line)["event"] for line in lines}, {"heartbeat_failed", "results_wait"})
