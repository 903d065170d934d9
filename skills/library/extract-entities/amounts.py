"""Recognisers for numbers with a meaning: amounts of money, percentages and measurements.

Numbers follow many conventions (1,234.56  1.234,56  1 234,56  1'234.56  1,23,456). One separator with three digits after it could be either kind;
it is read as thousands, and flagged unless the currency's own convention says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from currencies import ASSUMED, CODES, COMMA_THOUSANDS, DOT_THOUSANDS, SCALES, SIGNS, WORDS
from spans import Entity

NUMBER = r"\d{1,3}(?:[.,'’ ]\d{3}){1,8}(?:[.,]\d{1,4})?(?!\d)|\d{1,2}(?:,\d{2}){1,8},\d{3}(?:\.\d{1,2})?(?!\d)|\d{1,24}(?!\d)(?:[.,]\d{1,24})?(?!\d)"
SCALE = "|".join(sorted((re.escape(word) for word in SCALES), key=len, reverse=True))
CURRENCY = re.compile(
    r"(?<![A-Za-z])(?:US|AU?|CA?|NZ|HK|S|R|NT|MX)?\$|[€£¥₹₩₽₺₴₪₫฿₱₦]|(?<![A-Za-z])(?:RM|Rs\.?|Fr\.|TL)(?=\s?\d)"
    r"|(?<=\d)\s?(?:zł|Kč|Ft|kr\.?|руб\.?|р\.|lei|TL)(?!\w)"
    rf"|(?<![A-Za-z])(?:{'|'.join(CODES)})(?![A-Za-z])|人民币|(?<=[\d万萬億亿千兆])(?:元|円|원)|(?<=[만억])\s?원"
    rf"|(?<=[\s\d万億亿])(?i:{'|'.join(sorted(WORDS, key=len, reverse=True))})(?![a-zà-ÿ])")
AFTER = re.compile(rf"\s?([-+]?)({NUMBER})(?:\s?({SCALE})\b\.?|([万萬億亿兆만억千])(?:[元円원])?)?", re.IGNORECASE)
BEFORE = re.compile(rf"(?<![A-Za-z0-9.,])([-+]?)({NUMBER})(?:\s?({SCALE})\.?)?(?:\s(?:de|d['’]))?\s?\Z", re.IGNORECASE)
PERCENT = re.compile(r"\s?(?:%|‰|per ?cent\b|percent\b|prozent\b|pour ?cent\b|por ciento\b|por cento\b|per cento\b|procent\b"
                     r"|процент\w{0,3}\b|パーセント)", re.IGNORECASE)
UNIT = ("km/h|km²|km2|km|cm|mm|m²|m2|m³|m3|µm|nm|kg|mg|lbs?|oz|ft|mi|mph|miles?|metres?|meters?|°C|°F|℃|kWh|MWh|GWh|kW|MW|GW|GHz|MHz|kHz|Hz"
        "|TB|GB|MB|kB|KB|TiB|GiB|MiB|KiB|ml|litres?|liters?|ms|hours?|minutes?|seconds?|Stunden|Minuten|heures|minutos|horas|m|g|l|t|W|V")
MEASURE = re.compile(rf"(?<![A-Za-z0-9.,/:-])([-+]?)({NUMBER})\s?({UNIT})(?![\w²³/°-])")


def number_of(text: str, comma_thousands: bool | None) -> tuple[Decimal, list[Decimal]]:
    """The number that digits and separators mean, and both readings when that is not certain.

    `comma_thousands` says which separator marks thousands by convention; None when nothing is known.
    """
    compact = re.sub(r"[ '’]", "", text)
    dots, commas = compact.count("."), compact.count(",")
    if not dots and not commas:
        return Decimal(compact), []
    if dots and commas:
        decimal = "." if compact.rfind(".") > compact.rfind(",") else ","
        return Decimal(compact.replace("," if decimal == "." else ".", "").replace(",", ".")), []
    sign = "." if dots else ","
    if dots + commas > 1:
        return Decimal(compact.replace(sign, "")), []
    whole, part = compact.split(sign)
    as_decimal = Decimal(f"{whole}.{part}")
    if len(part) != 3 or whole == "0" or len(whole) > 3 or " " in text:
        return as_decimal, []
    as_thousands = Decimal(whole + part)
    certain = comma_thousands is not None and comma_thousands == (sign == ",")
    return as_thousands, [] if certain else [as_thousands, as_decimal]


def plain(value: Decimal) -> str:
    """A number without exponent."""
    return format(value, "f")


def currency_of(sign: str) -> str:
    """The ISO code of a sign, a code or a word."""
    code = SIGNS.get(sign) or WORDS.get(sign.lower()) or sign
    return "CNY" if code == "RMB" else code


def amounts(text: str) -> Iterator[Entity]:
    """Amounts of money, with the currency before or after the number."""
    taken = -1
    for found in CURRENCY.finditer(text):
        sign = found[0].strip()
        after = AFTER.match(text, found.end())
        before = BEFORE.search(text, max(0, found.start() - 40), found.start())
        if before is not None and before.start() < taken:
            before = None
        trailing = before is not None and not (after is not None and sign.endswith(("$", "£")) and text[found.start() - 1] == " ")
        number = before if trailing else after
        if number is None:
            continue
        start, end = (number.start(), found.end()) if trailing else (found.start(), number.end())
        if not trailing and start and text[start - 1] == "-" and (start == 1 or text[start - 2] in " (\n\t"):
            start -= 1
        elif not trailing and text[end:end + 1].isdigit():
            continue
        taken = end
        yield amount(text, start, end, number, sign)


def amount(text: str, start: int, end: int, number: re.Match[str], sign: str) -> Entity:
    """One amount from its number and its currency."""
    currency = currency_of(sign)
    convention = True if currency in COMMA_THOUSANDS else False if currency in DOT_THOUSANDS else None
    value, readings = number_of(number[2], convention)
    groups = number.groups()
    scale = SCALES[next(part for part in groups[2:] if part).lower()] if any(groups[2:]) else 0
    if scale and readings:
        value, readings = readings[1], []          # 1.234 million is never thousands of millions
    negative = "-" if number[1] == "-" or text[start] == "-" else ""
    shown = [negative + plain((reading * Decimal(10) ** scale).normalize() if scale else reading) for reading in (value, *readings)]
    details: dict[str, Any] = {"amount": shown[0], "currency": currency}
    if sign in ASSUMED or sign.lower() in ASSUMED:
        details["currency_assumed"] = True
    if readings:
        details |= {"ambiguous": True, "candidates": [f"{reading} {currency}" for reading in shown[1:]]}
    return Entity("amount", start, end, f"{shown[0]} {currency}", 0.75 if readings else 0.93, details)


def percentages(text: str) -> Iterator[Entity]:
    """Percentages and per mille; one separator is the decimal sign."""
    for found in PERCENT.finditer(text):
        before = BEFORE.search(text, max(0, found.start() - 30), found.start())
        if before is None or before[3]:
            continue
        value, readings = number_of(before[2], None)
        value = readings[1] if readings else value
        sign = "‰" if "‰" in found[0] else "%"
        yield Entity("percentage", before.start(), found.end(), f"{'-' if before[1] == '-' else ''}{plain(value)}{sign}", 0.95)


def measures(text: str) -> Iterator[Entity]:
    """Numbers with a unit. Single letters (5 m) have less confidence."""
    for found in MEASURE.finditer(text):
        value, readings = number_of(found[2], None)
        details: dict[str, Any] = {"number": found[1].replace("+", "") + plain(value), "unit": found[3]}
        if readings:
            details |= {"ambiguous": True, "candidates": [f"{plain(reading)} {found[3]}" for reading in readings]}
        confidence = 0.55 if len(found[3]) == 1 else 0.85
        yield Entity("measure", found.start(), found.end(), f"{details['number']} {found[3]}", confidence, details)
