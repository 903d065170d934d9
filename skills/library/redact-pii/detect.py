"""All recognisers together: which spans of a text go, after the client's types, confidence and allow list."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any

from addresses import addresses
from bank import cards, ibans
from contacts import devices, emails, locations, phones
from credentials import secrets_in
from national import accounts, national_ids
from people import KnownNames, births, names
from spans import KINDS, PLAIN, Find, joined

CONFIDENCE_MIN = 0.5

Recogniser = Callable[[str], Iterable[Find]]


class Detector:
    """Finds personal data in one string at a time."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.kinds = frozenset(data.get("types") or KINDS)
        self.confidence_min = data.get("min_confidence", CONFIDENCE_MIN)
        allowed = [entry.casefold() for entry in data.get("allow", [])]
        self.allowed = frozenset(entry for entry in allowed if "*" not in entry and "?" not in entry)
        wild = [fnmatch.translate(entry) for entry in allowed if "*" in entry or "?" in entry]
        self.allowed_forms = re.compile("|".join(wild)) if wild else None
        self.known = KnownNames()
        rows: tuple[tuple[tuple[str, ...], Recogniser], ...] = (
            (("secret",), secrets_in), (("iban",), ibans), (("card",), cards), (("national_id",), national_ids), (("email",), emails),
            (("ip", "mac"), devices), (("birth_date",), births), (("account",), accounts), (("address",), addresses), (("phone",), phones),
            (("name",), names), (("name",), self.known.again), (("location",), locations))
        self.recognisers = [function for kinds, function in rows if self.kinds.intersection(kinds)]

    def finds(self, text: str) -> list[Find]:
        """The spans to redact, without overlaps, in order."""
        plain = text.translate(PLAIN)
        return joined(one for recogniser in self.recognisers for one in recogniser(plain) if self._counts(one, text))

    def names(self, text: str) -> list[str]:
        """The names that something in the text announces, for the pass that collects them."""
        if "name" not in self.kinds:
            return []
        return [text[one.start:one.end] for one in names(text.translate(PLAIN)) if self._counts(one, text)]

    def is_allowed(self, value: str) -> bool:
        """Whether the client wants this value left as it is."""
        plain = value.casefold().strip()
        return plain in self.allowed or (self.allowed_forms is not None and self.allowed_forms.match(plain) is not None)

    def _counts(self, one: Find, text: str) -> bool:
        return one.kind in self.kinds and one.confidence >= self.confidence_min and not self.is_allowed(text[one.start:one.end])
