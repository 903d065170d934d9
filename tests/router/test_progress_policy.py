"""What follows when steps of a job have moved."""

from router.policy.progress import follow, job_output
from skills.bundle import SkillFile
from skills.compile import compile_skill
from state.records import Job, Step
from state.store import Move
from tests.kit import same

TOOL = b"def go(input):\n    return input\n"


def a_definition(steps):
    toml = 'version = "1"\n' + "\n".join(steps)
    files = {"SKILL.md": b"---\nname: s\ndescription: A skill.\n---\nBody.\n", "skill.toml": toml.encode(), "tool.py": TOOL}
    return compile_skill("s", {name: SkillFile(data) for name, data in files.items()})


def a_step(name, after=(), input="", kind='kind = "python"\nentry = "tool.py:go"'):
    lines = [f'[[steps]]\nid = "{name}"\n{kind}']
    if after:
        lines.append(f"after = {list(after)!r}")
    if input:
        lines.append(f"input = {input}")
    return "\n".join(lines)


DIAMOND = [a_step("a"), a_step("b", ["a"]), a_step("c", ["a"]), a_step("d", ["b", "c"], '{ b = "{{steps.b.output.x}}", n = "n={{input.n}}" }')]


def a_job(definition, states, state="processing", **changes):
    steps = tuple(Step(s.id, states[s.id], attempt=1 if states[s.id] in ("leased", "done") else 0,
                       output={"x": s.id} if states[s.id] == "done" else None) for s in definition.steps)
    return Job("j_1", state, "t", "s", "1", definition.sha256, {}, {"n": 7}, steps, 100, 0.0, 0.0)._replace(**changes)


def after(definition, states, *moves, state="processing", **changes):
    all_moves, fields = follow(a_job(definition, states, state, **changes), definition, moves, 50.0)
    return [(m.of, m.from_state, m.to) for m in all_moves], fields, all_moves


def test_steps_become_ready_when_all_that_they_depend_on_is_done():
    diamond = a_definition(DIAMOND)
    moves, _, _ = after(diamond, {"a": "leased", "b": "pending", "c": "pending", "d": "pending"}, Move("a", "leased", "done", "r", {"output": {}}))
    same(moves, [("a", "leased", "done"), ("b", "pending", "ready"), ("c", "pending", "ready")])
    moves, _, _ = after(diamond, {"a": "done", "b": "leased", "c": "leased", "d": "pending"},
                        Move("b", "leased", "done", "r", {"output": {"x": [1]}}))
    same(moves, [("b", "leased", "done")])


def test_templates_are_resolved_when_the_step_becomes_ready_and_keep_their_json_type():
    diamond = a_definition(DIAMOND)
    _, _, moves = after(diamond, {"a": "done", "b": "done", "c": "leased", "d": "pending"}, Move("c", "leased", "done", "r", {"output": {}}))
    same(moves[-1].fields["input"], {"b": "b", "n": "n=7"})


def test_an_absent_value_fails_the_step_and_the_job_with_its_pointer():
    definition = a_definition([a_step("a"), a_step("b", ["a"], '{ v = "{{steps.a.output.gone}}" }')])
    moves, fields, all_moves = after(definition, {"a": "leased", "b": "pending"}, Move("a", "leased", "done", "r", {"output": {"x": 1}}))
    same(moves[1:], [("b", "pending", "ready"), ("b", "ready", "failed"), ("job", "processing", "failed")])
    same((fields["error"]["code"], fields["error"]["step"]), ("template", "b"))
    assert all_moves[2].fields["error"]["pointer"]


def test_the_job_is_done_when_all_steps_are_and_its_output_is_the_last_steps():
    definition = a_definition([a_step("a"), a_step("b", ["a"])])
    moves, fields, _ = after(definition, {"a": "done", "b": "leased"}, Move("b", "leased", "done", "r", {"output": {"y": 2}}))
    same(moves[-1], ("job", "processing", "done"))
    same(fields["output"], {"y": 2})


def test_several_ends_give_a_map_by_step_id():
    definition = a_definition([a_step("a"), a_step("b", ["a"]), a_step("c", ["a"])])
    same(job_output(definition, {"a": 1, "b": 2, "c": 3}), {"b": 2, "c": 3})


def test_a_failed_step_skips_what_has_not_begun_and_cancels_what_runs():
    diamond = a_definition(DIAMOND)
    error = {"code": "step_raised", "message": "m", "retryable": False}
    moves, fields, _ = after(diamond, {"a": "done", "b": "leased", "c": "leased", "d": "pending"},
                             Move("b", "leased", "failed", "r", {"error": error}))
    same(set(moves[1:-1]), {("c", "leased", "cancelled"), ("d", "pending", "skipped")})
    same(moves[-1], ("job", "processing", "failed"))
    same(fields["error"], {**error, "step": "b"})


def test_a_job_waits_when_nothing_is_ready_or_leased_and_goes_on_when_something_is():
    definition = a_definition([a_step("a")])
    moves, _, _ = after(definition, {"a": "leased"}, Move("a", "leased", "waiting", "retry", {"waiting_for": "retry", "due_at": 60.0}))
    same(moves[-1], ("job", "processing", "waiting"))
    moves, _, _ = after(definition, {"a": "waiting"}, Move("a", "waiting", "ready", "due"), state="waiting")
    same(moves[-1], ("job", "waiting", "processing"))


def test_a_step_of_a_kind_that_this_version_cannot_run_waits_and_so_does_its_job():
    definition = a_definition([a_step("a", kind='kind = "prompt"')])
    moves, _, all_moves = after(definition, {"a": "pending"}, state="queued")
    same(moves, [("a", "pending", "ready"), ("a", "ready", "waiting"), ("job", "queued", "waiting")])
    same(all_moves[1].fields["waiting_for"], "kind")


def test_a_paused_job_whose_steps_end_stays_paused_and_ends_when_it_is_resumed():
    definition = a_definition([a_step("a")])
    moves, fields, _ = after(definition, {"a": "leased"}, Move("a", "leased", "done", "r", {"output": 1}), state="paused", paused_from="processing")
    same((moves, fields), ([("a", "leased", "done")], {}))
    moves, fields, _ = after(definition, {"a": "done"}, Move("job", "paused", "processing", "resumed"), state="paused", paused_from="processing")
    same(moves, [("job", "paused", "processing"), ("job", "processing", "done")])


def test_a_queued_job_stays_queued_until_a_step_is_granted():
    definition = a_definition([a_step("a"), a_step("b", ["a"])])
    same(after(definition, {"a": "ready", "b": "pending"}, state="queued")[0], [])
