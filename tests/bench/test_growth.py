"""The benches of matching: what catalogues are made of, who is asked, and what their tables count."""

import math
import sys

from tests.kit import ROOT, a_folder, same

sys.path.append(str(ROOT / "bench"))

import catalogues
import growth
import large
from catalogues import Step, Task
from growth import Answer, Asked

OWN = [{"name": f"own {n}", "description": f"does the thing {n}"} for n in range(30)]
OTHERS = [{"name": f"other {n % 40}", "description": f"makes some other thing {n}"} for n in range(50)]


def names(rows):
    return [row["name"] for row in rows]


def test_a_set_grows_by_samples_then_as_a_whole_then_among_distractors():
    same(catalogues.steps(48), [Step(7, 7, 5), Step(20, 20, 5), Step(48, 48, 1),
                                *(Step(48, size, 1) for size in (70, 200, 700, 2_000, 7_000))])
    same([step.skills for step in catalogues.steps(199)], [7, 20, 70, 199, 700, 2_000, 7_000])


def test_a_larger_sample_has_the_skills_of_a_smaller_one_and_other_draws_have_others():
    small, larger = catalogues.sampled(OWN, 7, 0), catalogues.sampled(OWN, 20, 0)
    same(larger[:7], small)
    same(len({*names(larger)}), 20)
    assert names(catalogues.sampled(OWN, 7, 1)) != names(small)


def test_distractors_come_after_the_own_skills_with_names_of_their_own():
    found = catalogues.mixed(OWN, OTHERS, 75)
    same(found[:30], OWN)
    same((len(found), len({*names(found)})), (75, 75))
    same(catalogues.mixed(OWN, OTHERS, 40), found[:40])
    assert any(name.endswith(" 2") for name in names(found))


def test_a_distractor_with_the_name_or_the_description_of_an_own_skill_is_left_out():
    twins = [{"name": "own 3", "description": "is something else"}, {"name": "twin", "description": "Does the  thing 4"}]
    found = catalogues.mixed(OWN, [*twins, *OTHERS], 80)
    same((len(found), len({*names(found)})), (80, 80))
    assert not {"twin", "own 3 2"} & {*names(found)} and "is something else" not in [row["description"] for row in found]


def test_where_distractors_run_out_halves_of_two_make_a_new_one():
    extra = catalogues.mixed(OWN, OTHERS, 90)[80:]
    same((len(extra), len({*names(extra)})), (10, 10))
    assert all(row["description"].startswith("makes some") and " thing " in row["description"] for row in extra)


def test_tasks_of_skills_that_are_not_there_are_not_asked_and_no_more_that_none_fits():
    tasks = [Task(f"{n} of {name}", frozenset([name, "elsewhere"])) for name in names(OWN) for n in range(4)]
    tasks += [Task(f"nothing {n}", frozenset()) for n in range(50)]
    found = catalogues.asked(tasks, frozenset({"own 1", "own 2"}), 100, 0)
    same(sorted(task.text for task in found if task.skills), sorted(f"{n} of own {k}" for k in (1, 2) for n in range(4)))
    same(sum(not task.skills for task in found), 8)
    same(len(catalogues.asked(tasks, frozenset(names(OWN)), 3, 0)), 6)
    same(catalogues.asked(tasks, frozenset(names(OWN)), 3, 0), catalogues.asked(tasks, frozenset(names(OWN)), 3, 0))


def test_figures_count_all_draws_of_a_size_together():
    right, second, missed = Answer(True, 1, True, True, 1.0), Answer(True, 2, True, False, 2.0), Answer(True, 0, False, False, 3.0)
    refused, fooled = Answer(False, 0, False, False, 4.0), Answer(False, 0, True, False, 5.0)
    size = growth.figures(Step(7, 7, 2), [Asked([right, second, refused], 1.0, 40_000_000), Asked([right, missed, fooled], 3.0, 50_000_000)])
    same(size, growth.Size(7, 7, 4, 2, 0.5, 0.75, 0.5, 0.5, 0.5, 3.0, 5.0, 2.0, 50.0))
    cells = growth.line("a set", size).removeprefix("a set").split()
    same(cells, ["7", "7", "4", "2", "50.0", "75.0", "50.0", "50.0", "50.0", "3.00", "5.00", "2.00", "50"])
    same(len(cells), len(growth.COLUMNS))


def test_where_nothing_was_asked_there_is_no_share():
    size = growth.figures(Step(7, 2_000, 1), [Asked([Answer(True, 1, False, False, 1.0)], 1.0, 1)])
    assert math.isnan(size.refused) and math.isnan(size.precision)
    same(growth.line("a set", size).split().count("-"), 2)
    same(growth.documents({"a set": [size]})["a set"][0]["refused"], None)
    same([panel.series[0].points for panel in growth.panels({"a set": [size]})][3:5], [[], []])


def test_a_catalogue_is_asked_as_the_router_decides():
    catalogue = a_folder() / "skills.jsonl"
    catalogues.write(catalogue, [{"name": "parrot", "description": "Feeds the parrot."}, {"name": "kettle", "description": "Boils the kettle."}])
    found = growth.ask(catalogue, [Task("feed my parrot", frozenset(["parrot"])), Task("zzz", frozenset())], False)
    same([(answer.inside, answer.place, answer.taken) for answer in found.answers][1], (False, 0, False))
    same((found.answers[0].inside, found.answers[0].place), (True, 1))
    assert found.peak_bytes > 1_000_000


def test_a_large_catalogue_is_judged_by_what_is_wanted_of_it():
    built = large.Built((10.0, 9.0), 400.0, [(4.0, 3.0), (2.0, 1.0), (3.0, 2.0)], [1.0], [0.5, 1.5])
    wanted = [(figure.unit, figure.median(), figure.reach) for figure in large.told(large.ROWS[-1], built, [(1.0, 300.0)], 100.0)]
    same(wanted, [("ms", 2.0, 6), ("ms", 3.0, 20), ("s", 10.0, 15), ("MB", 400.0, 500), ("s", 1.0, 2.0), ("s", 1.0, 2.0), ("ms", 1.0, 5.0)])
    unjudged = [figure.reach for figure in large.told(large.ROWS[0], built, [(1.0, 300.0)], 100.0)]
    same(unjudged, [0.5, 1.5, None, None, None, None, None])
