"""Recognisers for IBANs and payment card numbers: both are taken only when their check digits are right."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spans import Find

IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
IBAN_LENGTH_MIN, IBAN_LENGTH_MAX = 15, 34
CARD = re.compile(r"(?<![\w.,+-])(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}(?:[ -]?\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})(?![\w-]|[.,]\d)", re.ASCII)
CARD_PREFIX = re.compile(r"4|5[0-8]|2[2-7]|3[04-8]|6")


def ibans(text: str) -> Iterator[Find]:
    """IBANs with the right check digits; the end is where the check holds, because words may follow without a mark."""
    for found in IBAN.finditer(text):
        compact, ends = "", []
        for place, character in enumerate(found[0]):
            if character not in " -":
                compact += character
                if IBAN_LENGTH_MIN <= len(compact) <= IBAN_LENGTH_MAX and not found[0][place + 1:place + 2].isalnum() and iban_is_right(compact):
                    ends.append(place + 1)
        if ends and not text[found.start() + ends[-1]:found.start() + ends[-1] + 1].isalnum():
            yield Find("iban", found.start(), found.start() + ends[-1], 0.98)


def iban_is_right(compact: str) -> bool:
    """The check of ISO 13616: the rearranged number modulo 97 is 1."""
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def cards(text: str) -> Iterator[Find]:
    """Payment card numbers with a known beginning and a right Luhn digit."""
    for found in CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if CARD_PREFIX.match(digits) and luhn(digits) and len(set(digits)) > 1:
            yield Find("card", found.start(), found.end(), 0.97 if len(found[0]) > len(digits) else 0.85)


def luhn(digits: str) -> bool:
    """The check of ISO 7812: every second digit from the right counts double, digit by digit."""
    doubled = "0246813579"
    return sum(int(doubled[int(digit)]) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits))) % 10 == 0
