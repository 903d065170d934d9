"""Tasks as people write them: with typos, in capitals, with emoji, in two languages at once, with a file behind the request, or with nothing."""

from __future__ import annotations

import random

from skills.match import Index, Ranking
from skills.request import CHARACTERS_MAX, readings
from tests.kit import same
from tests.skills.test_match import LIBRARY

INDEX = Index.build(LIBRARY)
TASK = "which columns of this csv have missing values?"
PASTED = "\n".join(f"2024-01-{day:02},{day * 17},Ann Smith,ann{day}@example.org,+49 30 {day:07},error in line {day}" for day in range(1, 29))


def name(text: str) -> str | None:
    """The skill that is sure enough, None if none is."""
    candidates = INDEX.rank(text).candidates
    return candidates[0].name if candidates and candidates[0].confidence >= 0.5 else None


def score(ranking: Ranking) -> float:
    """Of the first."""
    return ranking.candidates[0].confidence


def test_a_typo_or_two_do_not_hide_what_is_asked_for() -> None:
    for text, wanted in (("which colums of this csv have mising values", "csv-profile"), ("sumarise this artcle please", "summarise-text"),
                         ("remove prsonal data from this leter", "redact-pii"), ("what chnaged between these two version", "compare-documents"),
                         ("extract all emial adresses", "extract-entities")):
        same(INDEX.rank(text).candidates[0].name, wanted)


def test_a_typo_makes_less_sure_and_not_more() -> None:
    for text, misspelt in (("find errors in server.log", "find erors in server.lgo"), (TASK, "wich colums of this csv hav mising valus?")):
        assert score(INDEX.rank(misspelt)) < score(INDEX.rank(text))


def test_case_punctuation_and_white_space_change_nothing() -> None:
    wanted = INDEX.rank(TASK)
    for text in (TASK.upper(), TASK.title(), f"  {TASK}\n", TASK.replace(" ", "\t\n "), TASK.replace("?", "!!! ..."), f"«{TASK}»", "\ufeff" + TASK):
        same(INDEX.rank(text).candidates, wanted.candidates)


def test_emoji_and_decoration_change_nothing() -> None:
    wanted = INDEX.rank(TASK).candidates
    for text in (f"🙏 {TASK} 👍🏽", f"**{TASK}**", f"> {TASK}", TASK.replace("csv", "csv 📊")):
        same(INDEX.rank(text).candidates, wanted)
    same(INDEX.rank("🙏👍🏽✨").candidates, ())


def test_full_width_letters_accents_and_curly_quotes_are_the_same_letters() -> None:
    same(name("ｗｈｉｃｈ ｃｏｌｕｍｎｓ ｏｆ ｔｈｉｓ ｃｓｖ ｈａｖｅ ｍｉｓｓｉｎｇ ｖａｌｕｅｓ"), "csv-profile")
    same(INDEX.rank("what’s in this csv file").candidates, INDEX.rank("what's in this csv file").candidates)
    same(INDEX.rank("résumé this article").candidates, INDEX.rank("resume this article").candidates)


def test_a_file_that_is_pasted_behind_or_before_the_request_does_not_hide_it() -> None:
    for text in (f"{TASK}\n\n{PASTED}", f"{TASK}\n```\n{PASTED}\n```", f"{TASK}\n{PASTED}", f"{PASTED}\n\n{TASK}", f"```\n{PASTED}\n```\n{TASK}\n",
                 f"\n\n{TASK}\r\n\r\n{PASTED * 50}"):
        same(name(text), "csv-profile")
    same(name(f"remove personal data from this letter:\n\n{PASTED}"), "redact-pii")
    same(name(PASTED), None)


def test_the_request_in_a_long_text_is_its_first_line_or_a_last_one_that_stands_apart() -> None:
    body = "x y " * 40 + "x\n" + "y" * 250
    same(readings(f"do this\n{body}"), [f"do this\n{body}"])                     # too short to be a request
    same(readings(f"do this now\n{body}")[1:], ["do this now"])
    same(readings(f"{body}\n\ndo this now")[1:], ["x y " * 40 + "x", "do this now"])
    same(readings(f"{body}\ndo this now")[1:], ["x y " * 40 + "x"])
    for line in ("name,email,phone", "2024-01-01,17,Ann Smith,1", "<html><body>", "12 34 56 78"):
        same(readings(f"{line}\n{body}\n\n{line}")[1:], [])                        # no request, but what was pasted
    same([readings(text) for text in ("", "short\nand\n\nsweet", "z" * 5_000)], [[""], ["short\nand\n\nsweet"], ["z" * CHARACTERS_MAX]])


def test_of_a_very_long_text_the_beginning_is_read_and_it_takes_no_longer() -> None:
    long = f"{TASK} " + PASTED.replace("\n", " ") * 1_000
    same(INDEX.rank(long), INDEX.rank(long[:CHARACTERS_MAX]))


def test_a_task_in_two_languages_is_understood_by_either() -> None:
    for text, wanted in (("hi team, bitte zeig mir welche Spalten fehlende Werte haben, thanks", "csv-profile"),
                         ("请总结 this article 谢谢", "summarise-text"), ("por favor summarise este article", "summarise-text")):
        same(INDEX.rank(text).candidates[0].name, wanted)


def test_politeness_around_a_request_does_not_change_the_skill() -> None:
    for text in (f"Hello! I hope you are well. Could you please tell me {TASK} Thank you so much in advance!", f"hey, quick one: {TASK} cheers"):
        same(INDEX.rank(text).candidates[0].name, "csv-profile")


def test_a_text_that_says_nothing_has_no_sure_candidate() -> None:
    for text in ("", " ", "\n\t", "?", "...", "🙂", "the of and", "please", "12345", "a" * 5_000, "\x00\x01", "\ud800", "-'-'-", "' '"):
        same(name(text), None)


def test_no_text_whatever_breaks_a_ranking() -> None:
    source = random.Random(11)
    kinds = ("abc def", "ÄÖß é", "今天天气", "ไทยภาษา", "한국어", "שלום", "مرحبا", "हिन्दी", "🙂👍🏽", "0123456789", "\u200d\u0301\u0e31",
             "'-_*`\"<>{}", "\x00\x07\ud800", " \n\t")
    for _ in range(300):
        text = "".join(source.choice(source.choice(kinds)) for _ in range(source.choice((1, 5, 40, 400))))
        for candidate in INDEX.rank(text).candidates:
            assert 0.0 <= candidate.fits <= 1.0 and 0.0 <= candidate.confidence <= 1.0, text
            assert sum(term.share for term in candidate.terms) <= 1.0 + 1e-9, text
