"""Configuration: `config/*.toml`, all of it optional, validated as a whole, hot-reloaded by file stamps. Values go down as frozen arguments.

A bad edit keeps the values that were in force and says so in the log, in `/ready` and in `python3 server.py check`. Secrets never stand in
these files: they come from a file or an environment variable (`read_secret`).
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from state import limits
from state.log import Log

SECRET_CHARACTERS_MIN = 16      # shorter secrets can be guessed over a fast network
LOOK_EVERY_S = 0.5              # at the files' stamps; the loop asks once a second, give or take


class ConfigError(Exception):
    """A configuration file that cannot be used: file, place and reason in one line."""


@dataclass(frozen=True)
class Server:
    """config/server.toml: who may reach the router, and how much it takes on."""

    allow_hosts: tuple[str, ...] = ()          # Host values accepted on loopback beside localhost and its addresses
    allow_origins: tuple[str, ...] = ()        # origins whose pages may call; none by default
    max_live_jobs: int = limits.LIVE_JOBS_MAX
    max_queued_bytes: int = limits.QUEUED_BYTES_MAX
    grace_s: float = 10.0                      # what the embedded worker gets on SIGTERM


@dataclass(frozen=True)
class Fleet:
    """config/fleet.toml: the rhythm that workers are told to keep."""

    preset: str = "swift"
    heartbeat_s: float = limits.HEARTBEAT_S
    lease_s: float = limits.LEASE_S
    stale_s: float = limits.STALE_S
    gone_s: float = limits.GONE_S
    poll_s: float = limits.POLL_S


PRESETS: dict[str, dict[str, float]] = {
    "swift": {},
    "calm": {"heartbeat_s": 60.0, "lease_s": 180.0, "stale_s": 180.0, "gone_s": 600.0},      # few, far workers: rows R18, R19, R21
}


@dataclass(frozen=True)
class Retention:
    """config/retention.toml: what is kept of finished jobs, whichever limit is reached first."""

    days: int = 7
    jobs: int = 1_000_000
    gigabytes: float = 10.0


@dataclass(frozen=True)
class Matching:
    """config/matching.toml: how sure the router must be before it starts a skill that nobody named."""

    min_confidence: float = 0.0                # 0: the matcher's own default
    candidates: int = 5                        # shown in decisions and refusals
    choose: str = "ask"                        # where a skill fits but it is not clear which: ask the client, or take the first
    fallback: str = ""                         # the skill that takes what none fits


@dataclass(frozen=True)
class Config:
    """All configuration in force."""

    server: Server = field(default_factory=Server)
    fleet: Fleet = field(default_factory=Fleet)
    retention: Retention = field(default_factory=Retention)
    matching: Matching = field(default_factory=Matching)


CHOOSE = ("ask", "first")
CANDIDATES_SHOWN_MAX = 50
SECTIONS: dict[str, type] = {"server": Server, "fleet": Fleet, "retention": Retention, "matching": Matching}


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    root: Path
    data: Path
    skills: Path
    config: Path
    worker: bool = True
    slots: int = 1
    worker_arguments: tuple[str, ...] = ()
    vectors: bool = True                       # whether matching uses word vectors


def load(folder: Path) -> Config:
    """Read and check every file; a folder or file that is missing means defaults. ConfigError names the first thing wrong."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.toml")) if folder.is_dir() else []:
        section = SECTIONS.get(path.stem)
        if section is None:
            raise ConfigError(f"{path}: no such section; there are {', '.join(SECTIONS)}")
        found[path.stem] = _section(section, path)
    config = Config(**found)
    _check(config, folder)
    return config


def _section(section: type, path: Path) -> Any:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: {error}") from error
    defaults = {f.name: getattr(section(), f.name) for f in fields(section)}
    if section is Fleet:
        values = {**PRESETS.get(str(values.get("preset")), {}), **values}
    for name, value in values.items():
        if name not in defaults:
            raise ConfigError(f"{path}: {name} is not a setting; there are {', '.join(defaults)}")
        values[name] = _typed(path, name, value, defaults[name])
    return section(**values)


def _typed(path: Path, name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"{path}: {name} must be a list of strings")
        return tuple(value)
    wanted = (int, float) if isinstance(default, float) else type(default)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise ConfigError(f"{path}: {name} must be {'a number' if isinstance(default, int | float) else 'text'}")
    if isinstance(default, int | float) and not 0 <= value < math.inf:
        raise ConfigError(f"{path}: {name} must be a number of 0 or more")
    return float(value) if isinstance(default, float) else value


def _check(config: Config, folder: Path) -> None:
    fleet = config.fleet
    if fleet.preset not in PRESETS:
        raise ConfigError(f"{folder / 'fleet.toml'}: preset must be one of {', '.join(PRESETS)}")
    if min(fleet.heartbeat_s, fleet.poll_s) < 0.1:
        raise ConfigError(f"{folder / 'fleet.toml'}: heartbeat_s and poll_s must be at least 0.1")
    if not fleet.heartbeat_s * 2 < fleet.lease_s or not fleet.lease_s <= fleet.stale_s < fleet.gone_s:
        raise ConfigError(f"{folder / 'fleet.toml'}: needs 2 * heartbeat_s < lease_s <= stale_s < gone_s")
    if config.matching.choose not in CHOOSE:
        raise ConfigError(f"{folder / 'matching.toml'}: choose must be one of {', '.join(CHOOSE)}")
    if not 1 <= config.matching.candidates <= CANDIDATES_SHOWN_MAX:
        raise ConfigError(f"{folder / 'matching.toml'}: candidates must be from 1 to {CANDIDATES_SHOWN_MAX}")
    if config.matching.min_confidence > 1:
        raise ConfigError(f"{folder / 'matching.toml'}: min_confidence must be between 0 and 1")


class ConfigFolder:
    """The configuration in force, and how it follows its files."""

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder, self._log = folder, log
        self.current = load(folder)
        self.problem: str | None = None            # why the newest edit is not in force
        self._stamps = self._stamp()
        self._looked_at = 0.0

    def _stamp(self) -> list[tuple[str, int, int]]:
        found = []
        for path in sorted(self._folder.glob("*.toml")) if self._folder.is_dir() else []:
            stat = os.stat(path)
            found.append((path.name, stat.st_mtime_ns, stat.st_size))
        return found

    def look(self, now: float, changed: Callable[[Config], None]) -> None:
        """Reload if a file has changed; `changed` is told the new values."""
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        try:
            stamps = self._stamp()
            if stamps == self._stamps:
                return
            self._stamps = stamps
            self.current = load(self._folder)
        except (ConfigError, OSError) as error:
            self.problem = str(error)
            self._log.error("config_kept", reason=str(error))
            return
        self.problem = None
        self._log.info("config_changed", folder=str(self._folder))
        changed(self.current)


def read_secret(path: Path) -> str:
    """The secret in a file: its text without surrounding white space. ConfigError if it cannot serve as one."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if len(secret) < SECRET_CHARACTERS_MIN or not secret.isascii() or not secret.isprintable():
        raise ConfigError(f"{path}: a secret is at least {SECRET_CHARACTERS_MIN} printable ASCII characters")
    return secret
