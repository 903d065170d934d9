"""Submit: from a task in plain words to a queued job. Match, check the input, pin the definition, create.

What blocks (making a definition durable, storing a large input) is gathered in an `Admission` and done on a helper thread before the job is created.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from fleet.values import references, spill
from router.config import CHOOSE, Config, Matching
from router.policy.decision import Decision
from router.policy.progress import RUNNABLE, follow
from router.policy.routing import choose, query_of
from router.work.definitions import Definitions
from skills.audience import AUDIENCE_CHARACTERS_MAX, LANGUAGE, NOT_TAKEN, Scope
from skills.cache import Library
from skills.catalogue import Catalogue
from skills.definition import Definition, StepDef
from skills.match import Query
from state.content import Content
from state.errors import InvalidInput, InvalidTask, NoSkillMatches, QueueFull, ShuttingDown, SkillDisabled, SkillUnclear, UnknownArtifact
from state.limits import PRIORITY_DEFAULT, PRIORITY_MAX, TASK_CHARACTERS_MAX, VALUE_INLINE_BYTES_MAX
from state.records import Job, Step, encode
from state.store import Store

DEADLINE_S_MAX = 366 * 24 * 3600.0
KEY_CHARACTERS_MAX = 255
LABELS_MAX = 100
DECISIONS_MAX = 2_048          # remembered, some 6 kB each and up to 40 kB of a long task
WHY = {"match": "matched {}", "choose": "{} is the first that may fit", "none": "{} takes what no skill fits"}      # in the history of a job
EVERYBODY = Scope()
REFERENCE_BYTES_MIN = 64       # a shorter request cannot name an artifact


class Task(NamedTuple):
    """What a client asks. `key` is an idempotency key or "", `choose` "first", "ask" or "" for what the operator has set, `target` a worker's name
    or ""."""

    task: str
    input: Any
    skill: str
    priority: int
    deadline_s: float
    key: str
    scope: Scope = Scope()
    choose: str = ""
    target: str = ""


@dataclass
class Admission:
    """A task that has been judged and may become a job. `own`: what blocks concerns this task, not only the definition it shares with others."""

    task: Task
    definition: Definition
    decision: Decision
    document: dict[str, Any]                                # of the decision; one for all jobs that it is made for
    bytes: int
    own: bool
    blocking: list[Callable[[], None]] = field(default_factory=list)
    refused: UnknownArtifact | None = None                  # found while blocking


def parse_task(value: Any, at: str = "") -> Task:
    """A Task from a JSON value; InvalidTask with the pointer of the first wrong member. Unknown members are ignored."""
    if not isinstance(value, dict):
        raise InvalidTask("a task is an object such as {\"task\": \"...\"}", pointer=at)
    task, skill = value.get("task", ""), value.get("skill", "")
    for name, text in (("task", task), ("skill", skill), ("idempotency_key", value.get("idempotency_key", ""))):
        if not isinstance(text, str):
            raise InvalidTask(f"{name} must be text", pointer=f"{at}/{name}")
    if len(task) > TASK_CHARACTERS_MAX:
        raise InvalidTask(f"task has {len(task)} characters, {TASK_CHARACTERS_MAX} are allowed", pointer=f"{at}/task",
                          hint="put documents into the input")
    if not task.strip() and not skill:
        raise InvalidTask("task must say what is to be done, or skill must name a skill", pointer=f"{at}/task")
    priority = value.get("priority", PRIORITY_DEFAULT)
    if type(priority) is not int or not 0 <= priority <= PRIORITY_MAX:
        raise InvalidTask(f"priority must be an integer from 0 to {PRIORITY_MAX}", pointer=f"{at}/priority")
    deadline_s = value.get("deadline_s", 0)
    if type(deadline_s) not in (int, float) or not 0 <= deadline_s <= DEADLINE_S_MAX or (deadline_s == 0 and "deadline_s" in value):
        raise InvalidTask(f"deadline_s must be a number of seconds above 0, at most {DEADLINE_S_MAX:.0f}", pointer=f"{at}/deadline_s")
    key = str(value.get("idempotency_key", ""))
    if len(key) > KEY_CHARACTERS_MAX:
        raise InvalidTask(f"idempotency_key has {len(key)} characters, {KEY_CHARACTERS_MAX} are allowed", pointer=f"{at}/idempotency_key")
    choose = value.get("choose", "")
    if choose not in ("", *CHOOSE):
        raise InvalidTask(f"choose must be one of {', '.join(CHOOSE)}", pointer=f"{at}/choose")
    return Task(task, value.get("input", {}), skill, priority, float(deadline_s), key, _scope(value, at), choose)


def _scope(value: Mapping[str, Any], at: str) -> Scope:
    """What a task says of itself beside its words; InvalidTask."""
    tenant, language, labels = value.get("tenant", ""), value.get("language", ""), value.get("labels", [])
    if not isinstance(tenant, str) or len(tenant) > AUDIENCE_CHARACTERS_MAX:
        raise InvalidTask(f"tenant must be text of up to {AUDIENCE_CHARACTERS_MAX} characters", pointer=f"{at}/tenant")
    primary = language.partition("-")[0].lower() if isinstance(language, str) else " "
    if primary and not LANGUAGE.fullmatch(primary):
        raise InvalidTask('language must be a language tag such as "de" or "pt-BR"', pointer=f"{at}/language")
    if not isinstance(labels, list) or len(labels) > LABELS_MAX or not all(isinstance(x, str) and len(x) <= AUDIENCE_CHARACTERS_MAX for x in labels):
        raise InvalidTask(f"labels must be a list of up to {LABELS_MAX} texts of up to {AUDIENCE_CHARACTERS_MAX} characters", pointer=f"{at}/labels")
    return Scope(tenant, primary, frozenset(labels)) if tenant or primary or labels else EVERYBODY


class Submit:
    """Admits tasks. `live()` counts jobs that have not ended, `leaving()` is true while the server shuts down, deadlines go by `wall()`; `turn()` is
    the moment at which the loop's turn began."""

    def __init__(self, store: Store, library: Library, definitions: Definitions, content: Content, config: Callable[[], Config],
                 live: Callable[[], int], leaving: Callable[[], bool], wall: Callable[[], float], turn: Callable[[], float]) -> None:
        self._store, self._library, self._definitions, self._content = store, library, definitions, content
        self._config, self._live, self._leaving, self._wall, self._turn = config, live, leaving, wall, turn
        self._looked: dict[str, Definition] = {}
        self._looked_at = -1.0
        self._catalogue: Catalogue | None = None
        self._decided: dict[tuple[str, Scope, str], tuple[Decision, dict[str, Any]]] = {}
        self._decided_by: tuple[Catalogue, Matching] | None = None

    # -- judging --------------------------------------------------------------------------------------------------------------------

    def open_for(self, more: int) -> None:
        """Raise the refusal if the server takes no new jobs now: it leaves, its disk refuses, or it holds as much as it may."""
        if self._leaving():
            raise ShuttingDown("the server is stopping and takes no new jobs", retry_after_s=2)
        refusal = self._store.engine.refusal()
        if refusal is not None:
            raise refusal
        limits, live = self._config().server, self._live()
        if live + more > limits.max_live_jobs:
            raise QueueFull(f"{live} jobs are live, {limits.max_live_jobs} are allowed", retry_after_s=5)
        if self._store.bytes_held > limits.max_queued_bytes:
            raise QueueFull(f"jobs in memory hold {self._store.bytes_held} bytes, {limits.max_queued_bytes} are allowed", retry_after_s=5)

    def route(self, task: Task) -> tuple[Decision, Definition | None]:
        """Which skill would run it, and why. UnknownSkill and SkillBroken for a named skill that cannot be used."""
        decision, _, definition = self._route(task)
        return decision, definition

    def _route(self, task: Task) -> tuple[Decision, dict[str, Any], Definition | None]:
        """The same with the decision's document."""
        if task.skill:
            definition = self._skill(task.skill)
            return _named(task.skill), _named_document(task.skill), definition          # of skills that are there only: these are remembered
        catalogue = self.catalogue()
        decision, document = self._decide(catalogue, task)
        return decision, document, catalogue.skills[decision.target] if decision.dispatch else None

    def _decide(self, catalogue: Catalogue, task: Task) -> tuple[Decision, dict[str, Any]]:
        """The decision and its document, remembered as long as catalogue and settings are the same: a batch says the same words a thousand times."""
        matching = self._config().matching
        by = self._decided_by
        if by is None or by[0] is not catalogue or by[1] is not matching or len(self._decided) >= DECISIONS_MAX:
            self._decided_by = catalogue, matching
            self._decided.clear()
        key = (task.task, task.scope, task.choose)
        found = self._decided.get(key)
        if found is None:
            decision = choose(catalogue, task.task, matching, task.scope, task.choose)
            found = self._decided[key] = decision, decision.document()
        return found

    def query(self, task: Task) -> Query:
        """What is to be ranked before the task can be routed."""
        return query_of(self.catalogue(), task.task, task.scope)

    def catalogue(self) -> Catalogue:
        """The library as it is in this turn: what was ranked at its beginning is decided by the same catalogue at its end."""
        self._begin_turn()
        if self._catalogue is None:
            self._catalogue = self._library.current()
        return self._catalogue

    def _begin_turn(self) -> None:
        """Forget what was looked at in an earlier turn: what is in a turn was sent before it began."""
        turn = self._turn()
        if turn != self._looked_at:
            self._looked_at, self._catalogue = turn, None
            self._looked.clear()

    def _skill(self, name: str) -> Definition:
        """A skill, its files looked at once a turn."""
        self._begin_turn()
        found = self._looked.get(name)
        if found is None:
            found = self._looked[name] = self._library.skill(name)
        state = found.match.get("state")
        if state in NOT_TAKEN:
            raise SkillDisabled(f"skill {name} is {state}: it takes no new jobs", pointer="/skill", hint="[match] state in its skill.toml says so")
        return found

    def admit(self, task: Task, size: int) -> Admission:
        """Judge a task of at least its input's `size` in bytes; NoSkillMatches, SkillUnclear or InvalidInput where it cannot become a job."""
        decision, document, definition = self._route(task)
        if definition is None:
            raise _undecided(decision)
        check_input(definition, task.input, decision)
        large = size > VALUE_INLINE_BYTES_MAX and len(encode(task.input)) > VALUE_INLINE_BYTES_MAX
        admission = Admission(task, definition, decision, document, size, large)
        if large or not self._definitions.is_pinned(definition):       # while a helper works, a sweep may find that nobody uses it
            files = self._library.files(definition)
            admission.blocking.append(lambda: self._definitions.pin(definition, files))
        named_content = [r.sha256 for r in references(task.input)] if size > REFERENCE_BYTES_MIN else []
        if named_content:
            admission.own = True
            admission.blocking.append(lambda: self._find(admission, named_content))
        if large:
            admission.blocking.append(lambda: self._store_input(admission))
        return admission

    def _find(self, admission: Admission, named_content: list[str]) -> None:
        """Refuse an input that names content which is not here; what is here is kept from the sweep (blocking)."""
        for sha256 in named_content:
            try:
                self._content.touch(sha256)
            except UnknownArtifact as fault:
                admission.refused = UnknownArtifact(f"the input names sha256:{sha256}, which is not here", pointer="/input", hint=fault.hint)

    def _store_input(self, admission: Admission) -> None:
        """Large values of the input become artifacts (blocking)."""
        admission.task = admission.task._replace(input=spill(admission.task.input, self._content.put))

    # -- creating -------------------------------------------------------------------------------------------------------------------

    def create(self, admission: Admission, by: str, scope: str, key: str, digest: str, status: int, traceparent: str) -> Job:
        """The queued job; the caller is in a unit and has done what blocks."""
        if admission.refused is not None:
            raise admission.refused
        definition, task = admission.definition, admission.task
        self._definitions.pinned(definition)
        now = self._store.now()
        deadline = round(self._wall() + task.deadline_s, 3) if task.deadline_s else 0.0
        job = Job(self._store.ids.job(), "queued", task.task, definition.name, definition.version, definition.sha256, admission.document, task.input,
                  first_steps(definition, now), task.priority, now, now, deadline_at=deadline, target=task.target,
                  traceparent=traceparent, bytes=admission.bytes, keys=((scope, key, digest, now, status),) if key else ())
        why = admission.decision.reason if task.skill else WHY[admission.decision.rule].format(definition.name)
        job = self._store.create_job(job, why, by)
        if all(rule.after or _plain(rule) for rule in definition.steps):
            return job                           # nothing follows from its birth
        moves, fields = follow(job, definition, [], now)
        return self._store.move_job(job.id, moves, by, **fields) if moves else job


