"""What the tool knows of languages: their small words, how they count syllables, and which readability formula was made for them.

The language of a text is guessed from its script and its small words; a text in an unknown language is still counted, without a formula
that was made for another one. CJK text has no spaces: its words are taken as pairs of signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

SMALL_WORDS: dict[str, frozenset[str]] = {language: frozenset(words.split()) for language, words in {
    "en": """a about after all also an and any are as at be because been but by can could did do does for from had has have he her him his
 how i if in into is it its just like me more most my no not now of on one only or other our out over she so some such than that the their
 them then there these they this those to up us was we were what when where which who will with would you your""",
    "de": """aber alle als also am an auch auf aus bei bin bis bist da das dass dein dem den der des die dies diese dieser dir doch du
 durch ein eine einem einen einer eines er es für hat hatte ich ihm ihn ihr ihre im in ist ja kann kein keine man mein mich mir mit nach
 nicht noch nur ob oder ohne sehr sein seine sich sie sind so über um und uns unter vom von vor war waren was wenn werden wie wir wird zu
 zum zur""",
    "fr": """à au aux avec ce ces cette comme dans de des du elle elles en est et être eu il ils je la le les leur leurs lui ma mais me
 même mes mon ne nous on ont ou où par pas plus pour qu que qui sa sans se ses si son sont sur ta te tes ton tout tu un une vos votre vous
 y était été c d j l m n s t""",
    "es": """a al algo como con de del desde donde dos el él ella ellas ellos en entre era es esa ese eso esta está este esto fue ha hay la
 las le les lo los más me mi muy no nos o para pero por porque que qué se sea ser si sí sin sobre son su sus también te todo tu un una uno
 y ya yo""",
    "it": """a ad al alla alle anche c che chi ci come con cui da dal dalla dei del della delle di e è ed era gli ha hanno i il in io la le
 lei lo loro lui ma mi ne nei nel nella non o per perché più quella quello questa questo se si sono su sua sul sulla suo un una uno vi""",
    "pt": """a ao aos as à às até com como da das de dele dela do dos e é ela ele eles em entre era essa esse esta está este eu foi há isso
 isto já lhe mais mas me mesmo muito na não nas nem no nos o os ou para pela pelo por quando que quem se sem ser seu seus só sua suas
 também te tem um uma você""",
    "nl": """aan al als bij dan dat de den der des deze die dit door een en er geen had heb hebben heeft het hij hoe hun ik in is je kan
 maar me meer men met mijn na naar niet nog nu of om omdat onder ook op over te tot uit van veel voor waren was wat we werd wie wij worden
 wordt ze zich zij zijn zo""",
    "pl": """a aby ale bo być co czy dla do gdy go i ich ja jak jako jest jestem już każdy kiedy która które który lub ma mi może na nad
 nie niż o od on ona oni oraz po pod przez przy się są ta tak także tam te tego ten to tu tym tylko w we więc za ze że""",
    "sv": """alla att av blev bli de dem den denna det detta dig din du där efter eller en ett från för ha hade han hans har hon i icke
 inte ja jag kan man med men mig min mot mycket ni nu när någon och om oss på sin sitt ska skulle som så till under upp ut var vara vi är
 över""",
    "ru": """а без бы был была были было быть в вам вас все всё вы где да для до его ее её если есть еще ещё же за и из или им их к как
 когда кто ли мне мы на над не него нет ни но о об он она они от по под при с со так также там то только ты у уже что чтобы это я""",
}.items()}
SIGNS = {"zh": frozenset("的了是在和有我他这不就也都人一个们中上大为与及其以对将被从到"), "ja": frozenset("のにはをたがでてとしれさるいなもか")}
VOWELS = {"de": "aeiouyäöü", "fr": "aeiouyàâæéèêëîïôœùûü", "es": "aeiouáéíóúü", "it": "aeiouàèéìòù", "pt": "aeiouáâãàéêíóôõú", "nl": "aeiouyéëï",
          "pl": "aeiouyąęó", "sv": "aeiouyåäö", "ru": "аеёиоуыэюя", "en": "aeiouy"}
HAN = re.compile(r"[\u3400-\u9fff]")
KANA = re.compile(r"[\u3040-\u30ff]")
HANGUL = re.compile(r"[\uac00-\ud7af]")
EAST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SMALL_SHARE_MIN = 0.08              # small words among all words below which the language stays unknown
EAST_SHARE_MIN = 0.2                # signs among all letters that make a text Chinese or Japanese
GUESS_WORDS = 5_000                 # a longer text is guessed by its beginning
SILENT_ENDS = {"en": ("e", "es", "ed"), "fr": ("e", "es", "ent")}
SOUNDED_ENDS = ("le", "les", "ted", "ded", "ses", "ces", "ges")     # house has one sound less than vowels, houses and table do not

Formula = Callable[[float, float], float]      # (words a sentence, syllables a word) to a score, higher is easier
FORMULAS: Mapping[str, tuple[str, Formula]] = {
    "en": ("Flesch reading ease", lambda words, syllables: 206.835 - 1.015 * words - 84.6 * syllables),
    "de": ("Flesch reading ease (Amstad)", lambda words, syllables: 180.0 - words - 58.5 * syllables),
    "fr": ("Flesch reading ease (Kandel and Moles)", lambda words, syllables: 207.0 - 1.015 * words - 73.6 * syllables),
    "es": ("Fernández Huerta", lambda words, syllables: 206.84 - 1.02 * words - 60.0 * syllables),
    "it": ("Flesch (Franchina and Vacca)", lambda words, syllables: 217.0 - 1.3 * words - 60.0 * syllables),
    "nl": ("Flesch-Douma", lambda words, syllables: 206.84 - 0.93 * words - 77.0 * syllables),
    "pt": ("Flesch reading ease (Martins)", lambda words, syllables: 248.835 - 1.015 * words - 84.6 * syllables),
    "ru": ("Flesch reading ease (Oborneva)", lambda words, syllables: 206.835 - 1.3 * words - 60.1 * syllables)}


def guessed(text: str) -> str:
    """The language of a text as a two-letter code, or "und"."""
    letters = sum(map(str.isalpha, text)) or 1
    if len(HANGUL.findall(text)) / letters >= EAST_SHARE_MIN:
        return "ko"
    if len(EAST.findall(text)) / letters >= EAST_SHARE_MIN:
        return "ja" if len(KANA.findall(text)) >= len(HAN.findall(text)) * 0.1 else "zh"
    words = [word.lower() for word in WORD.findall(text)[:GUESS_WORDS]]
    if not words:
        return "und"
    shares = {language: sum(word in small for word in words) / len(words) for language, small in SMALL_WORDS.items()}
    best = max(shares, key=lambda language: shares[language])
    return best if shares[best] >= SMALL_SHARE_MIN else "und"


def words_of(text: str, language: str) -> list[str]:
    """The words of a text as written; for Chinese and Japanese pairs of neighbouring signs, which is what stands nearest to words."""
    if language not in ("zh", "ja"):
        return WORD.findall(text)
    words = []
    for run in re.findall(r"[\u3040-\u30ff\u3400-\u9fff]+|[^\W\d_\u3040-\u30ff\u3400-\u9fff]+", text):
        words += [run[n:n + 2] for n in range(len(run) - 1)] or [run] if EAST.match(run) else [run]
    return words


def says_little(word: str, language: str) -> bool:
    """Whether a word (in lower case) is one of the small ones that every text of the language is full of."""
    if language in SIGNS:
        return len(word) < 2 or any(sign in SIGNS[language] for sign in word)
    if language in SMALL_WORDS:
        return word in SMALL_WORDS[language] or len(word) < 2
    return len(word) < 3


def syllables(word: str, language: str) -> int:
    """The syllables of a word, estimated by its runs of vowels."""
    plain = word.lower()
    runs = len(re.findall(f"[{VOWELS.get(language, VOWELS['en'])}]+", plain))
    if language == "ru":
        runs = sum(letter in VOWELS["ru"] for letter in plain)
    elif len(plain) > 3 and language in SILENT_ENDS and plain.endswith(SILENT_ENDS[language]) and not plain.endswith(SOUNDED_ENDS):
        runs -= 1
    return max(1, runs)
