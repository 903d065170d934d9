"""Which skill fits a task? From the matcher's ranking to a decision: `match`, or `none` where nothing is sure enough. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.config import Matching
from router.policy.decision import Decision
from skills.catalogue import Catalogue
from skills.match import CONFIDENCE_MIN, Candidate, Ranking

TERMS_SHOWN = 4


def choose(catalogue: Catalogue, text: str, matching: Matching) -> Decision:
    """The decision for a task in words over a catalogue, by the operator's settings."""
    ranking = catalogue.rank(text, matching.candidates)
    raised = {c.name: float(catalogue.skills[c.name].match.get("min_confidence", 0.0)) for c in ranking.candidates}
    return decide(ranking, matching.min_confidence or CONFIDENCE_MIN, raised)


def decide(ranking: Ranking, min_confidence: float, raised: Mapping[str, float]) -> Decision:
    """Rules: match (target: the skill's name), none. `raised` holds skills that ask for more confidence than `min_confidence`."""
    candidates = [candidate_document(c) for c in ranking.candidates]
    facts: dict[str, Any] = {"candidates": candidates, "min_confidence": min_confidence}
    if not ranking.candidates:
        return Decision(False, "none", "no skill shares a word with the task", facts)
    best = ranking.candidates[0]
    least = max(min_confidence, raised.get(best.name, 0.0))
    facts["min_confidence"] = least
    if best.confidence < least:
        reason = f"the nearest skill is {best.name} with confidence {best.confidence:.2f}, {least:.2f} is needed{_unknown(ranking.unmatched)}"
        return Decision(False, "none", reason, facts)
    return Decision(True, "match", _why(ranking.candidates), facts, target=best.name)


def _why(candidates: Sequence[Candidate]) -> str:
    best = candidates[0]
    reason = f"{best.name} with confidence {best.confidence:.2f}, carried by {_terms(best)}"
    if len(candidates) > 1:
        reason += f"; next is {candidates[1].name} with score {candidates[1].score:.2f} against {best.score:.2f}"
    return reason


def _terms(candidate: Candidate) -> str:
    shown = [f"{term.word} ({term.field})" for term in candidate.terms[:TERMS_SHOWN]]
    return ", ".join(shown) or "what it is about, not by its words"


def _unknown(words: Sequence[str]) -> str:
    return f"; no skill knows {', '.join(words[:TERMS_SHOWN])}" if words else ""


def candidate_document(candidate: Candidate) -> dict[str, Any]:
    """A candidate as on the wire."""
    terms = [{"term": t.word, "field": t.field, "share": round(t.share, 3)} for t in candidate.terms]
    return {"skill": candidate.name, "score": round(candidate.score, 4), "confidence": round(candidate.confidence, 4), "terms": terms}
