"""Words of any language: tokens, stop words, and which language a text is in.

Scripts without spaces (Chinese, Japanese, Thai) give overlapping pairs of characters; other scripts give words. For comparing, a word is cut to
its first letters, which joins most inflected forms in most languages without a dictionary.
"""

from __future__ import annotations

import re
from collections import Counter

STEM_LETTERS = 6                   # of a word that count: `information` and `informed` share them
CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
UNSPACED = CJK + "\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f"
TOKEN = re.compile(rf"[{UNSPACED}]+|[^\W\d_{UNSPACED}]+(?:['’\-][^\W\d_{UNSPACED}]+)*|\d+(?:[.,]\d+)*")
UNSPACED_RUN = re.compile(rf"[{UNSPACED}]+")
HAN_RUN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]{2,}|[\u30a1-\u30fa\u30fc]{3,}")

STOP_TEXT = {
    "en": "the of and to in a is that it for was on are as with his they be at this have from or had by but not what all were we when your can "
          "said there an each which she do how their if will up other about out many then them these so some her would make like him into has "
          "two more no could my than been who its now did may also i you he me our us because over only most after before such very much where "
          "while just between during should any own same those both does being through under again further here why too off against once nor "
          "itself",
    "de": "der die das und in den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei "
          "einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei hatte kann gegen "
          "vom können schon wenn habe seine ihre dann unter wir soll ich eines jahr zwei diese dieser wieder keine uns ihr wo was alle muss "
          "sehr ihm ihn mir mich dieses damit seit waren worden sowie wurden da kein ohne zwischen beim jedoch etwa immer",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec ou son lui nous comme mais on si "
          "leur y dont elle tout aux cette ces ont être été fait ses peut même sans deux entre aussi bien où sa n'est c'est d'un d'une qu'il je "
          "vous mon ma mes notre votre ils elles était avait très après avant encore selon depuis leurs sous ainsi afin donc car autre autres "
          "cela",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin sobre este ya entre cuando "
          "todo esta ser son dos también fue había era muy años hasta desde está mi porque qué sólo han yo hay vez puede todos así nos ni parte "
          "tiene él uno donde bien mismo ese ahora cada e vida otro después te otros aunque esa eso hace otra tan durante siempre estos ante "
          "ellos estas sido según",
    "it": "di e il la che in a per un è del non una con i si da le dei nel sono al come della più o gli anche alla ha su ma delle lo se dal ci "
          "nella questo essere era stato dalla loro tra ed cui questa sua suo quando hanno fra dopo ai due stati anni prima degli sul solo "
          "tutti nei alle può senza molto ancora già così io noi dove perché fatto quello ogni altri sulla negli mi",
    "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando muito há "
          "nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me esse eles estão você tinha foram "
          "essa num nem suas meu às minha têm numa pelos elas havia seja qual será nós sobre este ainda",
    "nl": "de van een het en in is dat op te zijn met voor niet aan er om ook als dan door maar bij nog uit over naar hij ze werd wordt heeft "
          "hebben was deze die kan geen wel meer tot worden haar had zo veel of al hun ik je we men onder zou dit moet jaar andere tegen na "
          "toen tussen waar",
    "sv": "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan när år säger hon under också "
          "efter eller nu sin där vid mot ska skulle kommer ut får finns vara hade alla andra mycket än då sedan över bara in blir upp även vad "
          "få två vill hur man dem",
    "da": "og i at det er en til på de som af for den med har ikke der et han var om men sig jeg vi kan fra så blev hun ved skal være efter "
          "også eller nu sin da over blive når op mod deres ud mange meget noget hvor år havde kun end man skulle bliver denne",
    "pl": "w i na z się nie do to że jest o a za jak od po przez ale co dla tym są tak czy już ich jego był by tego może być oraz ze tylko "
          "które który która jako przy pod także jej go tej ten lub nad bez między było będzie więc została został roku lat",
    "ru": "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой от так о для ты же все год бы до при или его "
          "как были был была было есть их ее если уже только еще также этого может после чтобы более когда где чем нет под без между том",
    "tr": "ve bir bu için ile de da olarak olan çok daha gibi kadar en ne ama sonra göre ise her o olduğu tarafından değil ya var ki ancak veya "
          "şey ben sen biz",
    "id": "yang dan di dengan untuk dari pada ini itu dalam tidak akan adalah ke oleh juga sebagai telah dapat atau karena lebih kami mereka "
          "tersebut bahwa",
}
STOP = {language: frozenset(text.split()) for language, text in STOP_TEXT.items()}
SCRIPTS = (("ja", re.compile("[\u3040-\u30ff]")), ("ko", re.compile("[\uac00-\ud7af]")), ("zh", re.compile("[\u4e00-\u9fff]")),
           ("el", re.compile("[\u0370-\u03ff]")), ("ar", re.compile("[\u0600-\u06ff]")), ("he", re.compile("[\u0590-\u05ff]")),
           ("hi", re.compile("[\u0900-\u097f]")), ("th", re.compile("[\u0e00-\u0e7f]")))
SCRIPT_SHARE = 0.2                 # of the letters that make a script the text's: Japanese is half Chinese characters
LANGUAGE_SHARE = 0.12              # of the words that must be stop words of a language
LANGUAGE_CHARACTERS = 20_000       # of a text that are looked at


def tokens(text: str) -> list[str]:
    """The words of a text in lower case; an unspaced run stands as its pairs of characters."""
    found: list[str] = []
    for token in TOKEN.findall(text):
        if UNSPACED_RUN.match(token):
            found.extend(token[at:at + 2] for at in range(max(1, len(token) - 1)))
        else:
            found.append(token.casefold())
    return found


def stem(word: str) -> str:
    """What of a word counts when words are compared."""
    return word[:STEM_LETTERS]


def weight(text: str) -> float:
    """How many words a text has; two unspaced characters count as one."""
    return sum(len(token) / 2 if UNSPACED_RUN.match(token) else 1 for token in TOKEN.findall(text))


def language_of(text: str) -> str | None:
    """The language code of a text, from its script or its stop words; None when it is not clear."""
    sample = text[:LANGUAGE_CHARACTERS]
    letters = sum(character.isalpha() for character in sample)
    if not letters:
        return None
    for language, script in SCRIPTS:
        share = SCRIPT_SHARE / 2 if language == "ja" else SCRIPT_SHARE
        if len(script.findall(sample)) >= share * letters:
            return language
    words = Counter(word for word in tokens(sample))
    total = sum(words.values())
    hits = {language: sum(words[word] for word in stop) for language, stop in STOP.items()}
    best = max(hits, key=lambda language: hits[language])
    return best if hits[best] >= LANGUAGE_SHARE * total else None


def stop_words(language: str | None) -> frozenset[str]:
    """The words that carry no topic in a language; empty when they are not known."""
    return STOP.get(language or "", frozenset())
