"""Recognisers for IBANs and payment card numbers: both are taken only when their check digits are right."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spans import Find

IBAN = re.compile(r"(?<![A-Za-z0-9-])(?:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}|[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30})")
# Country and length, from the IBAN registry.
IBAN_TEXT = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18
GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15
PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in IBAN_TEXT.split()}
CARD = re.compile(r"(?<![\w.,+-])(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}(?:[ -]?\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5})(?![\w-]|[.,]\d)", re.ASCII)
CARD_PREFIX = re.compile(r"4|5[0-8]|2[2-7]|3[04-8]|6")


def ibans(text: str) -> Iterator[Find]:
    """IBANs whose length fits their country and whose check digits are right."""
    for found in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2].upper())
        if length is None:
            continue
        end, compact = found.start(), ""
        while end < found.end() and len(compact) < length:
            compact += "" if text[end] in " -" else text[end]
            end += 1
        if len(compact) == length and not text[end:end + 1].isalnum() and iban_is_right(compact):
            yield Find("iban", found.start(), end, 0.98)


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
