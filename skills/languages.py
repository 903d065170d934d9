"""In which language a short text is written. A guess: by its script, and in Latin script by function words and letters that few others use.

Made to compare what the skills of a library cover (`skills.review`). Matching never asks: there a word is a word in any language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from skills.words import HAN, HANGUL, KANA, cut

# Scripts that belong to one language, or that we do not tell apart: the first that a text has any of. Kana before Han: Japanese has both.
SCRIPTS = tuple((language, re.compile(f"[{letters}]")) for language, letters in (
    ("Japanese", KANA), ("Korean", HANGUL), ("Chinese", HAN), ("Cyrillic", "\u0400-\u04ff"), ("Arabic", "\u0600-\u06ff"), ("Hebrew", "\u0590-\u05ff"),
    ("Greek", "\u0370-\u03ff"), ("Devanagari", "\u0900-\u097f"), ("Thai", "\u0e00-\u0e7f")))
# Words as `words.cut` folds them, that none or few of the other languages here have.
WORDS = {
    "English": "the this that these of and is are what which how with from my me it to give have in does were when there between",
    "German": "der die das den dem ein eine einen und ist sind wie was welche mir mich mit diese diesen dieser dieses aus auf zu nicht ich im alle",
    "Dutch": "het een van en wat hoe welke deze dit mij voor niet zijn geef uit maak alle de tekst",
    "French": "de le la les des du ce cette ces et est quels quelles quel quelle dans pour moi ne pas sur ces une donne entre qu y",
    "Spanish": "de el los las del este esta estos estas y que cual cuanto como cuando para por un una en hay mi dime con",
    "Italian": "il questo questa questi queste di gli della dei che e quali quando sono da dammi un una due ci",
    "Portuguese": "de o os as do da dos das este deste desta neste nesta esta estes e que quais quantos um uma em no na meu para com faca",
    "Turkish": "bir bu ve ne icin ile bana nasil hangi var mi su",
    "Indonesian": "yang di dari untuk dengan ini itu apa dan saya berapa bagaimana",
}
LETTERS = {"German": "ßäöü", "Spanish": "ñ¿¡", "Portuguese": "ãõ", "French": "èêœù", "Turkish": "ışğ"}   # of few others here; each counts as a word
_KNOWN = {language: frozenset(words.split()) for language, words in WORDS.items()}


def guess(text: str) -> str | None:
    """The language of a text, None where it has no letters or nothing tells: a name or a single word in Latin script."""
    text = unicodedata.normalize("NFC", text)
    for language, letters in SCRIPTS:
        if letters.search(text):
            return language
    words = cut(text).words
    votes = Counter({language: sum([word in known for word in words]) for language, known in _KNOWN.items()})
    for language, signs in LETTERS.items():
        votes[language] += sum([letter in signs for letter in text.casefold()])
    (first, most), (_, next_most) = votes.most_common(2)
    return first if most > next_most else None
