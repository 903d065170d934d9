"""The key terms of a text: words and pairs of words that it repeats, or runs of characters in Chinese and Japanese.

Counts are bounded: when there are too many different terms, those seen once are forgotten.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from words import HAN_RUN, TOKEN, UNSPACED_RUN

CHINESE_PARTICLES = re.compile("[的了是在和与與及也就都而着著被把对對为為从從以之于於并或很但这這那们們]")      # stand between terms, not in them
TERMS_STORED_MAX = 300_000
GRAM_CHARACTERS_MAX = 4            # of a Chinese term
LETTERS_MIN = 3
PAIR_SHARE = 0.45                  # of the uses of its rarer word that make a pair a term of its own
FREQUENT_LETTERS = 4
FREQUENT_SHARE = 0.015             # of all words: a short word this frequent carries no topic


class Terms:
    """Counts the terms of sentences."""

    def __init__(self, stop: frozenset[str], language: str | None) -> None:
        self.stop = stop
        self.language = language
        self.words: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.grams: Counter[str] = Counter()
        self.forms: dict[str, Counter[str]] = {}
        self.total = 0

    def add(self, text: str) -> None:
        """Count the terms of one sentence."""
        before = ""
        for token in TOKEN.findall(text):
            if UNSPACED_RUN.match(token):
                before = ""
                for run in HAN_RUN.findall(token):
                    for part in CHINESE_PARTICLES.split(run) if self.language == "zh" else (run,):
                        self._gram(part)
                continue
            word = token.casefold()
            self.total += 1
            if word in self.stop or len(word) < LETTERS_MIN or word[0].isdigit():
                before = ""
                continue
            self.words[word] += 1
            self.forms.setdefault(word, Counter())[token] += 1
            if before:
                self.pairs[before, word] += 1
            before = word
        for counts in (self.words, self.pairs, self.grams):
            if len(counts) > TERMS_STORED_MAX:
                for key in [key for key, count in counts.items() if count == 1]:
                    del counts[key]
        if len(self.forms) > 2 * TERMS_STORED_MAX:
            self.forms = {word: forms for word, forms in self.forms.items() if word in self.words}

    def _gram(self, part: str) -> None:
        if "\u30a1" <= part[:1] <= "\u30fc":
            self.grams[part] += 1
            return
        for size in range(2, min(GRAM_CHARACTERS_MAX, len(part)) + 1):
            for at in range(len(part) - size + 1):
                self.grams[part[at:at + size]] += 1

    def best(self, number: int) -> list[dict[str, object]]:
        """The `number` strongest terms with their counts, strongest first."""
        scored: list[tuple[float, str, int]] = []
        paired: Counter[str] = Counter()
        for (left, right), count in self.pairs.items():
            if count >= 2 and count >= PAIR_SHARE * min(self.words[left], self.words[right]):
                scored.append((count * 1.6, f"{self._form(left)} {self._form(right)}", count))
                paired[left] = max(paired[left], count)
                paired[right] = max(paired[right], count)
        for word, count in self.words.items():
            alone = count - paired[word]
            frequent = len(word) <= FREQUENT_LETTERS and not self.stop and count > FREQUENT_SHARE * self.total > 3
            if alone >= 2 and not frequent:
                scored.append((alone * min(1.3, 0.6 + len(word) / 12), self._form(word), count))
        scored.extend(self._best_grams())
        scored.sort(key=lambda item: (-item[0], item[1]))
        return [{"term": term, "count": count} for _score, term, count in scored[:number]]

    def _best_grams(self) -> list[tuple[float, str, int]]:
        """Runs of characters that occur at least twice and are not merely part of a longer one."""
        frequent = {gram: count for gram, count in self.grams.items() if count >= 2}
        inside: Counter[str] = Counter()
        for gram, count in frequent.items():
            for size in range(2, len(gram)):
                for at in range(len(gram) - size + 1):
                    part = gram[at:at + size]
                    inside[part] = max(inside[part], count)
        return [(count * math.log2(len(gram) + 0.5), gram, count) for gram, count in frequent.items() if count > 1.5 * inside[gram]]

    def _form(self, word: str) -> str:
        """How a word is most often written."""
        forms = self.forms.get(word)
        return forms.most_common(1)[0][0] if forms else word
