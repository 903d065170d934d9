"""Which skill fits a task? From the matcher's ranking to a decision: `match` (one is sure enough), `choose` (a skill fits, but it is not clear which)
or `none`. Nothing is guessed: who may take the first of several, and what is done where none fits, the operator or the client has said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from router.config import Matching
from router.policy.decision import Decision
from skills.audience import NOT_TAKEN, Scope, outside
from skills.catalogue import Catalogue
from skills.match import CONFIDENCE_MIN, FITS_MIN, Candidate, Query, Ranking

TERMS_SHOWN = 4
OPTION_TERMS_SHOWN = 2
UNKNOWN_SHOWN, WORD_SHOWN_CHARACTERS = 20, 40
DIGITS_MAX = 4
CLOSE_SHARE = 0.5              # of the score of the first: what has less is no choice
PART_MIN = 0.05                # of a score: a smaller part is not told


class Limits(NamedTuple):
    """How sure is sure enough. `raised` has skills that ask for more than `min_confidence`; `first` takes the first of several that fit."""

    min_confidence: float = CONFIDENCE_MIN
    first: bool = False
    raised: Mapping[str, float] = {}


def query_of(catalogue: Catalogue, text: str, scope: Scope) -> Query:
    """What is to be ranked for a task."""
    return Query(text, catalogue.excluded(scope))


def choose(catalogue: Catalogue, text: str, matching: Matching, scope: Scope = Scope(), policy: str = "") -> Decision:
    """The decision for a task in words over a catalogue, by the operator's settings; `policy` is the client's "first" or "ask", if it said so."""
    query = query_of(catalogue, text, scope)
    ranking = catalogue.rank(query, matching.candidates)
    decision = judged(catalogue, ranking, matching, policy)
    facts = {**decision.facts, "catalogue": {"version": catalogue.version, "sha256": catalogue.sha256}}
    if scope != Scope():
        facts["scope"] = scope.document()
    if query.without:
        facts["left_out"] = len(query.without)
    decision = decision._replace(facts=facts)
    return _fallback(decision, catalogue, matching.fallback, scope) if decision.rule == "none" and matching.fallback else decision


def judged(catalogue: Catalogue, ranking: Ranking, matching: Matching, policy: str = "") -> Decision:
    """The same for a ranking, wherever it is from, and without a fallback."""
    raised = {c.name: float(catalogue.skills[c.name].match.get("min_confidence", 0.0)) for c in ranking.candidates}
    return decide(ranking, Limits(matching.min_confidence or CONFIDENCE_MIN, (policy or matching.choose) == "first", raised))


def decide(ranking: Ranking, limits: Limits) -> Decision:
    """Rules: match (target: the skill's name), choose (target where the first is taken), none."""
    options = ranking.candidates
    facts: dict[str, Any] = {"candidates": [candidate_document(c) for c in options], "min_confidence": limits.min_confidence, "min_fits": FITS_MIN,
                             "unknown": [_short(word) for word in ranking.unmatched[:UNKNOWN_SHOWN]]}
    if not options:
        return Decision(False, "none", f"no skill shares a word with the task{_unknown(ranking.unmatched)}", facts)
    best = options[0]
    least = facts["min_confidence"] = max(limits.min_confidence, limits.raised.get(best.name, 0.0))
    if best.confidence >= least:
        return Decision(True, "match", f"{best.name} with confidence {best.confidence:.2f}, {why(best)}{_next(options)}", facts, target=best.name)
    if best.fits >= FITS_MIN:
        close = [c for c in options if c.score >= CLOSE_SHARE * best.score]
        facts["options"] = [c.name for c in close]
        unsure = f"{best.name} is the right one with a chance of {_short_of(best.confidence, least, ' only,')} is needed"
        if limits.first and best.confidence >= limits.raised.get(best.name, 0.0):
            return Decision(True, "choose", f"{unsure}; taken as the first of {len(close)} that may fit, {why(best)}{_next(options)}", facts,
                            target=best.name)
        return Decision(False, "choose", f"{unsure}; {_options(close)}", facts)
    reason = f"the nearest skill is {best.name} with confidence {_short_of(best.confidence, least)} is needed{_unknown(ranking.unmatched)}"
    return Decision(False, "none", reason, facts)


def _fallback(decision: Decision, catalogue: Catalogue, name: str, scope: Scope) -> Decision:
    """Where no skill fits: the skill that the operator has declared for that, if it can run and is for this task."""
    if why_not := not_fallback(catalogue, name) or outside(catalogue.skills[name].match, scope):
        return decision._replace(reason=f"{decision.reason}; the fallback skill {name} cannot take it: {why_not}")
    return decision._replace(dispatch=True, target=name, reason=f"{decision.reason}; {name} takes what no skill fits")


def not_fallback(catalogue: Catalogue, name: str) -> str:
    """Why a skill cannot be the fallback of anybody, "" if it can or if there is to be none."""
    skill = catalogue.skills.get(name)
    if skill is None:
        return "it is not in the library" if name else ""
    return skill.not_runnable or (f"it is {skill.match['state']}" if skill.match.get("state") in NOT_TAKEN else "")


def why(candidate: Candidate) -> str:
    """What speaks for a candidate, in words: its terms with their fields, and what its score owes to more than words."""
    shown = [f"{_short(term.word)} ({'' if term.exact else 'like one of '}{term.field})" for term in candidate.terms[:TERMS_SHOWN]]
    carried = f"carried by {', '.join(shown)}" if shown else "which shares no word with the task"
    parts = ((candidate.evidence.sense, "what it is about"), (candidate.evidence.features, "how it is said"))
    more = [f"{part / candidate.score:.0%} by {name}" for part, name in parts if part >= PART_MIN * candidate.score]
    return f"{carried}{' and ' if more else ''}{' and '.join(more)}"


def _next(options: Sequence[Candidate]) -> str:
    """The runner-up and what it lacks."""
    if len(options) < 2:
        return ""
    best, other = options[:2]
    lacks = f", which lacks {', '.join(other.lacks[:TERMS_SHOWN])}" if other.lacks else ""
    return f"; next is {other.name} with score {other.score:.2f} against {best.score:.2f}{lacks}"


def _options(close: Sequence[Candidate]) -> str:
    """What a client may choose from, each with the words that speak for it."""
    shown = [f"{c.name} ({', '.join([_short(term.word) for term in c.terms[:OPTION_TERMS_SHOWN]]) or 'by what it is about'})" for c in close]
    return f"{', '.join(shown[:-1])} or {shown[-1]} may fit" if len(shown) > 1 else f"{shown[0]} may fit"


def _unknown(words: Sequence[str]) -> str:
    return f"; no skill knows {', '.join([_short(word) for word in words[:TERMS_SHOWN]])}" if words else ""


def _short(word: str) -> str:
    return word if len(word) <= WORD_SHOWN_CHARACTERS else word[:WORD_SHOWN_CHARACTERS] + "..."


def _short_of(confidence: float, least: float, between: str = ",") -> str:
    """A confidence and what is needed, with as many digits as show that it is less."""
    digits = 2
    while digits < DIGITS_MAX and round(confidence, digits) >= round(least, digits):
        digits += 1
    return f"{confidence:.{digits}f}{between} {least:.{digits}f}"


def candidate_document(candidate: Candidate) -> dict[str, Any]:
    """A candidate as on the wire."""
    document: dict[str, Any] = {
        "skill": candidate.name, "score": round(candidate.score, 4), "confidence": round(candidate.confidence, 4), "fits": round(candidate.fits, 4),
        "why": why(candidate),
        "terms": [{"term": _short(t.word), "field": t.field, "share": round(t.share, 3), "exact": t.exact} for t in candidate.terms]}
    return {**document, "lacks": list(candidate.lacks)} if candidate.lacks else document
