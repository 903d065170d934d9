"""The command `check`: is the library as it should be? Lint of every folder, trigger phrases, and with `--routing` a review of all skills together.

Status 1 on errors and where `--gate` is not met; warnings and infos are advice. What is judged is judged in `skills/` and `router/policy`; here it
gets its place on the disk and is printed, `place: severity: reason (hint)` a line or as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from router.api import triggers
from router.api.cli import Options, UsageError
from router.api.triggers import Answer
from router.config import Config, ConfigError, Matching, load
from router.policy.routing import judged, not_fallback
from skills.audience import not_candidate
from skills.bundle import SkillFile
from skills.cache import Library
from skills.catalogue import Catalogue
from skills.folder import read_folder
from skills.lint import lint
from skills.match import Ranking
from skills.parse import TOML_FILE, SkillError, Source
from skills.parse import parse as parse_skill
from skills.review import Review, review
from skills.trials import Trial
from skills.triggers import TRIGGERS_FILE, Trigger
from skills.triggers import read as read_triggers
from state.clock import Clock
from state.log import Log

# Code and hint for a phrase that should have triggered its skill, and for one that should not have.
MISSED = "trigger-missed", "let the description or an example cover it in other words; as an example the phrase itself would measure nothing"
UNWANTED = "trigger-unwanted", "narrow what the skill says, or give these words to the skill that they belong to"

Finding = dict[str, Any]                # severity, code, place, reason and, but for what does not compile, hint


class Folder(NamedTuple):
    """A skill folder that could be read. `served`: the catalogue has its skill, so that it can be asked for."""

    path: Path
    source: Source
    files: Mapping[str, SkillFile]
    served: bool

    def place(self, where: tuple[str | int, ...]) -> str:
        """File and line of a member."""
        if where[0] == "description":
            return _place(self.path / self.source.file, self.source.lines.get("description"))
        return _place(self.path / TOML_FILE, self.source.toml_lines.line_of(*where) if self.source.has_toml else None)


def check(options: Options) -> int:
    """Look at skills and configuration; 1 if anything is an error."""
    findings: list[Finding] = []
    config = _config(options, findings)
    catalogue = Library(options.settings.skills, Clock(), Log(Clock(), "error"), vectors=options.settings.vectors).whole()
    findings += [_finding("error", "does-not-compile", _place(Path(broken.path) / broken.file, broken.line), broken.reason)
                 for broken in catalogue.broken]
    folders = list(_folders(options.settings.skills, catalogue))
    phrases: dict[str, tuple[Trigger, ...]] = {}
    for folder in folders:
        findings += _linted(folder)
        findings += _read_triggers(folder, catalogue, phrases)
    if why_not := not_fallback(catalogue, config.matching.fallback):
        findings.append(_finding("error", "fallback-unusable", str(options.settings.config / "matching.toml"),
                                 f"the fallback skill {config.matching.fallback} cannot take anything: {why_not}", "name a skill that runs"))
    findings += _not_candidates(catalogue, {folder.source.name: folder for folder in folders if folder.served})
    answers = triggers.ask(catalogue, config.matching, phrases)
    findings += _failed(answers, {folder.source.name: folder for folder in folders if folder.served})
    findings += _gate(options, answers)
    reviewed = _review(catalogue, config.matching) if options.routing else None
    if reviewed is not None:
        findings += _remarked(reviewed, {folder.source.name: folder for folder in folders if folder.served})
    _print(options, catalogue, findings, answers, reviewed)
    return 1 if any(finding["severity"] == "error" for finding in findings) else 0


def _config(options: Options, findings: list[Finding]) -> Config:
    """The configuration; the defaults where it has an error, which is a finding."""
    try:
        return load(options.settings.config)
    except ConfigError as error:
        place, _, reason = str(error).partition(": ")
        findings.append(_finding("error", "config", place, reason))
        return Config()


def _folders(root: Path, catalogue: Catalogue) -> Iterator[Folder]:
    """The skill folders that can be read; the others are listed as broken already. UsageError where there is none at all."""
    paths = [path for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    if not paths:
        raise UsageError(f"{root} holds no skill folders")
    broken = {each.path for each in catalogue.broken}
    for path in paths:
        try:
            files = read_folder(path)
            source = parse_skill(path.name, {name: file.data for name, file in files.items()})
        except SkillError:
            continue
        yield Folder(path, source, files, str(path) not in broken and source.name in catalogue.skills)


def _linted(folder: Folder) -> list[Finding]:
    return [_finding(f.severity, f.code, _place(folder.path / f.file, f.line), f.reason, f.hint)
            for f in lint(folder.source, {name: file.data for name, file in folder.files.items()})]


def _read_triggers(folder: Folder, catalogue: Catalogue, phrases: dict[str, tuple[Trigger, ...]]) -> list[Finding]:
    """What is wrong with a folder's trigger phrases; those that can be asked are added to `phrases`."""
    file = folder.files.get(TRIGGERS_FILE)
    if file is None:
        return []
    definition = catalogue.skills[folder.source.name] if folder.served else None
    found = read_triggers(file.data, definition.examples if definition else ())
    findings = [_finding(f.severity, f.code, _place(folder.path / f.file, f.line), f.reason, f.hint) for f in found.findings]
    why_not = definition.not_runnable or not_candidate(definition.match) if definition else ""
    if definition is not None and not why_not:
        phrases[definition.name] = found.phrases
    elif definition is not None:
        findings.append(_finding("info", "triggers-not-asked", str(folder.path / TRIGGERS_FILE),
                                 f"{definition.name} is given to nobody unnamed, so its phrases are not asked: {why_not}"))
    return findings


