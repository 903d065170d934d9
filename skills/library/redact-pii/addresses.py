"""Recognisers for postal addresses in the forms of a dozen countries, and after a word for `address`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spans import Find

WORD = r"[A-ZÀ-ÖØ-ÞĀ-Ž][\w'’.-]{0,30}"
PLACE = rf"(?:{WORD} ){{0,2}}{WORD}"
STREETS = tuple(re.compile(form, flags) for form, flags in (
    (rf"\b\d{{1,5}}[A-Za-z]?(?:[-–]\d{{1,5}})?,? (?:[NSEW]\.? )?(?:{WORD} |\d{{1,3}}(?:st|nd|rd|th) ){{1,4}}"
     r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive"
     r"|Dr|Boulevard|Blvd|Way|Court|Ct|Place|Pl|Square|Sq|Terrace|Parkway|Pkwy|Highway|Hwy|Close|Crescent|Gardens|Grove|Row"
     r"|Hill)\b\.?(?: [NSEW]{1,2}\b)?"
     rf"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|#)\.? ?#?\w{{1,6}})?(?:,? {PLACE})?(?:,? [A-Z]{{2}}(?: \d{{5}}(?:-\d{{4}})?)?"
     r"|,? [A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2})?", 0),
    (r"\b(?:[A-ZÄÖÜ][\w.-]{0,30} ){0,2}[\w.-]{0,40}(?:straße|strasse|str\.|gasse|allee|platz|weg|ring|damm|ufer"
     r"|straat|laan|plein|gracht|vägen|gatan|gata)"
     rf" \d{{1,4}} ?[a-zA-Z]?\b(?:,?\s(?:[A-Z]{{1,2}}-)?\d{{4,5}}(?: [A-Z]{{2}})? {PLACE})?", 0),
    (rf"\b(?:\d{{1,4}}(?: ?(?:bis|ter|[A-Z]))?,? )(?:rue|avenue|av\.|boulevard|bd|place|chemin|impasse|quai|allée|allées|cours|route|passage|square)"
     rf" (?:d['’eu]s? ?|de la |de l['’]|du |des |la |le )?[\w'’ -]{{2,40}}?(?=,|\n|\d|$)(?:,?\s?\d{{5}} {PLACE})?", re.IGNORECASE),
    (rf"\b(?:Calle|C/|Avenida|Avda\.?|Plaza|Paseo|Pº|Carrer|Rua|Travessa|Via|Viale|Piazza|Corso|Largo|ul\.|ulica|ул\.|улица|просп\.)"
     rf" ?(?:[\w.'’-]{{1,30}} ){{0,4}}[\w.'’-]{{1,30}},? (?:n[.º°]? ?|д\. ?)?\d{{1,4}}[A-Za-z]?\b(?:,? ?\d{{2}}-?\d{{3}}(?:-\d{{3}})? {PLACE})?", 0),
    (r"\b(?:P\.? ?O\.? ?Box|Postfach|Apartado|Casella Postale|Boîte Postale|BP) \d[\d ]{0,9}", re.IGNORECASE),
    (r"\b(?:GIR ?0AA|[A-PR-UWYZ]\d[A-HJKPSTUW\d]? ?\d[ABD-HJLNP-UW-Z]{2}|[A-PR-UWYZ][A-HK-Y]\d[ABEHMNPRV-Y\d]? ?\d[ABD-HJLNP-UW-Z]{2})\b", 0),
    (r"(?<![\d-])(?:〒\s?)?\d{3}-\d{4}\s?[\u4e00-\u9fff][\u4e00-\u9fff\u3040-\u30ff\d\-ー－]{2,40}|〒\s?\d{3}-\d{4}"
     r"|(?:東京都|北海道|(?:京都|大阪)府|[\u4e00-\u9fff]{2,3}県)[\u4e00-\u9fff\u3040-\u30ff]{1,12}[市区町村]"
     r"[\u4e00-\u9fff\u3040-\u30ff\d\-ー－]{1,30}", 0),
    (r"(?:[\u4e00-\u9fff]{2,8}(?:省|自治区|市))?[\u4e00-\u9fff]{1,8}[市区县區縣][\u4e00-\u9fff]{1,12}(?:路|街|道|巷|弄|胡同)"
     r"\s?\d{1,5}\s?(?:号|號|弄)[\u4e00-\u9fff\d室楼樓单元栋]{0,14}", 0),
))
ADDRESS_LABEL = re.compile(r"(?:^|[\n,;|{(\"'\t])[ \t]{0,20}[\"']?"
                           r"(?:(?:home|postal|mailing|street|billing|shipping|delivery|residential)[ _]?)?"
                           r"(?:address|anschrift|adresse|wohnort|dirección|direccion|domicilio|indirizzo|endereço|morada|adres|адрес|住所|地址|住址|주소)[\"']?"
                           r"[ \t]{0,4}[:：=]\s{0,4}[\"']?([^\n\r\"|{}]{4,160})", re.IGNORECASE)
NOT_AN_ADDRESS = re.compile(r"@|://|[()\[\]=_]")              # an e-mail address, a URL, or code


def addresses(text: str) -> Iterator[Find]:
    """Postal addresses of common forms, and what stands after a word for `address`."""
    for form in STREETS:
        for found in form.finditer(text):
            yield Find("address", found.start(), found.start() + len(found[0].rstrip(" ,.")), 0.75)
    for found in ADDRESS_LABEL.finditer(text):
        value = found[1].rstrip(" ,;.")
        if not NOT_AN_ADDRESS.search(value) and not re.fullmatch(r"[\d.:a-fA-F/]+|0x\w+", value):
            yield Find("address", found.start(1), found.start(1) + len(value), 0.8)
