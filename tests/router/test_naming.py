"""Which skill a task names: looked for first, remembered afterwards."""

from typing import Any, cast

from router.work.submit import Submit, _named, parse_task
from skills.cache import Library
from state.clock import Clock
from state.errors import UnknownSkill
from state.log import Log
from tests.house import ECHO
from tests.kit import a_folder, refuses, same, written


def test_a_name_that_no_skill_has_is_not_kept_in_memory():
    nobody = cast(Any, None)
    library = Library(written(a_folder(), {f"echo/{name}": text for name, text in ECHO.items()}), Clock(), Log(Clock(), "error"))
    submit = Submit(nobody, library, nobody, nobody, nobody, nobody, nobody, nobody, turn=lambda: 0.0)
    submit.route(parse_task({"skill": "echo"}))
    kept = _named.cache_info().currsize
    for number in range(10):
        refuses(UnknownSkill, lambda n=number: submit.route(parse_task({"skill": f"{n}" + "x" * 100_000})))
    same(_named.cache_info().currsize, kept)
