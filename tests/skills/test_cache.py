"""Promises of the library and its catalogue."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from skills import cache
from skills.bundle import SkillFile, describe
from skills.cache import CHECK_S, EXACT_FILES_MAX, FIRST_S
from skills.compile import compile_skill
from skills.definition import Definition
from skills.match import Query
from state.errors import CatalogueLoading, SkillBroken, UnknownSkill
from tests.kit import a_folder, refuses, same, written
from tests.skills.builders import TOML, AClock, Disk, a_library, a_skill, later, versions


def test_an_edit_counts_on_the_next_request_and_compiles_exactly_once() -> None:
    root, clock = a_folder(), AClock()
    a_skill(root, "one")
    a_skill(root, "two")
    library = a_library(root, clock=clock)
    same((versions(library.current()), library.compiles), ({"one": "1", "two": "1"}, 2))
    for number in range(2, 12):
        a_skill(root, "one", str(number))
        later(clock)
        same((library.current().skills["one"].version, library.compiles), (str(number), number + 1))
        later(clock)
        library.current()
        same((library.skill("one").version, library.compiles), (str(number), number + 1))


def test_an_unchanged_library_is_neither_read_nor_compiled_nor_published_again() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    a_skill(root, "one", notes__txt="x")
    library = a_library(root, clock=clock, disk=disk)
    first = library.current()
    disk.stats, disk.reads = 0, []
    for _ in range(5):
        later(clock)
        assert library.current() is first
    same((library.compiles, disk.reads, disk.stats), (1, [], 5 * 5))         # the root, the folder, three files
    assert library.skill("one") is first.skills["one"]


def test_the_whole_library_is_checked_at_most_once_in_its_interval() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    a_skill(root, "one")
    library = a_library(root, clock=clock, disk=disk)
    library.current()
    a_skill(root, "one", "2")
    disk.stats = 0
    clock.now += CHECK_S * 0.9
    same((versions(library.current()), disk.stats), ({"one": "1"}, 0))
    clock.now += CHECK_S * 0.2
    same(versions(library.current()), {"one": "2"})


def test_a_skill_asked_by_name_is_checked_at_once_and_alone() -> None:
    root, disk = a_folder(), Disk()
    a_skill(root, "one")
    a_skill(root, "two")
    library = a_library(root, disk=disk)
    library.current()
    a_skill(root, "one", "2")
    a_skill(root, "two", "2")
    disk.reads = []
    same(library.skill("one").version, "2")
    assert disk.reads and all("/one/" in path for path in disk.reads)
    same(versions(library.current()), {"one": "2", "two": "1"})


def test_a_touched_file_is_read_but_not_compiled() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    folder = a_skill(root, "one")
    library = a_library(root, clock=clock, disk=disk)
    first = library.current()
    os.utime(folder / "SKILL.md")
    later(clock)
    disk.reads = []
    assert library.current() is first
    same((library.compiles, len(disk.reads)), (1, 2))


def test_any_file_of_the_folder_counts_also_its_executable_bit_and_its_removal() -> None:
    root, clock = a_folder(), AClock()
    folder = a_skill(root, "one", data__txt="x")
    library = a_library(root, clock=clock)
    seen = [library.current().skills["one"].sha256]
    for change in (lambda: written(folder, {"data.txt": "y"}), lambda: written(folder, {"sub/deep/new.txt": "n"}),
                   lambda: (folder / "data.txt").chmod(0o755), lambda: written(folder, {"sub/deep/new.txt": "m"}),
                   lambda: (folder / "sub/deep/new.txt").unlink(), lambda: (folder / "data.txt").rename(folder / "other.txt")):
        change()
        later(clock)
        seen.append(library.current().skills["one"].sha256)
    same((len(set(seen)), library.compiles), (7, 7))


def test_an_edit_of_the_same_size_within_one_tick_of_the_file_system_is_noticed() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    folder = a_skill(root, "one", "1")
    frozen = {str(path): path.stat() for path in (root, folder, *folder.iterdir())}
    born = max(facts.st_ctime for facts in frozen.values())
    disk.stat = frozen.__getitem__  # type: ignore[method-assign,assignment]
    clock._wall = lambda: born + 0.05
    library = a_library(root, clock=clock, disk=disk)
    library.current()
    a_skill(root, "one", "2")
    later(clock)
    same(versions(library.current()), {"one": "2"})
    a_skill(root, "one", "3")
    same(library.skill("one").version, "3")
    same(library.compiles, 3)
    clock._wall = lambda: born + 0.2
    later(clock)
    library.current()
    disk.reads = []
    later(clock)
    library.current()
    library.skill("one")
    same((disk.reads, library.compiles), ([], 3))


def test_a_broken_skill_keeps_its_last_good_version_and_is_listed_with_file_line_reason_and_since_when() -> None:
    root, lines = a_folder(), list[str]()
    wall = [5_000_000_000.0]
    clock = AClock(lambda: wall[0])
    folder = a_skill(root, "one", "1")
    library = a_library(root, clock=clock, lines=lines)
    good = library.current().skills["one"]
    for text in (TOML.format(version="2") + "speed = 3\n", TOML.format(version="3") + "\nspede = 3\n"):
        written(folder, {"skill.toml": text})
        later(clock)
        wall[0] += 60
        catalogue = library.current()
        assert catalogue.skills["one"] is good and library.skill("one") is good
        (broken,) = catalogue.broken
        same((broken.name, broken.folder, broken.file, broken.serving, broken.since), ("one", "one", "skill.toml", "1", 5_000_000_060.0))
        assert broken.line in (6, 7) and "is not a known member" in broken.reason, broken
    same(sum("skill_broken" in line for line in lines), 2)
    a_skill(root, "one", "4")
    later(clock)
    catalogue = library.current()
    same((versions(catalogue), catalogue.broken, library.compiles), ({"one": "4"}, (), 4))


def test_a_skill_that_never_compiled_is_refused_by_name_with_its_reason_and_the_others_go_on() -> None:
    root, clock = a_folder(), AClock()
    a_skill(root, "good")
    written(root / "bad", {"SKILL.md": "---\nname: [\n---\n"})
    written(root / "lone", {"skill.toml": TOML.format(version="1")})
    library = a_library(root, clock=clock)
    same((library.current().names, [each.folder for each in library.current().broken]), (("good",), ["bad", "lone"]))
    refuses(SkillBroken, lambda: library.skill("bad"), "bad/SKILL.md:")
    same(library.compiles, 3)
    later(clock)
    library.current()
    same(library.compiles, 3)


def test_a_mistake_of_the_compiler_breaks_one_skill_and_not_the_library() -> None:
    root, lines = a_folder(), list[str]()
    a_skill(root, "good")
    a_skill(root, "strange")

    def mistaken(folder: str, files: Mapping[str, SkillFile]) -> Definition:
        if folder == "strange":
            raise KeyError("oops")
        return compile_skill(folder, files)

    library = a_library(root, lines=lines)
    vars(cache)["compile_skill"] = mistaken
    try:
        catalogue = library.current()
    finally:
        vars(cache)["compile_skill"] = compile_skill
    same((catalogue.names, [each.where for each in catalogue.broken]), (("good",), ["strange"]))
    assert "KeyError" in catalogue.broken[0].reason and any("skill_compiler_failed" in line for line in lines)


def test_an_unknown_skill_is_refused_with_the_nearest_names() -> None:
    root = a_folder()
    a_skill(root, "csv-profile")
    error = refuses(UnknownSkill, lambda: a_library(root).skill("csv-profil"), "csv-profil")
    same((error.hint, error.pointer), ("did you mean csv-profile?", "/skill"))
    same(refuses(UnknownSkill, lambda: a_library(root).skill("zzz")).hint, None)
    assert len(refuses(UnknownSkill, lambda: a_library(root).skill("csv" * 500_000)).detail) < 200


def test_folders_may_appear_vanish_and_be_renamed() -> None:
    root, clock = a_folder(), AClock()
    a_skill(root, "one")
    (root / "not-a-skill").mkdir()
    library = a_library(root, clock=clock)
    same(versions(library.current()), {"one": "1"})
    a_skill(root, "two")
    same(library.skill("two").version, "1")             # at once when named
    a_skill(root, "three")
    later(clock)
    same(library.current().names, ("one", "three", "two"))
    (root / "three").rename(root / "drei")
    later(clock)
    same((library.current().names, library.current().broken), (("one", "three", "two"), ()))
    shutil.rmtree(root / "one")
    refuses(UnknownSkill, lambda: library.skill("one"))
    same(library.current().names, ("three", "two"))
    written(root / "not-a-skill", {"SKILL.md": "---\nname: late\ndescription: Now it is one.\n---\n"})
    later(clock)
    same(library.current().names, ("late", "three", "two"))


def test_a_new_name_in_the_front_matter_counts_at_once_and_the_old_one_is_gone() -> None:
    root = a_folder()
    a_skill(root, "one", folder="folder")
    library = a_library(root)
    library.current()
    a_skill(root, "two", folder="folder")
    same(library.skill("two").name, "two")
    a_skill(root, "three", folder="folder")
    refuses(UnknownSkill, lambda: library.skill("two"))
    same(library.current().names, ("three",))


def test_of_two_folders_with_one_name_the_first_wins_and_the_other_takes_over() -> None:
    root, clock = a_folder(), AClock()
    a_skill(root, "same", "2", folder="b")
    library = a_library(root, clock=clock)
    same(versions(library.current()), {"same": "2"})
    a_skill(root, "same", "1", folder="a")
    later(clock)
    catalogue = library.current()
    same(versions(catalogue), {"same": "1"})
    same([(each.folder, each.serving, each.file) for each in catalogue.broken], [("b", None, "SKILL.md")])
    assert "the name same is taken by" in catalogue.broken[0].reason and catalogue.broken[0].reason.endswith("/a")
    refuses(SkillBroken, lambda: library.skill("b"), "is taken by")
    shutil.rmtree(root / "a")
    later(clock)
    same((versions(library.current()), library.current().broken, library.compiles), ({"same": "2"}, (), 2))


def test_several_roots_are_one_library_in_which_the_first_root_wins() -> None:
    own, shipped, clock = a_folder(), a_folder(), AClock()
    a_skill(shipped, "csv", "shipped", folder="a")
    a_skill(shipped, "log", "shipped")
    a_skill(own, "csv", "own", folder="z")
    library = a_library(own, shipped, clock=clock)
    same(versions(library.current()), {"csv": "own", "log": "shipped"})
    shutil.rmtree(own)
    later(clock)
    same(versions(library.current()), {"csv": "shipped", "log": "shipped"})


def test_a_missing_root_is_an_empty_one_said_once_until_it_comes() -> None:
    root, clock, lines = a_folder() / "later", AClock(), list[str]()
    library = a_library(root, clock=clock, lines=lines)
    for _ in range(3):
        same(library.current().names, ())
        later(clock)
    same(sum("skills_root_unreadable" in line for line in lines), 1)
    a_skill(root, "one")
    later(clock)
    same(library.current().names, ("one",))


def test_the_version_of_a_catalogue_changes_with_every_change() -> None:
    root, clock = a_folder(), AClock()
    a_skill(root, "one")
    library = a_library(root, clock=clock)
    seen = [library.current().version]
    for change in (lambda: a_skill(root, "one", "2"), lambda: written(root / "one", {"skill.toml": "x = 1"}), lambda: a_skill(root, "one", "2"),
                   lambda: shutil.rmtree(root / "one")):
        change()
        later(clock)
        seen.append(library.current().version)
    same(sorted(set(seen)), seen)


def test_only_skills_that_can_run_are_matched_unnamed() -> None:
    root = a_folder()
    a_skill(root, "profile")
    written(root / "poem", {"SKILL.md": "---\nname: poem\ndescription: Writes a poem about a profile.\n---\n"})
    catalogue = a_library(root).current()
    same((catalogue.names, catalogue.skills["poem"].runnable), (("poem", "profile"), False))
    same([each.name for each in catalogue.rank(Query("a poem about a profile"), 5).candidates], ["profile"])
    assert catalogue.rank(Query("a poem about a profile"), 5) is catalogue.rank(Query("a poem about a profile"), 5)


def test_the_index_follows_every_change() -> None:
    root, clock = a_folder(), AClock()
    a_skill(root, "profile")
    library = a_library(root, clock=clock)
    first = library.current()
    for number, name in enumerate(("poem", "recipe", "letter")):
        a_skill(root, name)
        later(clock)
        library.current()
        if number != 1:                 # a catalogue that nobody asks is skipped without loss
            same(library.current().rank(Query(name), 5).candidates[0].name, name)
    same(first.rank(Query("poem"), 5).candidates, ())
    shutil.rmtree(root / "poem")
    later(clock)
    assert "poem" not in [each.name for each in library.current().rank(Query("poem"), 5).candidates]


def test_the_bytes_of_what_is_served_are_there_also_when_the_folder_is_broken() -> None:
    root, clock = a_folder(), AClock()
    folder = a_skill(root, "one", data__txt="first")
    library = a_library(root, clock=clock)
    good = library.current().skills["one"]
    written(folder, {"data.txt": "second", "skill.toml": "?"})
    later(clock)
    assert library.current().skills["one"] is good
    same((describe(library.files(good)), library.files(good)["data.txt"].data), (good.bundle, b"first"))
    a_skill(root, "one", "2", data__txt="third")
    later(clock)
    library.current()
    refuses(SkillBroken, lambda: library.files(good), "have changed")


def test_a_library_that_takes_long_to_read_is_read_on_while_skills_are_found_by_name() -> None:
    root, clock = a_folder(), AClock(tick_s=FIRST_S / 20)
    for number in range(60):
        a_skill(root, f"s{number:03}")
    library = a_library(root, clock=clock)
    first = library.current()
    assert library.reading and 10 < len(first.names) < 30, len(first.names)
    assert library.current() is first and library.scan_lag_s > 0
    same(library.skill("s059").version, "1")
    assert "s059" in library.current().names and "s058" not in library.current().names
    refuses(CatalogueLoading, lambda: library.skill("s060"), "still being read")
    slices = 0
    while library.reading:
        library.read_on()
        slices += 1
    same((len(library.current().names), slices > 10), (60, True))
    same(len(a_library(root, clock=AClock(tick_s=FIRST_S / 20)).whole().names), 60)


def test_a_large_library_is_scanned_in_slices_and_says_how_far_it_lags() -> None:
    root, clock, disk = a_folder(), AClock(), Disk()
    for number in range(EXACT_FILES_MAX // 3 + 5):
        a_skill(root, f"s{number:03}")
    library = a_library(root, clock=clock, disk=disk)
    same((len(library.current().names), library.scan_lag_s), (EXACT_FILES_MAX // 3 + 5, 0.0))
    clock.tick_s = 0.0001
    a_skill(root, "s300", "2")
    a_skill(root, "s007", "2")
    same(library.skill("s007").version, "2")            # by name it is still at once
    checks = 0
    while library.current().skills["s300"].version != "2":
        disk.stats, checks = 0, checks + 1
        later(clock)
        library.current()
        assert disk.stats < EXACT_FILES_MAX / 5, "a slice is a fraction of the library"
    assert 1 < checks < 50 and CHECK_S < library.scan_lag_s < 100 * CHECK_S
    a_skill(root, "newcomer")
    same(library.skill("newcomer").version, "1")
    refuses(UnknownSkill, lambda: library.skill("nobody"))
