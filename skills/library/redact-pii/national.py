"""Recognisers for national identity, tax and social security numbers, with their check digits where the country has them.

One row a number: its form, its check, how sure it is without a word before it, and the words. Rows whose form is only digits need the word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from bank import luhn
from spans import Find

LABEL_CHARACTERS = 48              # before a number in which its word may stand
LABELLED = 0.95
AREA = re.compile(r"\d[\w .+-]{4,}")
AREA_DIGITS_MIN = 4                # the Indian PAN has the fewest
AREA_LETTERS_MAX = 8               # letters before the first digit


def digits_of(value: str) -> str:
    """The digits of a number without its separators."""
    return re.sub(r"\D", "", value)


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """The sum of digits times weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def is_day(year: int, month: int, day: int) -> bool:
    """Whether the calendar has the day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def us_ssn(value: str) -> bool:
    """Not an area, group or serial that is never given out."""
    digits = digits_of(value)
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def uk_nino(value: str) -> bool:
    """Not a prefix that is never given out."""
    return value[:2].upper() not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def de_tax(value: str) -> bool:
    """ISO 7064 MOD 11,10, and one digit of the first ten occurs twice or three times."""
    digits = digits_of(value)
    repeats = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    if digits[0] == "0" or repeats[-1] not in (2, 3) or repeats.count(1) < len(repeats) - 1:
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def fr_nir(value: str) -> bool:
    """97 minus the number modulo 97; Corsica counts 2A as 19 and 2B as 18."""
    compact = re.sub(r"[\s.-]", "", value).upper()
    number = compact[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and len(compact) == 15 and 97 - int(number) % 97 == int(compact[13:])


def es_dni(value: str) -> bool:
    """The letter is the number modulo 23; X, Y, Z of foreigners count 0, 1, 2."""
    compact = re.sub(r"[\s.-]", "", value).upper()
    number = compact[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == compact[-1]


def it_code(value: str) -> bool:
    """The last letter from the odd and even places."""
    values = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", values, strict=True))
    code = value.upper()
    total = sum(odd[sign] if place % 2 == 0 else int(sign, 36) - (10 if sign.isalpha() else 0) for place, sign in enumerate(code[:15]))
    return chr(65 + total % 26) == code[15]


def cn_id(value: str) -> bool:
    """ISO 7064 MOD 11-2 over 17 digits with a day of birth."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return is_day(int(value[6:10]), int(value[10:12]), int(value[12:14])) and "10X98765432"[weighted(value, weights) % 11] == value[17].upper()


