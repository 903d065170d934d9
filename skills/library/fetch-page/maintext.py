"""Which blocks of a page are its text: simple rules on length, share of links and neighbourhood, the same for every language.

A page that marks its main part is believed when that part holds enough. Elsewhere a block is text when it is long and hardly linked, and short
blocks are taken along when they stand between such. If nothing is left, more is let through rather than nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from page import Block

MAIN_WEIGHT_MIN = 250               # what a marked main part must hold to be believed
MAIN_SHARE_MIN = 0.4                # or its share of all that is not at the side
LONG_WEIGHT = 70                    # of a block that is text by itself: a full sentence
LINKED_SHARE_MAX = 0.4              # a block with more of it inside links is a list of links
LINKED_SHARE_MAIN_MAX = 0.7         # in a marked main part
NEIGHBOURS = 2                      # how near a long block must be for a short one to count
EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
EAST_ASIAN_WEIGHT = 2               # a sign says about as much as three letters; one is counted already


def main_blocks(blocks: Sequence[Block]) -> list[Block]:
    """The blocks that a reader came for, in order."""
    ahead = [block for block in blocks if not block.side]
    marked = [block for block in ahead if block.main]
    held, whole = sum(map(weight, marked)), sum(map(weight, ahead))
    if marked and (held >= MAIN_WEIGHT_MIN or held >= MAIN_SHARE_MIN * whole):
        chosen = [block for block in marked if block.kind.startswith("h") or linked_share(block) <= LINKED_SHARE_MAIN_MAX]
    else:
        chosen = _dense(ahead)
    for wider in (ahead, list(blocks)):
        if not any(not block.kind.startswith("h") for block in chosen):
            chosen = wider
    return _without_empty_headings(chosen)


def rendered(blocks: Sequence[Block]) -> str:
    """The blocks as plain text with Markdown marks for headings, items and quotes."""
    lines: list[str] = []
    for number, block in enumerate(blocks):
        tight = number > 0 and block.kind in ("li", "row") and blocks[number - 1].kind == block.kind
        if number and not tight:
            lines.append("")
        if block.kind[0] == "h":
            lines.append(f"{'#' * int(block.kind[1])} {block.text.strip('§¶# ')}")
        else:
            lines.append({"li": "- ", "quote": "> "}.get(block.kind, "") + block.text)
    return "\n".join(lines)


def weight(block: Block) -> int:
    """How much a block says: its characters, East Asian ones counted threefold."""
    return len(block.text) + EAST_ASIAN_WEIGHT * len(EAST_ASIAN.findall(block.text))


def linked_share(block: Block) -> float:
    """The share of a block that is inside links."""
    return min(1.0, block.linked / max(1, len(block.text)))


def _dense(blocks: list[Block]) -> list[Block]:
    """Long, hardly linked blocks, and the short ones that stand near them."""
    long = [weight(block) >= LONG_WEIGHT and linked_share(block) <= LINKED_SHARE_MAX and not block.kind.startswith("h") for block in blocks]
    chosen = []
    for n, block in enumerate(blocks):
        near = any(long[max(0, n - NEIGHBOURS):n + NEIGHBOURS + 1])
        if long[n] or (near and (block.kind.startswith("h") or linked_share(block) <= LINKED_SHARE_MAX)):
            chosen.append(block)
    return chosen


def _without_empty_headings(blocks: list[Block]) -> list[Block]:
    """The blocks without headings that nothing follows at the end of the page."""
    while len(blocks) > 1 and blocks[-1].kind.startswith("h"):
        blocks = blocks[:-1]
    return blocks