def _failed(answers: list[Answer], folders: Mapping[str, Folder]) -> Iterator[Finding]:
    """The phrases that fail, with their place."""
    for answer in answers:
        if not answer.passed:
            code, hint = MISSED if answer.trigger.should else UNWANTED
            yield _finding("warning", code, _place(folders[answer.skill].path / TRIGGERS_FILE, answer.trigger.line), answer.reason(), hint)


def _gate(options: Options, answers: list[Answer]) -> list[Finding]:
    """What `--gate` has to say: the total rate counts, not that of each skill."""
    rate = triggers.rate(answers)
    if options.gate is None or (rate is not None and rate >= options.gate):
        return []
    if rate is None:
        return [_finding("error", "gate-without-triggers", str(options.settings.skills), "--gate guards nothing: there is no trigger phrase to ask",
                         f"write {TRIGGERS_FILE} into a skill's folder, or leave out --gate")]
    return [_finding("error", "gate-not-met", str(options.settings.skills), f"{rate:.3f} of {len(answers)} trigger phrases pass, "
                     f"--gate wants {options.gate:g}", "the warnings above name the phrases that fail")]


def _review(catalogue: Catalogue, matching: Matching) -> Review:
    """The review of the skills that can be chosen, by the decision that a submit would make."""
    def judge(ranking: Ranking) -> str:
        decision = judged(catalogue, ranking.first(matching.candidates), matching)
        return decision.target if decision.dispatch else ""
    return review(catalogue.documents, catalogue.index, judge)


def _not_candidates(catalogue: Catalogue, folders: Mapping[str, Folder]) -> Iterator[Finding]:
    """The skills that nobody is given unnamed."""
    for skill in catalogue.skills.values():
        if why_not := skill.not_runnable or not_candidate(skill.match):
            yield _finding("info", "routing-not-candidate", str(folders[skill.name].path), f"{skill.name} is given to nobody unnamed: {why_not}")


def _remarked(reviewed: Review, folders: Mapping[str, Folder]) -> Iterator[Finding]:
    """The remarks with their places."""
    for remark in reviewed.remarks:
        yield _finding(remark.severity, remark.code, folders[remark.skill].place(remark.where), remark.reason, remark.hint)


def _print(options: Options, catalogue: Catalogue, findings: list[Finding], answers: list[Answer], reviewed: Review | None) -> None:
    """All that was found, in words or as JSON."""
    asked = triggers.document(answers, options.gate)
    routing = _routing_document(reviewed, catalogue) if reviewed else None
    if options.json:
        found = {"skills": len(catalogue.skills), "errors": _count(findings, "error"), "findings": findings, "triggers": asked, "routing": routing}
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    told = options.routing or options.gate is not None
    shown = findings if told else [each for each in findings if each["code"] not in (MISSED[0], UNWANTED[0])]
    for finding in shown:
        hint = f" ({finding['hint']})" if finding.get("hint") else ""
        print(f"{finding['place']}: {finding['severity']}: {finding['reason']}{hint}")
    for name, tally in asked["skills"].items():
        print(f"triggers of {name}: {tally['passed']} of {tally['phrases']} pass")
    if answers:
        unclear = f"; {asked['asked']} more ask the client, the right skill among those shown" if asked["asked"] else ""
        more = "" if told or asked["passed"] == asked["phrases"] else "; --routing or --gate lists those that fail"
        print(f"triggers: {asked['passed']} of {asked['phrases']} pass, {asked['rate']:.3f}{unclear}{more}")
    if routing:
        print(f"routing: {routing['asked']} of {routing['examples']} examples asked of an index without them: "
              f"{routing['found']} find their skill first, {routing['taken']} are taken by it, {routing['elsewhere']} by another")
        spoken = ", ".join(f"{name} {count}" for name, count in routing["languages"].items())
        print(f"routing: skills with a text in each language: {spoken or 'none'}")
    infos = f", {count} infos" if (count := _count(shown, "info")) else ""
    print(f"{len(catalogue.skills)} skills, {_count(shown, 'error')} errors, {_count(shown, 'warning')} warnings{infos}")


def _count(findings: Sequence[Finding], severity: str) -> int:
    return sum([finding["severity"] == severity for finding in findings])


def _routing_document(reviewed: Review, catalogue: Catalogue) -> dict[str, Any]:
    """The figures of a review; its remarks are among the findings."""
    examples = {document.name: len(document.examples) for document in catalogue.documents}
    own: dict[str, list[Trial]] = {name: [] for name in reviewed.languages}
    for trial in reviewed.trials:
        own[trial.skill].append(trial)
    skills = {name: {"examples": examples[name], **_counted(own[name]), "languages": spoken} for name, spoken in reviewed.languages.items()}
    return {"examples": sum(examples.values()), **_counted(reviewed.trials), "languages": reviewed.spoken,
            "collisions": [each._asdict() for each in reviewed.collisions], "skills": skills}


def _counted(trials: Sequence[Trial]) -> dict[str, int]:
    """Examples that were asked, that find their skill first, that it takes, that another takes."""
    return {"asked": len(trials), "found": sum([trial.found == trial.skill for trial in trials]),
            "taken": sum([trial.taken == trial.skill for trial in trials]), "elsewhere": sum([trial.elsewhere for trial in trials])}


def _finding(severity: str, code: str, place: str, reason: str, hint: str = "") -> Finding:
    return {"severity": severity, "code": code, "place": place, "reason": reason, **({"hint": hint} if hint else {})}


def _place(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)
