"""Where in a long text the request stands: people write what they want in a line, and paste what it is about behind or before it.

Looks at lines and lengths only; whether a line is a request is for the ranking to say.
"""

from __future__ import annotations

import re

CHARACTERS_MAX = 4_000                 # of a task that are read as a whole
PASTED_CHARACTERS_MIN = 200            # beside the line that may be the request: less is part of it
REQUEST_CHARACTERS = range(8, 500)     # of a line that may be one

PROSE_SHARE = 0.75                     # of letters and spaces

_APART = re.compile(r"\n[ \t\r]*\n|```")


def readings(text: str) -> list[str]:
    """The texts that a task may be read as, the whole first: then its first line and, where it stands apart from the rest, its last."""
    found = [text[:CHARACTERS_MAX]]
    stripped = text.strip()
    if len(stripped) <= PASTED_CHARACTERS_MIN or "\n" not in stripped:
        return found
    first, last = stripped.partition("\n")[0].strip(), _APART.split(stripped.rstrip("`"))[-1].strip()
    for line in (first, last):
        if len(line) in REQUEST_CHARACTERS and "\n" not in line and len(stripped) - len(line) >= PASTED_CHARACTERS_MIN and _is_prose(line):
            found.append(line)
    return found


def _is_prose(line: str) -> bool:
    """Words, not the head or a row of a table: these have no spaces, or more signs and digits than a sentence."""
    letters = sum([character.isalpha() or character.isspace() for character in line])
    return letters >= PROSE_SHARE * len(line) and (" " in line or not line.isascii())
