"""What a linear model sees of a text: its words, pairs of neighbours, and pieces of three and four characters, each as often as it is there.

Pieces let inflections, compounds and typos meet in any language with an alphabet; pairs keep some of the order.
"""

from __future__ import annotations

from itertools import pairwise

from skills.words import Cut, stem


def counts(cut: Cut) -> dict[str, int]:
    """How often each feature is in a text. Pieces are marked by their length, pairs by the space in them."""
    stems = [stem(word) for word in cut.words]
    found = stems + [stem(word) for word in cut.compounds] + [f"{one} {other}" for one, other in pairwise(stems)]
    for word in cut.words:
        edged = f"<{word}>"
        found += [f"3{edged[at:at + 3]}" for at in range(len(edged) - 2)]
        found += [f"4{edged[at:at + 4]}" for at in range(len(edged) - 3)]
    counted: dict[str, int] = {}
    for feature in found:
        counted[feature] = counted.get(feature, 0) + 1
    return counted
