"""The skills of the simulation, compiled by the real compiler, and the shelf that stands for the library: an edit puts another version there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from skills.bundle import SkillFile
from skills.catalogue import Catalogue
from skills.compile import compile_skill
from skills.definition import Definition
from state.errors import SkillBroken, UnknownSkill

SHORT = "timeout_s = 5\n"
VERSIONS = 3                    # of each skill, put on the shelf in turn


def _step(name: str, more: str = SHORT, after: str = "") -> str:
    follows = f'after = ["{after}"]\n' if after else ""
    return f'[[steps]]\nid = "{name}"\nkind = "python"\nentry = "tool.py:go"\n{follows}{more}'


SOURCES: dict[str, tuple[str, str]] = {       # name: (head, steps)
    "single": ("", _step("go")),
    "chain": ("", _step("a", SHORT + "retry = { attempts = 3, backoff_s = 2 }\n")
              + _step("b", SHORT + 'input = { got = "{{steps.a.output.n}}" }\nretry = { attempts = 2, backoff_s = 1 }\n', "a")
              + _step("c", SHORT, "b")),
    "fan": ("", _step("left") + _step("right", "timeout_s = 30\nretry = { attempts = 4, backoff_s = 60 }\n")
            + '[[steps]]\nid = "join"\nkind = "python"\nentry = "tool.py:go"\nafter = ["left", "right"]\n' + SHORT),
    "once": ("", _step("pay", 'timeout_s = 20\neffects = "once"\n')),
    "prepared": ("", _step("prepare") + _step("pay", SHORT + 'effects = "once"\n', "prepare") + _step("tell", SHORT + 'effects = "many"\n', "pay")),
    "limited": ("concurrency = 1\n", _step("go")),
    "labelled": ("", _step("go", 'timeout_s = 8\nneeds = { labels = ["gpu"], memory_mb = 600 }\nretry = { attempts = 2, backoff_s = 20 }\n')),
    "absent": ("", _step("a") + _step("b", SHORT + 'input = { got = "{{steps.a.output.nowhere}}" }\n', "a")),
    "shaped": ("[output]\ntype = \"object\"\nrequired = [\"n\"]\n", _step("go", SHORT + "retry = { attempts = 3, backoff_s = 0.5 }\n")),
    "asking": ("", _step("a") + '[[steps]]\nid = "ok"\nkind = "approve"\nafter = ["a"]\n'),
}
LIMITS = {"limited": 1}         # steps of a skill that may run at one time
NAMES = tuple(SOURCES)


@cache
def files_of(name: str, version: int) -> Mapping[str, SkillFile]:
    """The files of a version of a skill."""
    head, steps = SOURCES[name]
    front = f"---\nname: {name}\ndescription: The {name} skill does what is {name}.\n---\nVersion {version}.\n"
    return {"SKILL.md": SkillFile(front.encode()), "skill.toml": SkillFile(f'version = "{version}"\n{head}\n{steps}'.encode()),
            "tool.py": SkillFile(b"def go(input):\n    return input\n")}


@cache
def definition_of(name: str, version: int) -> Definition:
    """A version of a skill, compiled."""
    return compile_skill(name, files_of(name, version))


@cache
def catalogue_of(versions: tuple[int, ...]) -> Catalogue:
    """The catalogue with these versions of the skills, in the order of NAMES."""
    skills = {name: definition_of(name, version) for name, version in zip(NAMES, versions, strict=True)}
    return Catalogue(sum(versions), dict(sorted(skills.items())), ())


class Shelf:
    """What `skills.cache.Library` offers to the house, without folders. It outlives the server."""

    scan_lag_s = 0.0
    reading = False

    def __init__(self) -> None:
        self._versions = dict.fromkeys(NAMES, 1)

    def edit(self, name: str) -> int:
        """Somebody saves another version; its number."""
        self._versions[name] = self._versions[name] % VERSIONS + 1
        return self._versions[name]

    def read_on(self) -> None:
        """All is read."""

    def current(self) -> Catalogue:
        """The library as it is now."""
        return catalogue_of(tuple(self._versions.values()))

    def skill(self, name: str) -> Definition:
        """The current version of a skill; UnknownSkill."""
        if name not in self._versions:
            raise UnknownSkill(f"there is no skill {name!r}", pointer="/skill")
        return definition_of(name, self._versions[name])

    def files(self, definition: Definition) -> Mapping[str, SkillFile]:
        """The files of a version that was current a moment ago."""
        for version in range(1, VERSIONS + 1):
            if definition_of(definition.name, version).sha256 == definition.sha256:
                return files_of(definition.name, version)
        raise SkillBroken(f"the files of {definition.name} are gone", pointer="/skill")


