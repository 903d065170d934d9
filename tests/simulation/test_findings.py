"""What the simulator has found, each as a scene of its own: seeds change their meaning with the product, these do not."""

import random
from pathlib import Path
from types import SimpleNamespace

from router.config import Config
from router.work import definitions
from router.work.definitions import Definitions
from state.errors import StorageUnavailable
from state.files import Fatal
from state.retention import Keep
from tests.kit import refuses, same
from tests.router.builders import Rooms, a_definition
from tests.simulation.checker import Checker
from tests.simulation.disk import SimDisk
from tests.simulation.ledger import Asked, Ledger
from tests.simulation.network import Network
from tests.simulation.process import DATA, Process, put_in_place, surroundings
from tests.simulation.skills import Shelf, definition_of, files_of
from tests.simulation.weather import draw
from tests.simulation.world import SimClock, World
from tests.state.builders import FilePlace, commit, create, ended, everything, retry

CUTS = 20                      # power cuts, each with other losses


def a_disk(seed: int) -> SimDisk:
    """A simulated disk with a data folder."""
    disk = SimDisk(random.Random(seed), lambda: 0.0, lambda kind, path: None)
    disk.begin_with(DATA)
    return disk


def test_what_a_start_found_in_the_cache_alone_is_on_the_medium_before_anything_stands_on_it():
    for seed in range(CUTS):
        disk = a_disk(seed)
        place = FilePlace(disk, folder=DATA)
        create(place.open())
        commit(place.store)
        create(place.store)
        disk.moods.sync_fails = 1.0
        refuses(Fatal, place.store.commit)             # neither synced nor cut: the process ends, the machine and its cache go on
        disk.moods.heal()
        found = everything(place.open())
        same(found[-1], 2)
        disk.lose_power()
        same(everything(place.open()), found)


def a_definition_pinned_twice(disk: SimDisk) -> None:
    """The first time the sync of its folder fails."""
    skill, sync = definition_of("single", 1), disk.sync_folder
    pins = Definitions(disk, DATA)
    sync(DATA)

    def fails_once(folder: Path | str) -> None:
        if str(folder).endswith("definitions"):
            raise OSError(5, "input/output error")
        sync(folder)
    with put_in_place(definitions, write=lambda root, files: disk.replace(root / skill.bundle.sha256, b"", durable=True),
                      os=SimpleNamespace(utime=disk.touch)):
        with put_in_place(disk, sync_folder=fails_once):
            refuses(OSError, lambda: pins.pin(skill, files_of("single", 1)))
        pins.pin(skill, files_of("single", 1))


def test_a_definition_whose_folder_failed_to_sync_is_made_durable_when_it_is_pinned_again():
    for seed in range(CUTS):
        disk = a_disk(seed)
        a_definition_pinned_twice(disk)
        disk.lose_power()
        same(Definitions(disk, DATA).load(definition_of("single", 1).sha256).name, "single")


def test_polls_of_a_process_that_was_replaced_are_answered_and_take_no_wake_from_others():
    rooms = Rooms(a_definition("one"))
    rooms.beat("w1", boot="1-a", slots=5)
    rooms.park("w1", most=5)
    rooms.beat("w2")
    rooms.park("w2")
    same(rooms.turn(), [])
    rooms.beat("w1", boot="2-b", slots=5)
    same(rooms.turn(), ["w1"])
    rooms.job("one")
    same(rooms.turn(), ["w2"])


def test_a_deadline_that_comes_while_the_disk_refuses_does_not_make_the_loop_spin():
    world = World(1)
    clock, weather = SimClock(world), draw(world.stream("weather"))
    disk = SimDisk(world.stream("disk"), clock.wall, lambda kind, path: None)
    disk.begin_with(DATA)
    checker = Checker(world, clock, weather.sizes, disk)
    network = Network(world, Ledger(world, checker).told)
    shelf = Shelf()
    with surroundings(world, clock, disk, shelf, weather.sizes):
        process = Process(world, clock, disk, network, Config(), lambda: 0.001, checker)
        process.open()
        answers: list[int] = []
        network.ask("client", "POST", "/tasks", lambda status, said: answers.append(status), {"skill": "single", "deadline_s": 2},
                    about=Asked("POST /tasks", [""]))
        world.after(1.0, lambda: setattr(disk.moods, "write_fails", 1.0))
        process.serve(lambda: world.now > 12.0)
        same(answers, [202])
        assert isinstance(process.house.store.engine.refusal(), StorageUnavailable)
        assert process.engine.stats.turns < 12 * 120, process.engine.stats.turns
        disk.moods.heal()
        process.serve(lambda: world.now > 15.0)
        same([job.state for job in checker.jobs.values()], ["failed"])
        process.leave()


def a_place_over_what_is_kept(jobs: int, kept: int) -> tuple[SimDisk, FilePlace]:
    """So many finished jobs, in their files for good, of which fewer are kept from now on."""
    disk = a_disk(1)
    place = FilePlace(disk, folder=DATA)
    store = place.open()
    for _ in range(jobs):
        ended(store)
    commit(store)
    place.settle(1.0)
    place.checkpoint()
    place.keep = place.engine.retention.keep = Keep(jobs=kept)
    return disk, place


