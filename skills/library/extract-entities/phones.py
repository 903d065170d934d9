"""A recogniser for phone numbers: international ones by their country code, national ones by the forms that are common in their country.

Digits alone are no phone number: without a plus, a known form or a word such as `Tel` before them they are left alone, and words such as `order`
or `invoice` before them rule them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spans import Entity

CANDIDATE = re.compile(r"(?<![\w.,/+#-])(?<!\d:)(?:(?:\+|00)\s?)?\(?\+?\d(?:[\d ().\-/–]{4,22})\d"
                       r"(?:,?\s?(?:ext\.?|x|extension|Durchwahl|poste|内線|分机)\.?\s?\d{1,6})?"
                       r"(?![\w%€$£°/]|[.,:-]\d)", re.IGNORECASE | re.ASCII)
EXTENSION = re.compile(r",?\s?(?:ext\.?|x|extension|durchwahl|poste|内線|分机)\.?\s?(\d{1,6})\Z", re.IGNORECASE)
LABEL = re.compile(
    r"(?:tel|t[ée]l[ée]?(?:phone|fono|fon)?|phones?|fax|mobile?|mob|cell(?:ulare|ular)?|call|handy|whatsapp|m[óo]vil|ruf(?:en|nummer)|hotline"
    r"|sms|contact|portable|telefoon|puhelin|тел|телефон|факс|моб|電話|电话|手機|手机|携帯|联系方式|連絡先|전화|휴대폰)[\w]*\.?"
    r"(?: ?(?:no|nr|number|nummer|num[ée]ro|n[°º]|us at|me at|us on|me on|番号|号码)\.?)?\s?[:.=(：]?\s*(?:is |at |on )?\Z", re.IGNORECASE)
NOT_PHONE = re.compile(
    r"(?:order|invoice|ticket|case|id|isbn|issn|account|konto|bestell\w*|rechnung\w*|kunden\w*|facture|commande|pedido|factura|serial|s/n|sku"
    r"|ref(?:erence)?|version|card|iban|part|tracking|code|vat|ust|siret|№|#|订单|注文|編號|编号|番号)[\w-]*\.?"
    r"(?: ?(?:no|nr|number|nummer|n[°º])\.?)?\s?[:.#=(：]?\s*\Z", re.IGNORECASE)
SHAPED_LIKE_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?: \d.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: \d.*)?|\d{4}\s?[-–/]\s?\d{4}"
                              r"|\d{1,3}(?: \d{3})+|\d+\.\d+")
CODE_TEXT = """
1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 211
212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250
251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371
372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596
597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881
882 883 886 888 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998
"""
CODES = frozenset(CODE_TEXT.split())
# Country: its code and the trunk prefix that goes when the code comes.
COUNTRIES = {"US": ("1", "1"), "CA": ("1", "1"), "GB": ("44", "0"), "DE": ("49", "0"), "AT": ("43", "0"), "CH": ("41", "0"), "FR": ("33", "0"),
             "ES": ("34", ""), "IT": ("39", ""), "PT": ("351", ""), "NL": ("31", "0"), "BE": ("32", "0"), "SE": ("46", "0"), "DK": ("45", ""),
             "NO": ("47", ""), "PL": ("48", ""), "JP": ("81", "0"), "CN": ("86", "0"), "KR": ("82", "0"), "IN": ("91", "0"), "BR": ("55", "0"),
             "AU": ("61", "0"), "MX": ("52", ""), "RU": ("7", "8"), "TR": ("90", "0"), "IE": ("353", "0"), "NZ": ("64", "0"), "ZA": ("27", "0")}
# National forms: (country or None where several share it, form, confidence).
FORMS = tuple((country, re.compile(form), confidence) for country, form, confidence in (
    ("US", r"(?:1[ .-]?)?\([2-9]\d\d\)\s?[2-9]\d\d[ .-]\d{4}", 0.92),
    ("US", r"(?:1[ .-])?[2-9]\d\d([ .-])[2-9]\d\d\1\d{4}", 0.85),
    ("FR", r"0[1-9](?:([ .-])\d\d)(?:\1\d\d){3}", 0.9),
    ("GB", r"\(?0(?:20|23|24|28|29)\)?[ -]?\d{4}[ -]\d{4}|\(?01\d{2,3}\)?[ -]\d{3}[ -]?\d{3,4}"
           r"|\(?01\d{3}\)?[ -]\d{5,6}|07\d{3}[ -]\d{3}[ -]?\d{3}|0[38]\d\d \d{3} \d{4}", 0.82),
    ("JP", r"0\d{1,4}-\d{1,4}-\d{4}|\(0\d{1,4}\)\s?\d{1,4}-\d{4}", 0.85),
    ("KR", r"01[016789]-\d{3,4}-\d{4}", 0.85),
    ("CN", r"1[3-9]\d([ -]?)\d{4}\1\d{4}|0\d{2,3}-\d{7,8}", 0.8),
    ("BR", r"\(\d\d\)\s?9?\d{4}-\d{4}", 0.88),
    ("AU", r"04\d\d \d{3} \d{3}|\(0[2378]\) \d{4} \d{4}", 0.85),
    ("ES", r"[6789]\d\d(?: \d\d){3}", 0.75),
    ("IN", r"0?[6-9]\d{4}[ -]\d{5}", 0.65),
    ("DE", r"\(?0\d{2,5}\)?\s?[/–-]\s?\d[\d -]{3,10}\d", 0.72),
    ("IT", r"3\d\d[ .-]\d{3}[ .-]?\d{3,4}", 0.55),
    (None, r"\(0\d{1,5}\)\s?\d[\d -]{4,10}\d|0\d{2,5} \d{2,4}(?:[ -]\d{2,5}){1,3}|0\d{2,4} \d{5,9}", 0.6),
))


class Phones:
    """The recogniser; `country` (ISO code or None) turns national numbers into international ones."""

    def __init__(self, country: str | None) -> None:
        self.country = country

    def find(self, text: str) -> Iterator[Entity]:
        """Phone numbers; E.164 where the country is known, else digits only."""
        for found in CANDIDATE.finditer(text):
            raw = found[0].strip()
            start = found.start() + len(found[0]) - len(found[0].lstrip())
            entity = self._judged(text, start, raw)
            if entity is not None:
                yield entity

    def _judged(self, text: str, start: int, raw: str) -> Entity | None:
        """A candidate that is a phone number, or None."""
        extension = EXTENSION.search(raw)
        main = (raw[:extension.start()] if extension else raw).strip()
        if main.count("(") != main.count(")"):
            return None
        digits = re.sub(r"\D", "", main)
        if not 6 <= len(digits) <= 16 or len(set(digits)) == 1:
            return None
        details = {"extension": extension[1]} if extension else {}
        before = text[max(0, start - 40):start]
        labelled = LABEL.search(before) is not None
        if main.lstrip("(").startswith("+") or (main.startswith("00") and len(digits) >= 10):
            number = international(main)
            if number is None:
                return None
            return Entity("phone", start, start + len(raw), number, 0.97 if main.lstrip("(").startswith("+") else 0.85, details)
        if SHAPED_LIKE_DATE.fullmatch(main) and not labelled:
            return None
        if NOT_PHONE.search(before) and not labelled:
            return None
        country, confidence = form_of(main)
        if labelled:
            confidence = max(confidence + 0.1, 0.8)
        if confidence == 0:
            return None
        known = self.country or (country if confidence >= 0.85 else None)
        if country and not self.country:
            details["country_guessed"] = country
        return Entity("phone", start, start + len(raw), e164(digits, known), round(min(confidence, 0.97), 2), details)


def form_of(main: str) -> tuple[str | None, float]:
    """The country and confidence of the first national form that fits; (None, 0) if none does."""
    return next(((country, confidence) for country, form, confidence in FORMS if form.fullmatch(main)), (None, 0.0))


def international(main: str) -> str | None:
    """The E.164 form of a number with its country code; None if no country has this code or the length is wrong."""
    without_trunk = re.sub(r"\(0\)", "", main)
    digits = re.sub(r"\D", "", without_trunk)
    digits = digits if "+" in main else digits[2:]
    if not 7 <= len(digits) <= 15 or not any(digits[:length] in CODES for length in (1, 2, 3)):
        return None
    return "+" + digits


def e164(digits: str, country: str | None) -> str:
    """National digits with the code of a country, or as they are."""
    if country not in COUNTRIES:
        return digits
    code, trunk = COUNTRIES[country]
    return f"+{code}{digits.removeprefix(trunk)}"
