"""What a linear model sees of a text: its words, pairs of neighbours, and pieces of three and four characters, each as often as it is there.

Pieces let inflections, compounds and typos meet in any language with an alphabet; pairs keep some of the order.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import pairwise

from skills.words import Cut, stem

WORDS_REMEMBERED = 20_000              # whose pieces are known, a kilobyte each


def counts(cut: Cut) -> dict[str, int]:
    """How often each feature is in a text. Pieces are marked by their length, pairs by the space in them."""
    stems = [stem(word) for word in cut.words]
    found = stems + [stem(word) for word in cut.compounds] + [f"{one} {other}" for one, other in pairwise(stems)]
    for word in cut.words:
        found += _pieces(word)
    return Counter(found)


@lru_cache(WORDS_REMEMBERED)
def _pieces(word: str) -> tuple[str, ...]:
    """Those of one word, whose ends count as characters."""
    edged = f"<{word}>"
    return tuple([f"3{edged[at:at + 3]}" for at in range(len(edged) - 2)] + [f"4{edged[at:at + 4]}" for at in range(len(edged) - 3)])
