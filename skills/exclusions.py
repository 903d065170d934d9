"""Sentences of a description that say what a skill is not for. They name the neighbours' work and must not attract it."""

from __future__ import annotations

import re

# In languages that put the negation first, everything from it to the end of its sentence goes; "use for A; do not use for B" keeps A.
_USED = r"(?:use[ds]?|using|trigger(?:ed|s)?|invoked?|activated?|apply|applies|consult|call(?:ed)?|intended|meant|suitable|designed)"
_NEGATED_FIRST = re.compile(rf"""(?ix) (?:
    \b(?:do(?:es)?\s+not|don['’]?t|doesn['’]?t|never|must\s+not|should\s+not|cannot)\s+(?:be\s+)?(?:{_USED}|for)\b
  | \bnot\s+(?:for|intended|meant|suitable|designed|to\s+be\s+used)\b
  | \bno\s+(?:usar|utilizar|uses|utilices|sirve|es\s+para) \b | \bn[aã]o\s+(?:usar?|use|utilizar?|utilize|serve) \b
  | \bne\s+(?:pas\s+)?(?:utilis\w+|s['’]applique)\b | \bn['’]utilise\w*\b | \bpas\s+pour\b | \bnon\s+(?:usare|utilizzare|per)\b
  | \bnicht\s+(?:f[uü]r|verwenden|benutzen|geeignet)\b | \bniet\s+(?:voor|gebruiken)\b | \bне\s+(?:использ\w+|для|применя\w+)\b
  | 不(?:要|适|適)?用(?:于|於) | (?:请勿|請勿|勿)用?(?:于|於) | 不(?:要)?(?:触发|觸發)
  ) .*? (?=[.!?](?:\s|$)|[;。；！？\n]|$) """)
# In the others, and where a Chinese sentence ends with it, the whole sentence goes.
_NEGATED_LAST = re.compile(r"不要(?:使)?用|(?:请勿|請勿|勿)(?:使)?用|使用しない|使わない|対象外|사용하지|쓰지\s*마|제외")
# Texts without any of these have nothing to take out: to look for them costs a tenth of the expressions above.
_SIGNS = ("not", "n't", "n’t", "never", "no ", "não", "nao", "ne ", "n'utilis", "n’utilis", "pas ", "non ", "nich", "niet", "не",
          "不", "勿", "使", "対", "사", "쓰", "제")
_SENTENCES = re.compile(r"(?<=[。；！？;\n])")


def exclusions(text: str) -> str:
    """What the text says the skill must not be used for."""
    if not _may_exclude(text):
        return ""
    found = [match[0] for match in _NEGATED_FIRST.finditer(text)]
    if not text.isascii():
        found += [sentence for sentence in _SENTENCES.split(_NEGATED_FIRST.sub(" ", text)) if _NEGATED_LAST.search(sentence)]
    return " ".join(found)


def without_exclusions(text: str) -> str:
    """The text without what it says the skill must not be used for."""
    if not _may_exclude(text):
        return text
    text = _NEGATED_FIRST.sub(" ", text)
    if text.isascii():
        return text
    return "".join(sentence for sentence in _SENTENCES.split(text) if not _NEGATED_LAST.search(sentence))


def first_exclusion(text: str) -> int | None:
    """Where the first of what `without_exclusions` leaves out begins, None if there is nothing of that kind."""
    places = [found.start()] if (found := _NEGATED_FIRST.search(text)) else []
    if found := _NEGATED_LAST.search(text):
        places.append(found.start())
    return min(places, default=None)


def _may_exclude(text: str) -> bool:
    folded = text.lower()
    return any(sign in folded for sign in _SIGNS)
