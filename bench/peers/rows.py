"""The peers: a row for each peer and durability, all policy in columns. README.md says why each worker set-up is the one it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

REDIS_ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
REDIS_EVERYSEC = ("--appendonly", "yes", "--appendfsync", "everysec")
SNAPSHOTS = "nothing: Redis snapshots, up to an hour is lost"
EVERYSEC = "in the kernel: Redis appendfsync everysec, 1 s is lost"
ALWAYS = "on disk: Redis appendfsync always"


class Row(NamedTuple):
    """`packages` are distributions that must be installed; `service` is redis, beanstalkd or sqlite. `grade` is the peer's own default, its
    strongest, or something between. `workers` gives the commands of so many worker processes."""

    name: str
    packages: tuple[str, ...]
    module: str
    service: str
    server_arguments: tuple[str, ...]
    environment: dict[str, str]
    grade: str
    durable: str
    workers: Callable[[int], list[list[str]]]


def _rq(workers: int) -> list[list[str]]:
    return [["{python}", "-m", "rq.cli", "worker-pool", "bench", "-n", str(workers), "-u", "{address}", "-w", "rq.SimpleWorker", "-q"]]


def _huey(workers: int, poll: tuple[str, ...] = ()) -> list[list[str]]:
    return [["{python}", "-m", "huey.bin.huey_consumer", "with_huey.huey", "-w", str(workers), "-k", "process", "-n", "-q", *poll]]


def _huey_sqlite(workers: int) -> list[list[str]]:
    return _huey(workers, ("-d", "0.001", "-m", "0.001"))


def _dramatiq(workers: int) -> list[list[str]]:
    return [["{python}", "-m", "dramatiq", "with_dramatiq", "--processes", str(workers), "--threads", "8"]]


def _celery(workers: int) -> list[list[str]]:
    return [["{python}", "-m", "celery", "-A", "with_celery", "worker", "--concurrency", str(workers), "--prefetch-multiplier", "128",
             "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]]


def _beanstalk(workers: int) -> list[list[str]]:
    return [["{python}", "with_beanstalk.py", "{log}"] for _ in range(workers)]


def _on_redis(name: str, packages: tuple[str, ...], module: str, workers: Callable[[int], list[list[str]]]) -> list[Row]:
    return [Row(name, packages, module, "redis", arguments, {}, grade, durable, workers)
            for arguments, grade, durable in (((), "default", SNAPSHOTS), (REDIS_EVERYSEC, "between", EVERYSEC), (REDIS_ALWAYS, "strongest", ALWAYS))]


ROWS: tuple[Row, ...] = (
    *_on_redis("RQ", ("rq", "redis"), "with_rq", _rq),
    *_on_redis("Huey, Redis", ("huey", "redis"), "with_huey", _huey),
    *_on_redis("Dramatiq", ("dramatiq", "redis"), "with_dramatiq", _dramatiq),
    *_on_redis("Celery", ("celery", "redis"), "with_celery", _celery),
    Row("Huey, SQLite", ("huey",), "with_huey", "sqlite", (), {"BENCH_SQLITE_SYNC": "off"}, "between", "in the kernel: SQLite synchronous OFF",
        _huey_sqlite),
    Row("Huey, SQLite", ("huey",), "with_huey", "sqlite", (), {}, "default", "as SQLite was built: see beside", _huey_sqlite),
    Row("Huey, SQLite", ("huey",), "with_huey", "sqlite", (), {"BENCH_SQLITE_SYNC": "full"}, "strongest", "on disk: SQLite synchronous FULL",
        _huey_sqlite),
    Row("beanstalkd", ("greenstalk",), "with_beanstalk", "beanstalkd", (), {}, "default", "nothing: memory only", _beanstalk),
    Row("beanstalkd", ("greenstalk",), "with_beanstalk", "beanstalkd", ("-b", "{folder}"), {}, "between",
        "in the kernel: beanstalkd -b, synced each 50 ms", _beanstalk),
    Row("beanstalkd", ("greenstalk",), "with_beanstalk", "beanstalkd", ("-b", "{folder}", "-f0"), {}, "strongest",
        "on disk: beanstalkd -b -f0", _beanstalk),
)
