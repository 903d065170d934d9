"""The gate: who may come in. Host and Origin first (pages in a browser must not reach a local router), then the secret, then the kind of body.

Secrets are compared in constant time and never logged. Without a configured secret, which only a loopback address allows, nobody is asked for one.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass

from router.api.routes import Route
from router.config import Server
from router.http.messages import Request
from state.errors import Forbidden, OriginNotAllowed, Unauthorized, UnsupportedMediaType, WrongHost

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})      # what nearly every request says
FORM = "application/x-www-form-urlencoded"         # what curl -d says unless told otherwise


@dataclass(frozen=True)
class Secrets:
    """`client` opens everything, `worker` and `embedded` the fleet and content routes; "" where there is none."""

    client: str = ""
    worker: str = ""
    embedded: str = ""


class Gate:
    """Checks a request before its body is read, and its body's kind before it is parsed."""

    def __init__(self, secrets: Secrets, loopback: bool) -> None:
        self._secrets, self._loopback = secrets, loopback

    def admit(self, request: Request, route: Route, config: Server) -> None:
        """WrongHost, OriginNotAllowed, Unauthorized or Forbidden unless the request may come in."""
        host = request.headers.get("host", "")
        if self._loopback and host and not _is_ours(host, config.allow_hosts):
            raise WrongHost(f"this router listens on loopback and is not {host[:100]}", hint="add the name to allow_hosts in config/server.toml")
        origin = request.headers.get("origin")
        if origin is not None and origin not in config.allow_origins and not _same_origin(origin, host):
            raise OriginNotAllowed(f"pages of {origin[:100]} may not call this router", hint="add the origin to allow_origins in config/server.toml")
        if route.role != "open" and self._secrets.client:
            self._authorize(request, route.role)

    def _authorize(self, request: Request, role: str) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        token = given.strip().encode("latin-1", "replace") if scheme.lower() == "bearer" else b""
        if hmac.compare_digest(token, self._secrets.client.encode()):
            return
        fleet = any(secret and hmac.compare_digest(token, secret.encode()) for secret in (self._secrets.worker, self._secrets.embedded))
        if fleet and role == "fleet":
            return
        if fleet:
            raise Forbidden("a worker's secret opens the fleet and content routes only")
        raise Unauthorized("this route needs Authorization: Bearer with the secret" if not token else "the secret is wrong")


def check_json_body(request: Request) -> None:
    """UnsupportedMediaType unless the body says, or plainly is, JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind or kind == "application/json" or kind.endswith("+json"):
        return
    if kind == FORM and (not request.body or request.body.lstrip()[:1] in (b"{", b"[")):
        return
    raise UnsupportedMediaType(f"this route takes JSON, not {kind[:100]}", hint="send Content-Type: application/json")


def _name(host: str) -> str:
    """The name of a Host value, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_loopback(name: str) -> bool:
    """True for names and addresses that mean this machine, whoever resolves them."""
    try:
        return name in LOCAL_NAMES or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    """A Host value that a local client or a configured name has; any other may be a page that had its own name lead here."""
    name = _name(host)
    return is_loopback(name) or host in allowed or name in allowed


def _same_origin(origin: str, host: str) -> bool:
    """A page that this very server served, on a host that was let in."""
    return bool(host) and origin in (f"http://{host}", f"https://{host}")
