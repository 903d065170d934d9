"""The network: requests as bytes on sockets that the real engine reads, late, lost, twice, out of order, or not at all while a node is cut off.

A node asks (`Network.ask`) and is answered once: with status and document, or with status 0 when the connection broke, was refused, or time was
up. The server may get a request long after the node has given up. `told` hears every reply at the moment at which it leaves the server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

from router.http.readiness import GONE, READ, WRITE
from tests.simulation.world import Event, World

Then = Callable[[int, Any], object]
FIRST_DESCRIPTOR = 10


class Exchange:
    """One request and its answer. `about` is for whoever asks, `number` counts what the node asks, `replies` what the server sent."""

    __slots__ = ("about", "body", "done", "method", "node", "number", "replies", "sockets", "target", "then", "timer")

    def __init__(self, node: str, method: str, target: str, body: bytes, then: Then, about: Any) -> None:
        self.node, self.method, self.target, self.body, self.then, self.about = node, method, target, body, then, about
        self.done = False
        self.number = 0
        self.replies = 0
        self.sockets: list[Socket] = []
        self.timer: Event | None = None

    def finish(self, status: int, document: Any) -> None:
        """The node hears how it ended; only the first time counts."""
        if self.done:
            return
        self.done = True
        if self.timer is not None:
            self.timer.cancel()
        self.then(status, document)


class Key:
    """What a selector gives for something that is ready."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


class Selector:
    """Readiness of simulated sockets. `sleep(seconds)` lets the world go on until something is ready."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._watched: dict[int, tuple[int, Any]] = {}
        self.readable: dict[int, int] = {}             # descriptor to READ, or READ | GONE
        self.roused = False

    def register(self, file: Any, events: int, data: Any) -> None:
        """Watch a socket, by itself or its descriptor."""
        self._watched[_descriptor(file)] = (events, data)

    modify = register

    def unregister(self, file: Any) -> None:
        """Watch it no more."""
        del self._watched[_descriptor(file)]

    def has_work(self) -> bool:
        """Whether `select` would return at once."""
        return self.roused or any(self._means(fd, mask) for fd, mask in self.readable.items())

    def _means(self, descriptor: int, mask: int) -> int:
        """What a selector says of it: what is watched for READ is told of GONE too."""
        if descriptor not in self._watched:
            return 0
        events = self._watched[descriptor][0]
        return mask if events & READ else mask & events & GONE

    def select(self, timeout: float) -> list[tuple[Key, int]]:
        """Sleep, then name what is ready, in the order in which it became so."""
        self._sleep(timeout)
        self.roused = False
        ready = [(Key(self._watched[fd][1]), means) for fd, mask in self.readable.items() if (means := self._means(fd, mask))]
        ready += [(Key(data), WRITE) for events, data in self._watched.values() if events & WRITE]
        return ready

    def close(self) -> None:
        """Nothing is held."""


def _descriptor(file: Any) -> int:
    return file if type(file) is int else int(file.fileno())


class Socket:
    """The server's end of a connection."""

    def __init__(self, network: Network, node: str, descriptor: int, selector: Selector) -> None:
        self._network, self.node, self._descriptor, self._selector = network, node, descriptor, selector
        self._inbox: list[bytes] = []
        self._ended = False
        self.closed = False
        self.exchange: Exchange | None = None

    def arrive(self, data: bytes, exchange: Exchange) -> None:
        """A request has come."""
        self.exchange = exchange
        self._inbox.append(data)
        self._selector.readable[self._descriptor] = READ | (GONE if self._ended else 0)

    def hang_up(self) -> None:
        """The node has closed its end."""
        if not self.closed:
            self._ended = True
            self._selector.readable[self._descriptor] = READ | GONE

    # -- what the engine calls ----------------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._descriptor

    def setblocking(self, flag: bool) -> None:
        """Never blocks."""

    def setsockopt(self, *options: int) -> None:
        """Has no options."""

    def recv(self, size: int) -> bytes:
        if self._inbox:
            data = self._inbox.pop(0)
            if not self._inbox and not self._ended:
                del self._selector.readable[self._descriptor]
            return data
        if self._ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            self._network.replied(self, exchange, bytes(data))
        return len(data)

    def shutdown(self, how: int) -> None:
        """The server sends no more."""

    def close(self) -> None:
        self.closed = True
        self._selector.readable.pop(self._descriptor, None)
        self._network.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            self._network.broken(exchange)


class Listener:
    """The socket that the engine accepts from."""

    def __init__(self, descriptor: int, selector: Selector) -> None:
        self._descriptor, self._selector = descriptor, selector
        self._waiting: list[Socket] = []
        self.closed = False

    def fileno(self) -> int:
        return -1 if self.closed else self._descriptor

    def connect(self, socket: Socket) -> None:
        """Somebody wants to be accepted."""
        self._waiting.append(socket)
        self._selector.readable[self._descriptor] = READ

    def accept(self) -> tuple[Socket, tuple[str, int]]:
        if not self._waiting:
            self._selector.readable.pop(self._descriptor, None)
            raise BlockingIOError
        socket = self._waiting.pop(0)
        return socket, (socket.node, 1)

    def close(self) -> None:
        self.closed = True


