"""text-report keeps its promises: facts of a text in many languages, and a page that a program of its own writes from them."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import LIBRARY, Step, a_file, definition_of, fits, is_refused, tool_of

TOOL = tool_of("text-report")
PROSE = tool_of("text-report", "prose")
LANGUAGE = tool_of("text-report", "language")
NOTES = """# Release notes

Version 2.0 ships on 5 March 2024. The new importer reads large files in pieces, and it reports bad rows.
Is the old importer still there? Yes, until June 2025.

## Importer

The importer never loads a file whole. The importer tells you which rows were bad.
"""
SAID = {"en": "This is what we have seen of the town, and it was not what you would expect to find there.",
        "de": "Das ist nicht das, was wir von der Stadt erwartet haben, aber es war auch nicht schlecht.",
        "fr": "Ce n'est pas ce que nous avons vu dans la ville, mais elle est plus belle avec le soleil.",
        "es": "Esto es lo que hemos visto en la ciudad, y no era lo que se podía esperar de ella.",
        "it": "Questo non è quello che abbiamo visto nella città, ma è più bello di come si dice.",
        "pt": "Isto não é o que vimos na cidade, mas é mais bonito do que se diz em outros lugares.",
        "nl": "Dit is niet wat we van de stad hebben gezien, maar het was ook niet zo slecht als men zegt.",
        "ru": "Это не то, что мы видели в городе, но он был красивее, чем о нём говорят.",
        "zh": "这不是我们在城市里看到的，但是它比人们说的更美丽。",
        "ja": "これは私たちが町で見たものではありませんが、とても美しいです。",
        "ko": "이것은 우리가 도시에서 본 것이 아니지만 더 아름답습니다."}


def facts(text: Any, **options: Any) -> dict[str, Any]:
    """The facts of a text, as the next step gets them."""
    found: dict[str, Any] = json.loads(json.dumps(TOOL.facts({"text": text, **options}), allow_nan=False))
    return found


def report(value: Any) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of the second step, run as the worker runs it."""
    argv = [sys.executable, *definition_of("text-report")["steps"][1]["argv"][1:]]
    done = subprocess.run(argv, input=json.dumps(value).encode(), capture_output=True, cwd=LIBRARY / "text-report", env={"LC_ALL": "C"}, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_text_is_counted() -> None:
    found = facts(NOTES)
    same([found["counts"][k] for k in ("words", "sentences", "paragraphs", "headings", "questions")], [41, 6, 2, 2, 1])
    same(found["frequent_words"][0], {"word": "importer", "count": 4})
    same([(s["title"], s["level"], s["line"], s["words"]) for s in found["sections"]], [("Release notes", 1, 1, 26), ("Importer", 2, 6, 15)])
    same(found["questions"], [{"line": 3, "text": "Is the old importer still there?"}])
    same(found["dates"], [{"text": "5 March 2024", "count": 1}])


def test_the_report_is_markdown_written_by_a_program_of_its_own() -> None:
    code, page, errors = report(facts(NOTES, title="Notes | 2.0"))
    same((code, errors), (0, ""))
    fits("text-report", "output", {"text": page})
    for words in ("# Notes \\| 2.0\n", "41 words in 6 sentences", "| words | 41 |", "## Readability", "importer (4)",
                  "  - Importer (15 words, line 6)",
                  "- Is the old importer still there? (line 3)", "- 5 March 2024"):
        assert words in page, f"{words!r} is not in\n{page}"


def test_the_report_of_any_language_is_written_in_any_locale() -> None:
    for text in SAID.values():
        code, page, errors = report(facts(text))
        same((code, errors), (0, ""))
        assert page.startswith("# Report on a text\n")


def test_the_report_program_says_that_bad_data_is_bad_for_good() -> None:
    code, page, errors = report({"text": "not facts"})
    same((code, page), (65, ""))
    assert "not the output of the facts step" in errors and errors.count("\n") == 1


def test_languages_are_recognised() -> None:
    same({language: LANGUAGE.guessed(text) for language, text in SAID.items()}, {language: language for language in SAID})
    same(LANGUAGE.guessed("xyzzy plugh 12345"), "und")
    same(facts("qwerty uiop", language="de")["language_found_by"], "given")


def test_readability_is_given_in_the_formula_of_the_language() -> None:
    easy, hard = facts("The cat sat. The dog ran. We saw it."), facts("Notwithstanding considerable administrative complications, the organisation "
                                                                    "subsequently implemented comprehensive infrastructural modernisation.")
    same([score["name"] for score in easy["readability"]], ["LIX", "Flesch reading ease"])
    assert easy["readability"][1]["score"] > 90 and hard["readability"][1]["score"] < 0 < 70 < hard["readability"][0]["score"]
    same(facts(SAID["de"])["readability"][1]["name"], "Flesch reading ease (Amstad)")
    same(facts(SAID["zh"])["readability"], [])


def test_shortened_words_and_numbers_do_not_end_sentences() -> None:
    for text, count in (("Dr. Smith paid 3.5 million. He left.", 2), ("Am 5. März kam z. B. Herr Dr. Meier. Er blieb.", 2),
                        ("We met at 5 p.m. in Paris. It rained!", 2),
                        ("He said “Stop!” and left. Why?", 2), ("今日は晴れ。明日は雨？", 2), ("Wait... what? Yes.", 2),
                        ("no end", 1), ("e.g. this one", 1)):
        same((text, len(list(PROSE.sentences(text)))), (text, count))


def test_questions_are_known_in_every_script() -> None:
    for text in ("Why?", "“Why?”", "为什么？", "¿Por qué?", "لماذا؟"):
        assert PROSE.is_question(text), text
    assert not PROSE.is_question("Why.")


def test_dates_are_found_as_written() -> None:
    text = "On 2024-03-05, 5.3.2024, 05/03/24, March 5th, 2024, 5. März 2024, 5 de marzo de 2024, 2024年3月5日 and 5 mars."
    same(PROSE.dates(text), ["2024-03-05", "5.3.2024", "05/03/24", "March 5th, 2024", "5. März 2024", "5 de marzo de 2024", "2024年3月5日",
                             "5 mars"])


def test_headings_are_known_in_their_usual_forms() -> None:
    text = ("Title\n=====\n\nText one here.\n\nPart\n----\n\nMore text.\n\n1.2 Scope of it\n\nText.\n\nTERMS AND CONDITIONS\n\nText.\n\n"
            "### Third ###\n\nEnd.\n")
    same([(s["level"], s["title"]) for s in facts(text)["sections"]],
         [(1, "Title"), (2, "Part"), (2, "1.2 Scope of it"), (1, "TERMS AND CONDITIONS"), (3, "Third")])


def test_code_between_fences_is_counted_and_not_read() -> None:
    found = facts("Words are here.\n\n```\n# not a heading\ncode code code?\n```\n\nMore words here.\n")
    same([found["counts"][k] for k in ("words", "headings", "questions", "code_lines")], [6, 0, 0, 4])


def test_sentences_that_stand_twice_are_listed_with_their_lines() -> None:
    text = "The same long sentence stands here.\n\nAnother one.\n\nThe same long sentence stands here.\n"
    same(facts(text)["repeated"], [{"text": "The same long sentence stands here.", "lines": [1, 5]}])


def test_a_file_in_another_encoding_gives_the_same_facts() -> None:
    text = SAID["de"] + " Größe und Straße.\n"
    from_file, step = TOOL.facts({"text": a_file(text.encode("cp1252"))}, Step()), facts(text)
    same(from_file["counts"], step["counts"])
    assert "cp1252" in from_file["warnings"][0]


def test_a_text_without_line_ends_is_read_in_parts() -> None:
    found = facts(a_file("One two three four five six seven. " * 20_000))
    assert abs(found["counts"]["words"] - 140_000) <= 20, found["counts"]


def test_words_beyond_the_bound_are_dropped_and_said_so() -> None:
    told = TOOL._Facts("en")
    for n in range(TOOL.WORDS_KEPT + 1_000):
        told.word(f"w{n}")
        if n % 10 == 0:
            told.word("often")
    same((told.words_dropped, told.words.most_common(1)[0][0]), (True, "often"))


def test_what_holds_no_words_is_refused_in_a_sentence_for_good() -> None:
    contents: tuple[tuple[str | bytes, str], ...] = (("12 34 --- !!", "no words"), ("\n", "no words"), (b"%PDF-1.4", "PDF"), (b"PK\x03\x04x", "ZIP"))
    for content, words in contents:
        same(refuses(TOOL.BadInput, partial(TOOL.facts, {"text": a_file(content)}), words).retryable, False)


def test_the_schema_refuses_what_the_tool_does_not_know() -> None:
    fits("text-report", "input", {"text": "a", "title": "b", "language": "de"})
    for value in ({}, {"text": ""}, {"text": "a", "language": "klingon"}, {"text": "a", "style": "x"}):
        assert is_refused("text-report", value), value