def nl_bsn(value: str) -> bool:
    """The eleven test."""
    return weighted(digits_of(value).zfill(9), (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pl_pesel(value: str) -> bool:
    """Weights 1, 3, 7, 9, and a month that carries the century."""
    return weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0 and 1 <= int(value[2:4]) % 20 <= 12 and 1 <= int(value[4:6]) <= 31


def br_cpf(value: str) -> bool:
    """Two check digits modulo 11."""
    digits = digits_of(value)
    if len(set(digits)) == 1:
        return False
    first = weighted(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}"


def in_aadhaar(value: str) -> bool:
    """The Verhoeff check: the dihedral group of ten elements, written as arithmetic instead of its tables."""
    total = 0
    permutation = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    for place, sign in enumerate(reversed(digits_of(value))):
        digit = int(sign)
        for _round in range(place % 8):
            digit = permutation[digit]
        total = dihedral(total, digit)
    return total == 0


def dihedral(left: int, right: int) -> int:
    """The product of two elements of the dihedral group D5."""
    if left < 5:
        return (left + right) % 5 if right < 5 else 5 + (left + right - 5) % 5
    return 5 + (left - 5 - right) % 5 if right < 5 else (left - right) % 5


def ca_sin(value: str) -> bool:
    """Luhn; 0 and 8 are not given to persons."""
    return luhn(digits_of(value)) and value[0] not in "08"


def se_number(value: str) -> bool:
    """Luhn over the last ten digits, with a day of birth (60 more for coordination numbers)."""
    digits = digits_of(value)[-10:]
    return luhn(digits) and 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) % 60 <= 31


def kr_rrn(value: str) -> bool:
    """A day of birth and a first digit of 1 to 8; the check digit is no longer given since 2020."""
    return 1 <= int(value[2:4]) <= 12 and 1 <= int(value[4:6]) <= 31


def ch_ahv(value: str) -> bool:
    """The EAN-13 check."""
    return weighted(digits_of(value), (1, 3) * 6 + (1,)) % 10 == 0


def jp_number(value: str) -> bool:
    """Weights 6 to 2 and 7 to 2 modulo 11."""
    digits = digits_of(value)
    rest = weighted(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(digits[11])


def be_number(value: str) -> bool:
    """97 minus the number modulo 97, with a 2 before it for births since 2000."""
    digits = digits_of(value)
    return any(97 - int(prefix + digits[:9]) % 97 == int(digits[9:]) for prefix in ("", "2"))


def fi_number(value: str) -> bool:
    """The check sign is the number modulo 31."""
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(value[:6] + value[7:10]) % 31] == value[10].upper()


def day_first(value: str) -> bool:
    """Begins with a day and a month (Denmark, Norway)."""
    return 1 <= int(value[:2]) <= 31 and 1 <= int(value[2:4]) <= 12


def za_id(value: str) -> bool:
    """Luhn, with a day of birth."""
    return luhn(value) and 1 <= int(value[2:4]) <= 12 and 1 <= int(value[4:6]) <= 31


def always(value: str) -> bool:
    """The form alone is the check."""
    return bool(value)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of number; `alone` is the confidence without one of its words before it."""

    name: str
    form: re.Pattern[str]
    right: Callable[[str], bool]
    alone: float
    words: re.Pattern[str]


def row(name: str, form: str, right: Callable[[str], bool], alone: float, words: str) -> Row:
    """A row from its texts; no digit or letter may touch the number."""
    whole = re.compile(rf"(?<![\w.-])(?:{form})(?![\w-]|\.\d)", re.ASCII | re.IGNORECASE)
    return Row(name, whole, right, alone, re.compile(words, re.IGNORECASE))


ROWS = (
    row("us_ssn", r"\d{3}-\d{2}-\d{4}", us_ssn, 0.9, r"ssn|social|tax"),
    row("us_ssn", r"\d{3} ?\d{2} ?\d{4}", us_ssn, 0.0, r"ssn|social security"),
    row("us_itin", r"9\d\d-[5-9]\d-\d{4}", always, 0.8, r"itin|tax"),
    row("uk_nino", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", uk_nino, 0.85, r"national insurance|\bni\b|nino"),
    row("uk_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", lambda value: weighted(digits_of(value), (*range(10, 1, -1), 1)) % 11 == 0, 0.0, r"nhs"),
    row("de_tax_id", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", de_tax, 0.6, r"steuer|tax|tin|idnr|identifikations"),
    row("de_insurance", r"\d{2} ?\d{6} ?[A-Z] ?\d{3}", always, 0.6, r"versicherung|rente|sozial"),
    row("fr_nir", r"[12378] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", fr_nir, 0.93, r"nir|s[ée]curit[ée]|insee"),
    row("es_dni", r"[XYZ]?-?\d{7,8}[ -]?[A-HJ-NP-TV-Z]", lambda value: len(re.sub(r"[\s.-]", "", value)) == 9 and es_dni(value), 0.85, r"dni|nie"
        "|nif"),
    row("it_fiscal_code", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", it_code, 0.97, r"fiscale"),
    row("cn_resident_id", r"[1-8]\d{5}(?:18|19|20)\d{9}[\dX]", cn_id, 0.95, r"身份证|證"),
    row("nl_bsn", r"\d{8,9}|\d{4}[. ]\d{2}[. ]\d{3}", nl_bsn, 0.0, r"bsn|burgerservice|sofi"),
    row("pl_pesel", r"\d{11}", pl_pesel, 0.0, r"pesel"),
    row("br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}", br_cpf, 0.95, r"cpf"),
    row("br_cpf", r"\d{11}", br_cpf, 0.0, r"cpf"),
    row("in_aadhaar", r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", in_aadhaar, 0.8, r"aadhaar|uid"),
    row("in_aadhaar", r"[2-9]\d{11}", in_aadhaar, 0.0, r"aadhaar|uid"),
    row("in_pan", r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", always, 0.7, r"\bpan\b|permanent account"),
    row("ca_sin", r"\d{3}[ -]\d{3}[ -]\d{3}", ca_sin, 0.55, r"\bsin\b|social insurance|nas\b"),
    row("se_number", r"(?:19|20)?\d{6}[-+]\d{4}", se_number, 0.8, r"person(?:nummer)?"),
    row("kr_resident", r"\d{6}-[1-8]\d{6}", kr_rrn, 0.85, r"주민"),
    row("ch_ahv", r"756\.?\d{4}\.?\d{4}\.?\d{2}", ch_ahv, 0.95, r"ahv|avs"),
    row("jp_number", r"\d{4} ?\d{4} ?\d{4}", jp_number, 0.0, r"マイナンバー|個人番号|my ?number"),
    row("be_number", r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}", be_number, 0.55, r"rijksregister|registre national|insz|niss"),
    row("fi_number", r"\d{6}[-+A]\d{3}[0-9A-Y]", fi_number, 0.9, r"henkil|hetu"),
    row("dk_cpr", r"\d{6}-\d{4}", day_first, 0.6, r"cpr"),
    row("no_number", r"\d{6} ?\d{5}", day_first, 0.0, r"fødsels|personnummer"),
    row("mx_curp", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z\d]\d", always, 0.95, r"curp"),
    row("za_id", r"\d{13}", za_id, 0.0, r"\bid\b|identity"),
    row("pt_nif", r"[1-3]\d{8}", always, 0.0, r"\bnif\b|contribuinte"),
    row("au_tfn", r"\d{3} ?\d{3} ?\d{2,3}", lambda value: weighted(digits_of(value), (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0, 0.0, r"tfn|tax file"),
)
DOCUMENT = re.compile(
    r"\b(?:passport|reisepass(?:nummer)?|passeport|pasaporte|passaporto|personalausweis(?:nummer)?|driv(?:er|ing)['’]?s? licen[cs]e"
    r"|führerschein(?:nummer)?|permis de conduire|national id|identity card|id card|护照|旅券|パスポート番号|運転免許|medical record|mrn|patient id"
    r"|health insurance|insurance(?: policy)?|versichertennummer|krankenversicherung\w*|kvnr|membership)"
    r"(?:[ _-]?(?:number|no|nr|num|nummer|n[°º])\b\.?)?[^\n:#=\d]{0,12}?[:#=]?\s{0,4}\b([A-Z0-9][A-Z0-9 ./-]{3,22}[A-Z0-9])(?![\w])", re.IGNORECASE)
ACCOUNT = re.compile(
    r"\b(?:(?:bank |checking |savings )?account(?: number| no\.?| #| nr\.?)|acct\.?(?: no\.?| #)?|kontonummer|konto-?nr\.?"
    r"|routing(?: number| no\.?)?|sort code|blz|bankleitzahl|bic|swift(?: code)?|compte n[°o]|número de cuenta|numero di conto"
    r"|口座番号|账号|银行卡号)\s{0,4}[:#=：]?\s{0,4}([A-Z0-9][A-Z0-9 -]{3,26}[A-Z0-9])(?![\w])", re.IGNORECASE)


def national_ids(text: str) -> Iterator[Find]:
    """Numbers of ROWS whose check holds, and document numbers after a word for the document."""
    for begin, end in areas(text):
        for one in ROWS:
            for found in one.form.finditer(text, begin, end):
                if not one.right(found[0]):
                    continue
                labelled = one.words.search(text, max(0, found.start() - LABEL_CHARACTERS), found.start()) is not None
                confidence = LABELLED if labelled else one.alone
                if confidence:
                    yield Find("national_id", found.start(), found.end(), confidence)
    for found in DOCUMENT.finditer(text):
        if any(character.isdigit() for character in found[1]):
            yield Find("national_id", found.start(1), found.start(1) + len(number_part(found[1])), 0.8)


def areas(text: str) -> Iterator[tuple[int, int]]:
    """The parts of a text with digits enough for a number; the forms are tried only there, which is most of the speed."""
    for found in AREA.finditer(text):
        if sum(map(str.isdigit, found[0])) < AREA_DIGITS_MIN:
            continue
        begin = found.start()
        while begin and found.start() - begin < AREA_LETTERS_MAX and (text[begin - 1].isalnum() or text[begin - 1] in "- "):
            begin -= 1
        yield begin, found.end()


def accounts(text: str) -> Iterator[Find]:
    """Bank account numbers, sort codes and BICs after a word for them."""
    for found in ACCOUNT.finditer(text):
        value = number_part(found[1])
        if any(character.isdigit() for character in value) or (value.isupper() and len(value) in (8, 11)):
            yield Find("account", found.start(1), found.start(1) + len(value), 0.8)


def number_part(value: str) -> str:
    """The value up to the first word without a digit that follows one with digits: the sentence goes on there."""
    words = value.split(" ")
    kept = [words[0]]
    for word in words[1:]:
        if not any(character.isdigit() for character in word) and len(word) > 2:
            break
        kept.append(word)
    return " ".join(kept).rstrip(" .-/")
