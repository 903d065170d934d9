"""Words of a text in any script, as matching compares them: folded, split, and stemmed lightly. Pure; knows no topics.

Scripts that put spaces between words give words. Chinese gives single characters and pairs, Japanese kana, Thai, Lao, Khmer and Burmese pairs,
Korean pairs within a word, which sheds its particles. Both sides of a match are cut by `cut`: a skill and a task must never be cut differently.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

STEMS_REMEMBERED = 50_000              # the same words are stemmed again and again: a vocabulary fits, some 10 MB at most

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3040-\u30ff\u31f0-\u31ff"
HANGUL = "\uac00-\ud7a3"
PAIRED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"                      # Thai, Lao, Burmese, Khmer: no spaces, single characters say nothing
SIGNS = "\u0591-\u05c7\u0610-\u061a\u0900-\u0dff"                       # marks that stand inside words of Hebrew and Arabic; the Indic scripts

_SPACED = rf"(?:[^\W_{HAN}{KANA}{HANGUL}{PAIRED}]|[{SIGNS}])+"
_RUN = re.compile(rf"[{HAN}]+|[{KANA}]+|[{HANGUL}]+|[{PAIRED}]+|{_SPACED}(?:['-]{_SPACED})*")
_ASCII_RUN = re.compile(r"[A-Za-z0-9]+(?:['-][A-Za-z0-9]+)*")
_HAN = re.compile(rf"[{HAN}]")
_UNSPACED = re.compile(rf"[{HAN}{KANA}{HANGUL}{PAIRED}]")
_HUMPED = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_STRIPPED = re.compile("[\u0300-\u036f\u064b-\u065f\u0670\u0640\u200c\u200d]")      # accents, Arabic vowel points, joiners
_FOLDED = str.maketrans({"’": "'", "‘": "'", "`": "'", "‐": "-", "‑": "-", "ı": "i", "ø": "o", "Ø": "O", "đ": "d", "ł": "l", "Ł": "L",
                         "æ": "ae", "œ": "oe", "ى": "ي", "ة": "ه", "ک": "ك", "ی": "ي"})
_ENDINGS = frozenset(("s", "t", "re", "ll", "ve", "d", "m"))            # what stands behind an English apostrophe and says nothing


class Cut(NamedTuple):
    """A text in pieces, in their order and folded: `words`, and `compounds`, the words joined by hyphens or humps in one piece."""

    words: list[str]
    compounds: list[str]


def cut(text: str) -> Cut:
    """The words of a text. `e-mail` and `eMail` give the words `e` and `mail` and the compound `email`."""
    found = Cut([], [])
    if text.isascii():
        for run in _ASCII_RUN.findall(text):
            _add_word(run, found)
        return found
    text = unicodedata.normalize("NFKC", text).translate(_FOLDED)
    text = unicodedata.normalize("NFC", _STRIPPED.sub("", unicodedata.normalize("NFD", text)))
    for run in _RUN.findall(text):
        if not _UNSPACED.match(run):
            _add_word(run, found)
            continue
        if len(run) == 1 or _HAN.match(run):
            found.words.extend(run)
        found.words.extend(run[at:at + 2] for at in range(len(run) - 1))
    return found


def _add_word(run: str, found: Cut) -> None:
    """Add a run of letters and digits, with hyphens and apostrophes inside."""
    if run.isalnum() and (run.islower() or not _HUMPED.search(run)):
        found.words.append(run.casefold())
        return
    parts = re.split("['-]", run)
    if "'" in run and parts[-1].lower() in _ENDINGS:
        parts.pop()
    elif "'" in run and len(parts[0]) <= 2:                            # l'heure, d'eau, qu'il
        parts.pop(0)
    pieces = [hump.casefold() for part in parts for hump in (_HUMP.findall(part) if _HUMPED.search(part) else (part,))]
    found.words.extend(pieces)
    if len(pieces) > 1:
        found.compounds.append("".join(pieces))


@lru_cache(STEMS_REMEMBERED)
def stem(word: str) -> str:
    """A folded word without its plural ending. Light on purpose: other inflections are met by their common beginning."""
    if len(word) < 4 or not word.isascii():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
