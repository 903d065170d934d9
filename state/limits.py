"""Limits of the whole house: each has a name that ends in its unit, a reason, and a check against its neighbours.

Numbers that an operator may change are defaults here and rows in `router/config.py`; a number that belongs to one module alone stands at the
top of that module.
"""

KIB = 1024
MIB = 1024 * KIB

# -- HTTP -----------------------------------------------------------------------------------------------------------------------
HEAD_BYTES_MAX = 32 * KIB             # nginx and Node take 16-32 kB; a bearer token and trace headers need 2
TARGET_BYTES_MAX = 8 * KIB            # what browsers and proxies agree on
HEADER_FIELDS_MAX = 100               # more is an attack or a loop of proxies
JSON_BODY_BYTES_MAX = 2 * MIB         # parsed on the loop: 2 MiB is about 20 ms; larger values go the artifact way
ARTIFACT_BYTES_MAX = 8 * 1024 * MIB   # streamed to disk, never in memory
HEAD_S_MAX = 10.0                     # first byte to end of head
BODY_BYTES_PER_S_MIN = 1 * KIB        # a slower body is 408 after BODY_GRACE_S
BODY_GRACE_S = 15.0                   # what a slow body gets before its rate counts
IDLE_S_MAX = 75.0                     # between requests of one connection; longer than the longest park, so that a poller never races it
PARK_S_MAX = 60.0                     # `wait` is cut to this
WRITE_STALL_S_MAX = 30.0              # a reader that takes nothing for so long is closed
WRITE_BUFFER_BYTES_MAX = 4 * MIB      # unsent bytes of one connection before its stream pauses
PIPELINE_PER_TURN_MAX = 64            # requests of one connection handled in one turn, so that a pipeline cannot starve its neighbours
DESCRIPTORS_RESERVED = 256            # files, pipes and helpers beside connections

# -- Jobs -------------------------------------------------------------------------------------------------------------------------
BATCH_ITEMS_MAX = 1_000               # a batch is one request: about 50 ms of work at most
TASK_CHARACTERS_MAX = 20_000          # a task is a sentence or a page, a document belongs in the input
VALUE_INLINE_BYTES_MAX = 64 * KIB     # larger inputs and outputs are artifacts, so that documents and commands stay small
LIVE_JOBS_MAX = 1_000_000             # about 3 GB of memory
QUEUED_BYTES_MAX = 4 * 1024 * MIB     # inputs of jobs in memory: of those that live and, for about a minute, of those that have ended
PRIORITY_MAX = 1_000
PRIORITY_DEFAULT = 100
AGEING_S = 0.1                        # a point of priority is worth this much waiting: 1,000 points are overtaken after 100 s
HISTORY_ENTRIES_MAX = 200             # of a job in its document; older middle entries are in its events
HISTORY_FIRST_KEPT = 50
FEEDBACK_MAX = 100_000                # more would be no more read by anybody; about 100 MB of memory. Then the oldest goes
FEEDBACK_CHARACTERS_MAX = 50_000_000  # of their tasks and notes: 100,000 of 500
FEEDBACK_NOTE_CHARACTERS_MAX = 2_000  # a remark
FEEDBACK_KEYS_MAX = 100               # idempotency keys that the feedback on one job remembers: each repeats in every change of it
IDEMPOTENCY_KEYS_MAX = 1_000_000
IDEMPOTENCY_S = 24 * 3600.0
LOSSES_MAX = 3                        # leases lost before a step fails with worker_lost: a step that kills its worker must not go round for ever
UNCHARGED_MAX = 100                   # grants without an end that charge nobody (never received, the server died), before it fails too
BACKOFF_S_MAX = 300.0

# -- The fleet --------------------------------------------------------------------------------------------------------------------
HEARTBEAT_S = 10.0
LEASE_S = 30.0                        # two lost heartbeats and slack
STALE_S = 30.0
GONE_S = 600.0
POLL_S = 5.0
PREFETCH_MAX = 256                    # leases a worker may hold beyond what it runs
LEASE_OVER_TIMEOUT_S = 10.0           # a lease ends this long after its attempt's timeout, renewed or not
WORKERS_MAX = 20_000
WORKER_FORGOTTEN_S = 24 * 3600.0
STEP_TIMEOUT_S = 300.0                # of an attempt that names none
STEP_TIMEOUT_S_MAX = 7 * 24 * 3600.0

# -- Skills ---------------------------------------------------------------------------------------------------------------------
BUNDLE_FILES_MAX = 512                # the public format's own limits
BUNDLE_BYTES_MAX = 16 * MIB
STEPS_MAX = 256                       # of one skill: a graph that a person can still read

assert HISTORY_FIRST_KEPT < HISTORY_ENTRIES_MAX
assert LEASE_S > 2 * HEARTBEAT_S and GONE_S > STALE_S >= LEASE_S
assert IDLE_S_MAX > PARK_S_MAX > POLL_S
assert VALUE_INLINE_BYTES_MAX * 2 < JSON_BODY_BYTES_MAX
assert FEEDBACK_CHARACTERS_MAX > TASK_CHARACTERS_MAX + FEEDBACK_NOTE_CHARACTERS_MAX