def _undecided(decision: Decision) -> NoSkillMatches | SkillUnclear:
    """What a client is told that nobody takes its task."""
    candidates = decision.facts["candidates"]
    if decision.rule == "choose":
        options = set(decision.facts["options"])
        return SkillUnclear(decision.reason, candidates=[each for each in candidates if each["skill"] in options],
                            hint='send it again with "skill", or with "choose": "first"')
    return NoSkillMatches(decision.reason, candidates=candidates, unknown=decision.facts["unknown"],
                          hint='name one with "skill", or say more; GET /skills lists what there is')


@lru_cache(maxsize=4096)
def _named(skill: str) -> Decision:
    return Decision(True, "named", f"the task names skill {skill}", target=skill)


@lru_cache(maxsize=4096)
def _named_document(skill: str) -> dict[str, Any]:
    """One for all jobs of a skill: a million queued jobs would hold a million of them."""
    return _named(skill).document()


def first_steps(definition: Definition, now: float) -> tuple[Step, ...]:
    """Steps of a new job: those that wait for nothing and need no template are born ready."""
    return tuple([Step(rule.id, "ready", ready_at=now) if not rule.after and _plain(rule) else Step(rule.id, "pending") for rule in definition.steps])


def _plain(rule: StepDef) -> bool:
    """Can be run as it stands, without a template."""
    return rule.input is None and rule.kind in RUNNABLE and not rule.compiled.references


def check_input(definition: Definition, value: Any, decision: Decision) -> None:
    """InvalidInput with every failure, and why this skill was chosen, if the input does not fit its schema."""
    if definition.input is None:
        return
    failures = definition.input.errors(value)
    if failures:
        errors: list[Mapping[str, Any]] = [{"pointer": f"/input{f.pointer}", "keyword": f.keyword, "message": f.message} for f in failures]
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        detail = f"the input does not fit skill {definition.name}: {first['pointer']} {first['message']}{more}"
        raise InvalidInput(detail, pointer=str(first["pointer"]), errors=errors, skill=definition.name,
                           decision={"rule": decision.rule, "reason": decision.reason}, hint=f"GET /skills/{definition.name} shows the schema")


def digest_of(body: bytes) -> str:
    """What two idempotent requests are compared by."""
    return hashlib.sha256(body).hexdigest()
