"""Recognisers for how a person or a device is reached: e-mail, phone, IP and MAC addresses, coordinates."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from spans import Find

LOCAL = re.compile(r"[\w.+%'&~-]{1,64}\Z")
DOMAIN = re.compile(r"(?:\w(?:[\w-]{0,61}\w)?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})", re.IGNORECASE)
SPELLED = re.compile(r"[\w.+-]{2,64}\s?[\[({]\s?at\s?[\])}]\s?[\w-]+(?:\s?[\[({]\s?dot\s?[\])}]\s?|\.)[\w.-]{2,}", re.IGNORECASE)

OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IPV4 = re.compile(rf"(?<![\w.])(?:{OCTET}\.){{3}}{OCTET}(?![\w]|\.\d)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:|::?)(?:[0-9A-Fa-f]{0,4}:){1,7}"
                  r"(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])", re.ASCII)
VERSION = re.compile(r"(?:\bv|version|release|ver\.?|build)\s?\Z", re.IGNORECASE)
MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
COORDINATES = re.compile(r"(?<![\d.])-?(?:[1-8]?\d(?:\.\d{4,})|90\.0+),\s?-?(?:1[0-7]\d|\d{1,2})\.\d{4,}(?!\d)")

PHONE = re.compile(r"(?<![\w.,/+#-])(?<!\d:)(?:(?:\+|00)\s?)?\(?\+?\d(?:[\d ().\-/–]{4,22})\d(?:,?\s?(?:ext\.?|x|Durchwahl|poste)\.?\s?\d{1,6})?"
                   r"(?![\w%€$£°/]|[.,:-]\d)", re.IGNORECASE | re.ASCII)
PHONE_LABEL = re.compile(
    r"(?:tel|t[ée]l[ée]?(?:phone|fono|fon)?|phones?|fax|mobile?|mob|cell(?:ulare|ular)?|call|handy|whatsapp|m[óo]vil|ruf(?:en|nummer)|hotline"
    r"|sms|contact|portable|telefoon|puhelin|тел|телефон|факс|моб|電話|电话|手機|手机|携帯|联系方式|連絡先|전화|휴대폰)[\w]*\.?"
    r"(?: ?(?:no|nr|number|nummer|num[ée]ro|n[°º]|us at|me at|us on|me on|番号|号码)\.?)?[\"']?\s?[:.=(：]?\s*[\"']?(?:is |at "
    r"|on )?\Z", re.IGNORECASE)
NOT_PHONE = re.compile(
    r"(?:order|invoice|ticket|case|isbn|issn|bestell\w*|rechnung\w*|facture|commande|pedido|factura|serial|s/n|sku|version|part|tracking|№|#"
    r"|订单|注文|pid|id|line|port|size|count|amount|total|price)[\w-]*\.?(?: ?(?:no|nr|number|nummer"
    r"|n[°º])\.?)?[\"']?\s?[:.#=(：]?\s*\Z", re.IGNORECASE)
NO_PHONE_SHAPE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?: \d.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: \d.*)?|\d{4}\s?[-–/]\s?\d{4}"
                            r"|\d{1,3}(?: \d{3})+|\d+\.\d+")
PHONE_FORMS = tuple((re.compile(form), confidence) for form, confidence in (
    (r"(?:1[ .-]?)?\([2-9]\d\d\)\s?\d{3}[ .-]\d{4}|(?:1[ .-])?[2-9]\d\d([ .-])[2-9]\d\d\1\d{4}", 0.88),
    (r"0[1-9](?:([ .-])\d\d)(?:\1\d\d){3}|0\d{1,4}-\d{1,4}-\d{4}|01[016789]-\d{3,4}-\d{4}|\(\d\d\)\s?9?\d{4}-\d{4}", 0.88),
    (r"\(?0\d{2,4}\)?[ -]\d{3,4}[ -]?\d{3,4}|07\d{3}[ -]\d{3}[ -]?\d{3}|04\d\d \d{3} \d{3}|1[3-9]\d([ -]?)\d{4}\1\d{4}", 0.8),
    (r"\(?0\d{2,5}\)?\s?[/–-]\s?\d[\d -]{3,10}\d|[6789]\d\d(?: \d\d){3}"
     r"|0?[6-9]\d{4}[ -]\d{5}|0\d{2,4} \d{5,9}|0\d{2,5} \d{2,4}(?:[ -]\d{2,5}){1,3}", 0.65),
))


def emails(text: str) -> Iterator[Find]:
    """E-mail addresses, with the signs written out too (jane [at] example [dot] org)."""
    at = text.find("@")
    while at >= 0:
        before, domain = LOCAL.search(text, max(0, at - 64), at), DOMAIN.match(text, at + 1)
        if before is not None and domain is not None:
            yield Find("email", before.start(), domain.end(), 0.97)
        at = text.find("@", at + 1)
    for found in SPELLED.finditer(text):
        yield Find("email", found.start(), found.end(), 0.75)


def devices(text: str) -> Iterator[Find]:
    """IP and MAC addresses; loopback and unspecified addresses say nothing about anybody."""
    for found in IPV4.finditer(text):
        address = ipaddress.IPv4Address(found[0])
        if not address.is_loopback and not address.is_unspecified:
            yield Find("ip", found.start(), found.end(), 0.4 if VERSION.search(text, max(0, found.start() - 12), found.start()) else 0.93)
    for found in IPV6.finditer(text):
        groups = [group for group in found[0].split(":") if group]
        try:
            six = ipaddress.IPv6Address(found[0])
        except ValueError:
            continue
        if (any(len(group) >= 3 for group in groups) or len(groups) >= 6) and not six.is_loopback:
            yield Find("ip", found.start(), found.end(), 0.95)
    for found in MAC.finditer(text):
        yield Find("mac", found.start(), found.end(), 0.9)


def phones(text: str) -> Iterator[Find]:
    """Phone numbers: with a plus, in a national form, or after a word such as `Tel`."""
    for found in PHONE.finditer(text):
        main = found[0].strip()
        digits = re.sub(r"\D", "", re.split(r"[a-zA-Z]", main)[0])
        start = found.end() - len(found[0].lstrip())
        if not 6 <= len(digits) <= 16 or len(set(digits)) == 1:
            continue
        before = text[max(0, start - 40):start]
        labelled = PHONE_LABEL.search(before) is not None
        if main.lstrip("(").startswith("+") or (main.startswith("00") and len(digits) >= 10):
            confidence = 0.95 if len(digits) >= 7 else 0.0
        elif not labelled and (NO_PHONE_SHAPE.fullmatch(main) or NOT_PHONE.search(before)):
            confidence = 0.0
        else:
            confidence = next((value for form, value in PHONE_FORMS if form.fullmatch(re.split(r",?\s?[a-zA-Z]", main)[0])), 0.0)
            confidence = max(confidence, 0.85) if labelled else confidence
        if confidence:
            yield Find("phone", start, found.end() - (len(found[0]) - len(found[0].rstrip())), confidence)


def locations(text: str) -> Iterator[Find]:
    """Pairs of coordinates exact enough to name a house."""
    for found in COORDINATES.finditer(text):
        yield Find("location", found.start(), found.end(), 0.7)
