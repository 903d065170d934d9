"""Recognisers for names and dates of birth: by what stands before them (a title, a label, a greeting), and names again where they recur.

There is no list of names: a name in running text without a title, label or greeting anywhere in the document is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from spans import Find

NAME_WORDS_MAX = 4
SPREAD_LETTERS_MIN = 3             # of a part of a name that is looked for in the rest of the document
NAMES_MAX = 20_000                 # remembered of a document

WORD = re.compile(r"[^\W\d_][\w'’-]{0,60}\.?")
NAME_WORD = re.compile(r"[^\W\d_][\w’-]*")
PARTICLES = frozenset("van von de der den del della da dos do di du la le el al bin bint ibn ben ter ten zu zur af av y e san".split(" "))  # noqa: SIM905
TITLE_TEXT = (r"Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Dame|Rev|Herrn?|Frau|Fräulein|Mme|Mlle|Monsieur|Madame|Mademoiselle|M(?=\.)|Sr|Sra|Srta|Señor|Señora"
              r"|Señorita|Doña"
              r"|Sig|Sig\.ra|Signor|Signora|Dott|Dott\.ssa|Dhr|Mevr|Mevrouw|Meneer|Г-н|Г-жа|господин|госпожа|Senhor|Senhora|Dra")
TITLE = re.compile(rf"(?<!\w)(?:(?:{TITLE_TEXT})\.? (?:(?:med|jur|phil|rer|nat|h\.?c)\.? ?)*)+(?=[^\W\d_])")
HONORIFIC = re.compile(r"([\u4e00-\u9fff]{1,4}|[\u30a1-\u30ff]{2,10})\s?(?=さん|様|殿|先生|女士|小姐)|([\uac00-\ud7af]{2,4})\s?(?=씨|님)")
NO_HONORIFIC = frozenset("皆 客 奥 神 王 姫 母 父 兄 姉 皆々 何 お客 医 各位".split(" "))  # noqa: SIM905
STRONG_LABELS = (
    r"(?:full|first|last|sur|given|family|middle|maiden|nick|user|customer|client|patient|employee|applicant|contact|account holder|holder"
    r"|cardholder|beneficiary"
    r"|recipient|sender|guest|tenant|student|member|insured|driver|owner)[ _-]?names?|surname|patient|account holder|card ?holder|beneficiary|attn"
    r"|attention|signed(?: by)?"
    r"|contact person|next of kin|emergency contact|vorname|nachname|familienname|geburtsname|ansprechpartner(?:in)?|kontaktperson|empfänger"
    r"|absender|kontoinhaber(?:in)?"
    r"|patient(?:in)?|unterzeichnet|prénom|nom(?: de famille| complet)?|destinataire|titulaire|nombre(?: completo)?|apellidos?|paciente|titular"
    r"|nome(?: completo)?|cognome"
    r"|sobrenome|intestatario|paziente|voornaam|achternaam|naam|imię|nazwisko|имя|фамилия|отчество|фио|пациент|姓名|名字|联系人|收件人|收货人|氏名|お名前|名前|患者名|이름|성명|수신인")
LABEL = re.compile(rf"(?<![\w-])(?:({STRONG_LABELS})|(name|customer|client|employee|contact|recipient|sender|from|to|cc|author|kunde|kundin"
                   r"|cliente?))[\"'*_]{0,2}\s{0,3}\Z", re.IGNORECASE)
LABEL_CHARACTERS = 32              # the longest label and what may stand between it and its sign
LABEL_SIGN = re.compile(r"(?<=[^\W\d][\"'*_ ]|[\w ][^\W\d]|[\u3040-\u9fff\uac00-\ud7af]{2}|\"[\"'*_ ])[:：=](?![:/\d=])")
LABEL_VALUE = re.compile(r"[\"'*_]{0,2}\s{0,3}[\"'*_]{0,2}([^\n\r,;|<>(){}\[\]\"\t：，。、*]{2,60})")
GREETING = re.compile(
    r"(?:^|\n)[ \t>]{0,20}(?:Dear|Hi|Hello|Hey|Hallo|Moin|Servus|Liebe[rs]?|Sehr geehrte[rs]?|Guten (?:Tag|Morgen|Abend)|Good (?:morning|afternoon"
    r"|evening)|Bonjour|Chère?|Salut"
    r"|Hola|Estimad[oa]|Querid[oa]|Car[oa]|Gentile|Egregi[oa]|Ciao|Olá|Prezad[oa]|Beste|Geachte|Hej|Kära|Drog[ia]|Уважаем(?:ый|ая)|Здравствуйте,?|Привет,?)\s{1,4}(?=[^\W\d_])")
SIGN_OFF_TEXT = """
regards|sincerely|cheers|thanks|thank you|best wishes|all the best|best|yours|yours truly|faithfully|love|grüße|grüßen|gruß|gruessen|hochachtungsvoll
cordialement|bien à vous|amicalement|saludos|atentamente|un abrazo|cordiali saluti|distinti
saluti|atenciosamente|abraço|abraços|groet|groeten|groetjes
hälsningar|pozdrawiam|с уважением
"""
SIGN_OFFS = tuple(SIGN_OFF_TEXT.strip().replace("\n", "|").casefold().split("|"))
SHORT_LINE = re.compile(r"^(?=[^\n]{3,60}\n)[ \t>]{0,20}([^\n]{3,45})\n(?:[ \t]{0,20}\r?\n)?[ \t>]{0,20}(?=[^\W\d_])", re.MULTILINE)
SELF = re.compile(r"\b(?:my name is|i am called|this is (?=\w+ \w+ (?:from|calling|speaking))|mein Name ist|ich heiße|je m['’]appelle|mon nom est"
                  r"|me llamo|mi nombre es|mi chiamo"
                  r"|meu nome é|me chamo|mijn naam is|меня зовут)\s{1,4}(?=[^\W\d_])", re.IGNORECASE)
SELF_CJK = re.compile(r"(?:我叫|我是|我的名字是|私の名前は|私は)([\u4e00-\u9fff]{2,4}|[\u30a1-\u30ff]{2,10})(?=[，。,、\s]|と申|です|$)")
# Words that stand where a name would and are none.
NO_NAME_TEXT = """
all team everyone everybody sir madam sirs madams customer customers client colleagues colleague friends friend there both folks guys ladies
gentlemen world user hiring manager support member members valued editor editors reader readers parents kollegen kolleginnen kollege
kollegin damen herren kunde kundin kunden zusammen freunde monde tous équipe collègues messieurs mesdames equipo todos cliente clientes
señores colegas amigos tutti the a an our my your we i you please thanks again and or und et y e from for regards none null unknown n/a tbd
test admin root system service server name yes no true false me us
"""
NO_NAMES = frozenset(NO_NAME_TEXT.split())
COMMON_TEXT = """
will mark may grace hope rose bill frank rich young king long short brown green white black gray grey grant page price rush sharp stone wood
field fields hill rivers lake north south east west day autumn april june august sunny christian english german french royal best good early
hall park waters the and for from with street road company group bank office department berlin paris london
"""
COMMON_WORDS = frozenset(COMMON_TEXT.split())
BORN = (r"date of birth|birth ?date|birthday|d\.?o\.?b\.?|born(?: on)?|geboren(?: am)?|geb\.|geburtsdatum|geburtstag|date de naissance|n[ée]e? le"
        r"|fecha de nacimiento|nacid[oa] el"
        r"|data di nascita|nat[oa] il|data de nascimento|nascid[oa] em|geboortedatum|geboren op|data urodzenia|дата рождения|родил(?:ся|ась)"
        r"|出生日期|出生年月|生年月日|생년월일")
BIRTH = re.compile(rf"(?<![\w])(?:{BORN})[\"']?\s{{0,4}}(?:is\b|[:：=(])?\s{{0,4}}[\"']?((?:\d{{4}}[-/.年]\s?\d{{1,2}}[-/.月]\s?\d{{1,2}}日?"
                   rf"|\d{{1,2}}[-/. ]\s?\d{{1,2}}[-/. ]\s?\d{{2,4}}"
                   r"|\d{1,2}\.?(?:st|nd|rd|th|er)?(?: de)? [^\W\d_]{3,12}\.?(?: de)?,? \d{4}|[^\W\d_]{3,12}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}|\d{8}"
                   r"|(?:昭和|平成|令和)\d{1,2}年\d{1,2}月\d{1,2}日))", re.IGNORECASE)


def name_end(text: str, start: int, words_max: int = NAME_WORDS_MAX) -> int:
    """The end of the capitalised words, initials and particles that begin at `start`; `start` itself if there is no name."""
    at, end, taken = start, start, 0
    while taken < words_max:
        found = WORD.match(text, at)
        if found is None:
            break
        word = found[0]
        bare = word.rstrip(".")
        if word.endswith(".") and len(bare) > 2:
            word, after = bare, found.end() - 1
        else:
            after = found.end()
        if bare.casefold() in PARTICLES and taken + 1 < words_max and text[after:after + 1] == " " and (taken or bare[0].islower()):
            at = after + 1
            continue
        if not word[0].isupper() or bare.casefold() in NO_NAMES:
            break
        taken += 1
        end = after
        if text[after:after + 1] != " " or after < found.end():
            break
        at = after + 1
    return end


def names(text: str) -> Iterator[Find]:
    """Names after titles, labels, greetings, before a line that ends a letter, and with Asian honorifics."""
    for form, confidence, words in ((TITLE, 0.9, 3), (GREETING, 0.8, 3), (SELF, 0.85, 3)):
        for found in form.finditer(text):
            if form is GREETING and TITLE.match(text, found.end()):
                continue                         # Dear Mr ...: the title is not the name
            end = name_end(text, found.end(), words)
            follows = text[end:end + 2].lstrip(" ")[:1]
            if end > found.end() and (form is not GREETING or follows in (",", "!", ":", ";", "\n", "\r", "-", "–", ".", "")):
                yield Find("name", found.end(), end, confidence)
    yield from signatures(text)
    for form in (HONORIFIC, SELF_CJK):
        for found in form.finditer(text):
            group = 1 if form is SELF_CJK or found[1] else 2
            if found[group] not in NO_HONORIFIC:
                yield Find("name", found.start(group), found.end(group), 0.7)
    for sign in LABEL_SIGN.finditer(text):
        label = LABEL.search(text, max(0, sign.start() - LABEL_CHARACTERS), sign.start())
        after = LABEL_VALUE.match(text, sign.end()) if label else None
        if label is None or after is None:
            continue
        value = after[1].rstrip(" ._'")
        if looks_like_name(value, strong=label[1] is not None):
            yield Find("name", after.start(1), after.start(1) + len(value), 0.85 if label[1] else 0.7)


def signatures(text: str) -> Iterator[Find]:
    """The name on the line after the one that ends a letter."""
    at = 0
    while (line := SHORT_LINE.search(text, at)) is not None:
        at = line.end(1)
        if line[1].rstrip(" \t\r,.!").casefold().endswith(SIGN_OFFS):
            end = name_end(text, line.end())
            if end > line.end() and text[end:end + 1] in ("", "\n", "\r", ",", " "):
                yield Find("name", line.end(), end, 0.7)


def looks_like_name(value: str, strong: bool) -> bool:
    """Whether the value of a label can be a name; after words such as `name` or `from` it must look like one."""
    words = value.split()
    if not words or len(words) > 5 or not value[0].isalpha() or any(sign in value for sign in "/\\@_=#$%") or sum(map(str.isdigit, value)) > 2:
        return False
    if any(word.casefold().strip(".") in NO_NAMES for word in words):
        return False
    if not value.isascii() and not any(word[0].islower() for word in words):
        return True
    if strong:
        return True
    return 2 <= len(words) <= 4 and all(word[0].isupper() or word.casefold() in PARTICLES for word in words) and not any(map(str.isdigit, value))


def births(text: str) -> Iterator[Find]:
    """Dates after a word for the day of birth."""
    for found in BIRTH.finditer(text):
        yield Find("birth_date", found.start(1), found.end(1), 0.92)


class KnownNames:
    """The names found in a document, to be found again where nothing announces them."""

    def __init__(self) -> None:
        self.parts: set[str] = set()

    def learn(self, values: Iterable[str]) -> None:
        """Remember the parts of names that are not also common words."""
        for value in values:
            for word in WORD.findall(value):
                part = word.rstrip(".").removesuffix("'s").removesuffix("’s")
                plain = part.casefold()
                usable = len(part) >= SPREAD_LETTERS_MIN and part[0].isupper() and plain not in COMMON_WORDS and plain not in NO_NAMES
                if usable and len(self.parts) < NAMES_MAX:
                    self.parts.add(part)

    def again(self, text: str) -> Iterator[Find]:
        """Where known parts stand as words of their own; parts beside each other are one name."""
        if not self.parts:
            return
        start = end = -1
        for found in NAME_WORD.finditer(text):
            part = found[0].removesuffix("’s")
            if part not in self.parts and not (part.isupper() and part.capitalize() in self.parts):
                continue
            if end >= 0 and text[end:found.start()] in (" ", "-", ", "):
                end = found.start() + len(part)
                continue
            if end >= 0:
                yield Find("name", start, end, 0.6)
            start, end = found.start(), found.start() + len(part)
        if end >= 0:
            yield Find("name", start, end, 0.6)
