"""The engine behind TLS: handshakes on the loop, the same requests and replies, and those who do not speak it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading

from router.http.bounds import EngineLimits
from router.http.messages import Park, Response, Stream
from tests.http.rig import PATIENCE_S, Client, House, served
from tests.kit import Skip, a_folder, same


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's, client's) of a new self-signed certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Skip("there is no openssl command to make a certificate with")
    folder = a_folder()
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=certificate)


def test_requests_over_tls_are_as_without() -> None:
    server, trusting = contexts()
    house = House()
    large = bytes(range(256)) * 40_000
    pieces = [b"one", b"two", None]
    house.routes["/large"] = lambda _: Response(200, large)
    house.routes["/size"] = lambda request: Response(200, str(len(request.body)).encode())
    house.routes["/stream"] = lambda _: Stream(200, (), "text/plain", "s", lambda: pieces.pop(0))
    house.routes["/park"] = lambda request: Park("k", request.received + 0.02, lambda _: Response(200, b"parked"))
    with served(house, ssl_context=server) as port, Client(port, trusting) as client:
        same(client.get("/hello").reply().json(), {"hello": "GET"})
        client.post("/size", large[:900_000]).get("/large").get("/stream").get("/park").get("/hello")
        same(client.reply().body, b"900000")
        assert client.reply().body == large
        same([client.reply().body for _ in range(3)], [b"onetwo", b"parked", b'{"hello":"GET"}'])
        same(client.get("/hello", Connection="close").reply().status, 200)
        same(client.socket.recv(100), b"")            # an orderly end of TLS, not a torn one
        assert not house.lines


def test_a_refused_body_over_tls_still_gets_its_reply() -> None:
    server, trusting = contexts()
    house = House()
    house.admissions["/small"] = lambda _: 1
    with served(house, ssl_context=server) as port, Client(port, trusting) as client:
        client.send("POST /small HTTP/1.1\nHost: a\nContent-Length: 300000\n\n").send(bytes(100_000))
        same(client.reply().code, "body_too_large")


def test_a_refusal_over_tls_arrives_also_when_unread_bytes_are_there_already() -> None:
    server, trusting = contexts()
    house = House()
    sent = threading.Event()
    house.admissions["/small"] = lambda _: 1 if sent.wait(PATIENCE_S) else 0     # the loop stands still until all is sent
    with served(house, ssl_context=server) as port:
        for _ in range(5):
            sent.clear()
            with Client(port, trusting) as client:
                client.send("POST /small HTTP/1.1\nHost: a\nContent-Length: 300000\n\n").send(bytes(60_000))
                sent.set()
                house.on_loop(lambda: None)
                client.send(bytes(60_000))            # fails where the connection was reset
                same(client.reply().code, "body_too_large")


def test_a_slow_or_plain_client_of_a_tls_port_holds_nobody_up() -> None:
    server, trusting = contexts()
    house = House()
    with served(house, EngineLimits(handshake_s_max=0.1, sweep_s=0.02), server) as port, Client(port) as silent, Client(port) as plain:
        plain.get("/hello")
        with Client(port, trusting) as client:
            assert client.is_open()
        plain.rest()
        assert silent.is_closed()
        house.settled(lambda: house.engine.stats.connections == 0)
        same(house.engine.stats.requests, 1)


def test_a_half_closed_tls_client_gets_its_replies() -> None:
    server, trusting = contexts()
    with served(House(), ssl_context=server) as port, Client(port, trusting) as client:
        client.send("GET /hello HTTP/1.1\nHost: a\n\n" * 100)
        for _ in range(100):
            same(client.reply().status, 200)