def no(job_id: str) -> bool:
    """To retention's question whether a job is live or busy."""
    return False


def done_files(disk: SimDisk) -> int:
    """How many finished jobs have a file."""
    return sum(name.startswith("j_") for day in disk.names(DATA / "jobs" / "done") for name in disk.names(DATA / "jobs" / "done" / day))


def test_retention_removes_no_more_than_it_should_after_a_crash_that_lost_how_far_it_had_come():
    disk, place = a_place_over_what_is_kept(8, 5)
    place.settle(10.0)
    same(done_files(disk), 5)
    day, = disk.names(DATA / "jobs" / "done")
    disk.remove(DATA / "jobs" / "done" / day / "trimmed")
    place.open()
    place.settle(10.0)
    same(done_files(disk), 5)


def test_retention_removes_no_more_than_it_should_after_the_disk_refused_to_note_how_far_it_had_come():
    disk, place = a_place_over_what_is_kept(8, 5)
    disk.moods.files_fail = 1.0
    place.settle(30.0)
    disk.moods.heal()
    place.settle(30.0)
    same(done_files(disk), 5)


def test_a_finished_job_whose_file_a_power_cut_has_emptied_is_counted_once():
    disk = a_disk(1)
    place = FilePlace(disk, folder=DATA, keep=Keep(jobs=5))
    store = place.open()
    ids = [ended(store) for _ in range(5)]
    commit(store)
    place.settle(10.0)
    disk.replace(place.engine.finished.path(ids[3]), b"")
    place.open()
    for _ in range(2):
        place.engine.retention.tick(place.clock.monotonic(), no, no)       # it counts before the file is written again
    place.settle(10.0)
    same(done_files(disk), 5)


def test_a_job_that_is_retried_while_its_day_is_counted_is_not_counted():
    place = FilePlace(a_disk(1), folder=DATA)
    store = place.open()
    ids = [ended(store, "failed") for _ in range(6)]
    commit(store)
    place.settle(1.0)
    place.checkpoint()
    place.keep = Keep(jobs=6)
    store = place.open()
    place.engine.tick(place.clock.monotonic())         # it counts the first six rows
    found = store.engine.read_finished(ids[3])
    assert found is not None
    store.readmit_job(found)
    retry(store, ids[3])
    ended(store)
    commit(store)
    place.clock.go(1.0)                                # both changes are in one batch
    place.settle(10.0)
    same([store.engine.read_finished(job_id) is None for job_id in ids], [job_id == ids[3] for job_id in ids])


def test_an_id_is_above_those_that_retention_has_taken_after_the_clock_was_set_back():
    for kept_checkpoint in (True, False):
        disk, place = a_place_over_what_is_kept(3, 0)
        newest = max(place.store.jobs)
        place.settle(100.0)
        same(done_files(disk), 0)
        place.checkpoint()
        for name in disk.names(DATA):
            if name.startswith("checkpoint-") and not kept_checkpoint:
                disk.remove(DATA / name)
        place.clock.go(-3_600.0)
        assert create(place.open()) > newest


def late_event(place: FilePlace, job_id: str) -> None:
    """Something comes in late for a job that has ended."""
    with place.store:
        place.store.event(job_id, "late_result", "s0", {})
    commit(place.store)


def test_retention_leaves_a_job_alone_whose_change_is_not_in_its_file_yet():
    disk, place = a_place_over_what_is_kept(8, 8)
    ids = sorted(place.store.jobs)
    place.engine.retention.keep = Keep(jobs=5)
    place.clock.go(10.0)
    late_event(place, ids[0])
    place.engine.tick(place.clock.monotonic())         # at once: what is to be written is not old enough
    assert place.engine._projection.behind(ids[0])
    same([disk.exists(place.engine.finished.path(job_id)) for job_id in ids], [True, *[False] * 3, *[True] * 4])
    place.settle(20.0)
    same(done_files(disk), 5)


def test_retention_takes_no_file_that_waits_for_its_row():
    disk, place = a_place_over_what_is_kept(3, 2)
    append, removed = disk.append, set[str]()

    def full_for_rows(path: Path | str, data: bytes) -> None:
        if str(path).endswith("index.jsonl"):
            raise OSError(28, "no space left on device")
        append(path, data)

    def note(kind: str, path: str) -> None:
        if kind == "remove":
            removed.add(path)
    ids = [ended(place.store) for _ in range(2)]
    commit(place.store)
    vars(disk).update(append=full_for_rows, _note=note)
    place.settle(20.0)                                 # all whose rows are there go, and nothing else does
    same(done_files(disk), 2)
    del vars(disk)["append"]
    place.settle(20.0)
    same(done_files(disk), 2)
    assert not removed & {place.engine.finished.path(job_id) for job_id in ids}, removed
