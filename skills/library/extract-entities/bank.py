"""Recognisers for IBANs and payment card numbers: both are taken only when their check digits are right."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spans import Entity

IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}[A-Z0-9 ]{11,40}")
# Country and length, from the IBAN registry.
IBAN_TEXT = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18
GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15
PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in IBAN_TEXT.split()}
CARD = re.compile(r"(?<![\w.,+-])(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}(?:[ -]?\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})(?![\w-]|[.,]\d)", re.ASCII)


def ibans(text: str) -> Iterator[Entity]:
    """IBANs whose length fits their country and whose check digits are right."""
    for found in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2])
        if length is None:
            continue
        end, compact = found.start(), ""
        while end < found.end() and len(compact) < length:
            compact += "" if text[end] == " " else text[end]
            end += 1
        if len(compact) == length and not text[end:end + 1].isalnum() and iban_is_right(compact):
            yield Entity("iban", found.start(), end, compact, 0.99, {"country": compact[:2]})


def iban_is_right(compact: str) -> bool:
    """The check of ISO 13616: the rearranged number modulo 97 is 1."""
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def cards(text: str) -> Iterator[Entity]:
    """Payment card numbers with a known beginning and a right Luhn digit."""
    for found in CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        network = network_of(digits)
        if network and luhn(digits) and len(set(digits)) > 1:
            yield Entity("card", found.start(), found.end(), digits, 0.97 if len(found[0]) > len(digits) else 0.85, {"network": network})


def luhn(digits: str) -> bool:
    """The check of ISO 7812: every second digit from the right counts double, digit by digit."""
    doubled = "0246813579"
    return sum(int(doubled[int(digit)]) if place % 2 else int(digit) for place, digit in enumerate(reversed(digits))) % 10 == 0


def network_of(digits: str) -> str | None:
    """The network of a card number by its first digits and its length; None if no network has such numbers."""
    two, four, length = int(digits[:2]), int(digits[:4]), len(digits)
    rows = (("visa", digits[0] == "4" and length in (13, 16, 19)), ("mastercard", (51 <= two <= 55 or 2221 <= four <= 2720) and length == 16),
            ("american express", two in (34, 37) and length == 15), ("jcb", 3528 <= four <= 3589 and length >= 16),
            ("diners club", (two in (36, 38) or 300 <= int(digits[:3]) <= 305) and length == 14),
            ("discover", (two == 65 or four == 6011 or 644 <= int(digits[:3]) <= 649) and length >= 16),
            ("unionpay", two == 62 and length >= 16), ("maestro", two in (50, 56, 57, 58, 63, 67) and length >= 13))
    return next((name for name, fits in rows if fits), None)
