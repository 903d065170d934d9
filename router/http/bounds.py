"""The limits of one engine: defaults are those of the house (`state.limits`), tests pass smaller ones.

Also the machine's own limit: how many connections the process may hold open.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

from state import limits

CONNECTIONS_MAX = 200_000             # where the machine sets no limit: 20 kB each are 4 GB
SWEEP_S = 1.0                         # how often all connections are looked over for time limits: 10,000 take about 1 ms
LINGER_S_MAX = 2.0                    # after a last reply, until the client has seen it
LINGER_BYTES_MAX = 1 * limits.MIB     # of a refused body, read and dropped so that the reply is not lost to a reset
DISCARD_BYTES_MAX = 64 * limits.KIB   # a refused body up to this is read and dropped, and the connection goes on
PENDING_BYTES_MAX = 64 * limits.KIB   # pipelined bytes kept behind a request that is not answered yet; above a whole head
HANDSHAKE_S_MAX = 10.0                # TLS
UPLOAD_BACKLOG_BYTES_MAX = 4 * limits.MIB    # of an upload not yet written; its socket is not read meanwhile
HEAD_CACHE_ENTRIES_MAX = 1_024        # parsed heads kept by their bytes: a keep-alive client sends the same head again and again
HEAD_CACHE_BYTES_MAX = 2 * limits.KIB # a longer head is parsed each time, so that the cache stays under 2 MiB


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Every bound of an engine. `connections_max` of None is derived from the descriptor limit."""

    head_bytes_max: int = limits.HEAD_BYTES_MAX
    target_bytes_max: int = limits.TARGET_BYTES_MAX
    header_fields_max: int = limits.HEADER_FIELDS_MAX
    artifact_bytes_max: int = limits.ARTIFACT_BYTES_MAX
    head_s_max: float = limits.HEAD_S_MAX
    body_bytes_per_s_min: int = limits.BODY_BYTES_PER_S_MIN
    body_grace_s: float = limits.BODY_GRACE_S
    idle_s_max: float = limits.IDLE_S_MAX
    write_stall_s_max: float = limits.WRITE_STALL_S_MAX
    write_buffer_bytes_max: int = limits.WRITE_BUFFER_BYTES_MAX
    pipeline_per_turn_max: int = limits.PIPELINE_PER_TURN_MAX
    connections_max: int | None = None
    sweep_s: float = SWEEP_S
    linger_s_max: float = LINGER_S_MAX
    linger_bytes_max: int = LINGER_BYTES_MAX
    discard_bytes_max: int = DISCARD_BYTES_MAX
    pending_bytes_max: int = PENDING_BYTES_MAX
    handshake_s_max: float = HANDSHAKE_S_MAX
    upload_backlog_bytes_max: int = UPLOAD_BACKLOG_BYTES_MAX
    head_cache_entries_max: int = HEAD_CACHE_ENTRIES_MAX
    too_large_hint: str | None = None              # said with a 413: the house knows where large values go


def connection_cap() -> int:
    """Connections that the process may hold: the soft descriptor limit, raised to the hard one, less what files and helpers need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + limits.DESCRIPTORS_RESERVED
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    available = CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else soft - limits.DESCRIPTORS_RESERVED
    return max(16, min(CONNECTIONS_MAX, available))


assert PENDING_BYTES_MAX > limits.HEAD_BYTES_MAX
