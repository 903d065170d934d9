"""Configuration files: read whole, checked whole, and followed."""

from router.config import ConfigError, ConfigFolder, load
from state.log import Log
from tests.kit import a_folder, refuses, same, written
from tests.router.builders import AClock

BAD = {
    "fleet.toml": ["preset = []", 'preset = "slow"', "heartbeat_s = nan", "poll_s = inf", "poll_s = 0", "lease_s = 20", "gone_s = 30", "lease_s = -1",
                   "heartbeat_s = true", 'lease_s = "30"', "leases = 3", "=", "\udcff"],
    "server.toml": ["allow_hosts = 3", "allow_hosts = [3]", "max_live_jobs = 1.5", "grace_s = -1", "grace_s = inf"],
    "retention.toml": ["days = 1.5", "gigabytes = nan"], "matching.toml": ["min_confidence = 2", "min_confidence = nan"], "routing.toml": [""],
}


def test_every_wrong_setting_is_refused_with_its_file():
    for name, texts in BAD.items():
        for text in texts:
            folder = written(a_folder(), {name: text.encode("utf-8", "surrogateescape")})
            assert str(refuses(ConfigError, lambda folder=folder: load(folder))).startswith(f"{folder / name}: "), text


def test_a_preset_gives_defaults_that_other_lines_override():
    folder = written(a_folder(), {"fleet.toml": 'preset = "calm"\npoll_s = 7\n'})
    same((load(folder).fleet.heartbeat_s, load(folder).fleet.lease_s, load(folder).fleet.poll_s), (60.0, 180.0, 7.0))
    same(load(folder / "none").fleet.heartbeat_s, 10.0)


def test_edits_are_followed_and_bad_ones_keep_what_was_until_they_are_mended():
    folder, clock, heard = written(a_folder(), {"fleet.toml": "poll_s = 1\n"}), AClock(), []
    config = ConfigFolder(folder, Log(clock, write=[].append))

    def edit(text):
        written(folder, {"fleet.toml": text}) if text is not None else (folder / "fleet.toml").unlink()
        clock.move(1)
        config.look(clock.monotonic(), lambda c: heard.append(c.fleet.poll_s))
        return config.current.fleet.poll_s, config.problem is None
    same(edit("poll_s = 22\n"), (22.0, True))
    same(edit("poll_s = nan\n"), (22.0, False))
    same(edit("preset = []\n"), (22.0, False))
    same(edit("poll_s = 333\n"), (333.0, True))
    same(edit(None), (5.0, True))
    same(heard, [22.0, 333.0, 5.0])