class Network:
    """Carries messages between nodes and the server, if there is one."""

    def __init__(self, world: World, told: Callable[[Exchange, int, Any], None]) -> None:
        self._world, self._told = world, told
        self._random = world.stream("network")
        self.delay_s, self.long_delay_s, self.long_share = 0.001, 0.0, 0.0
        self.loss = self.duplicate = 0.0
        self._cut_off_until: dict[str, float] = {}
        self._asked: dict[str, int] = {}               # by each node, so far
        self._arrived: dict[str, int] = {}             # the newest of them
        self._descriptors = FIRST_DESCRIPTOR
        self._listener: Listener | None = None
        self._selector: Selector | None = None
        self._open: dict[Socket, None] = {}
        self._idle: dict[str, list[Socket]] = {}

    # -- the server ----------------------------------------------------------------------------------------------------------------------

    def listen(self, selector: Selector) -> Listener:
        """A server takes connections from now on."""
        self._descriptors += 1
        self._selector, self._listener = selector, Listener(self._descriptors, selector)
        return self._listener

    def server_ended(self) -> None:
        """The process is gone, and every connection with it."""
        self._listener = None
        gone, self._open, self._idle = self._open, {}, {}
        for socket in gone:
            exchange, socket.exchange, socket.closed = socket.exchange, None, True
            if exchange is not None:
                self.broken(exchange)

    def broken(self, exchange: Exchange) -> None:
        """The connection ended without an answer: the node hears it, if anything reaches it."""
        if not self.cut_off(exchange.node):
            self._world.after(self._delay(), partial(exchange.finish, 0, None))

    def replied(self, socket: Socket, exchange: Exchange, data: bytes) -> None:
        """The server has sent an answer."""
        status = int(data[9:12])
        body = data.partition(b"\r\n\r\n")[2]
        document = json.loads(body) if body else None
        exchange.replies += 1
        self._world.note(f"{exchange.node} < {status} {len(data)} {crc32(data):08x}")
        self._told(exchange, status, document)
        if self._is_lost(exchange.node):
            return
        self._world.after(self._delay(), partial(self._deliver, socket, exchange, status, document))

    def _deliver(self, socket: Socket, exchange: Exchange, status: int, document: Any) -> None:
        if self.cut_off(exchange.node):
            return
        if not socket.closed:
            if exchange.done:
                self._world.after(self._delay(), socket.hang_up)
            else:
                self._idle.setdefault(socket.node, []).append(socket)
        exchange.finish(status, document)

    # -- nodes ---------------------------------------------------------------------------------------------------------------------------

    def cut_off(self, node: str) -> bool:
        """Nothing passes between the node and the server."""
        return self._cut_off_until.get(node, 0.0) > self._world.now

    def _is_lost(self, node: str) -> bool:
        """Whether a message that is sent now does not arrive."""
        if self.cut_off(node):
            self._world.meet("message to or from a node cut off")
            return True
        if self._random.random() < self.loss:
            self._world.meet("message lost")
            return True
        return False

    def partition(self, node: str, seconds: float) -> None:
        """Cut a node off for a time."""
        self._world.note(f"{node} cut off for {seconds:.3f} s")
        self._cut_off_until[node] = self._world.now + seconds

    def heal(self) -> None:
        """From now on everything arrives, once and soon."""
        self._cut_off_until.clear()
        self.loss = self.duplicate = self.long_share = 0.0

    def ask(self, node: str, method: str, target: str, then: Then, document: Any = None, body: bytes | None = None, timeout_s: float = 10.0,
            headers: str = "", about: Any = None) -> Exchange:
        """Send a request; `then(status, document)` is called once."""
        if body is None:
            body = b"" if document is None else json.dumps(document, separators=(",", ":")).encode()
        exchange = Exchange(node, method, target, body, then, about)
        exchange.number = self._asked[node] = self._asked.get(node, 0) + 1
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        data = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n".encode() + body
        exchange.timer = self._world.after(timeout_s, partial(self._give_up, exchange))
        self._send(exchange, data)
        if self.duplicate and self._random.random() < self.duplicate:
            self._world.meet("message doubled")
            self._send(exchange, data)
        return exchange

    def _give_up(self, exchange: Exchange) -> None:
        for socket in exchange.sockets:
            if not self.cut_off(exchange.node) and socket.exchange is exchange:
                self._world.after(self._delay(), socket.hang_up)
        exchange.finish(0, None)

    def _send(self, exchange: Exchange, data: bytes) -> None:
        if not self._is_lost(exchange.node):
            self._world.after(self._delay(), partial(self._arrive, exchange, data))

    def _arrive(self, exchange: Exchange, data: bytes) -> None:
        node = exchange.node
        if self.cut_off(node):
            return
        listener, selector = self._listener, self._selector
        if listener is None or selector is None or listener.closed:
            self.broken(exchange)
            return
        if exchange.number < self._arrived.get(node, 0):
            self._world.meet("message overtaken")
        self._arrived[node] = max(exchange.number, self._arrived.get(node, 0))
        self._world.note(f"{node} > {exchange.method} {exchange.target} {crc32(exchange.body):08x}")
        idle = self._idle.get(node, [])
        socket = idle.pop() if idle else None
        if socket is None or socket.closed:
            self._descriptors += 1
            socket = Socket(self, node, self._descriptors, selector)
            self._open[socket] = None
            listener.connect(socket)
        exchange.sockets.append(socket)
        socket.arrive(data, exchange)

    def forget(self, socket: Socket) -> None:
        """A connection that has closed."""
        self._open.pop(socket, None)

    def _delay(self) -> float:
        source = self._random
        if self.long_share and source.random() < self.long_share:
            self._world.meet("message late")
            return source.random() * self.long_delay_s
        return self.delay_s * (0.5 + source.random())


