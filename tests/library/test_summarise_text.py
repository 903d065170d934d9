"""summarise-text keeps its promises: sentences cut where a reader would, the ones that matter chosen, each where it says it stands."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("summarise-text")
SENTENCES = tool_of("summarise-text", "sentences")
WORDS = tool_of("summarise-text", "words")

BRIDGE = """# The Harbour Bridge Report

## Findings

The harbour bridge has a crack in its eastern pylon. Engineers found the crack during the inspection in March. It was raining that day.
The crack in the pylon grows by two millimetres a month, and the bridge must close before winter unless it is repaired.
Somebody had left a sandwich on the railing.

## Costs

Repairing the pylon of the bridge costs 4.2 million euros, according to Dr. Elena Rossi of the port authority. A new bridge would cost
310 million euros. The port authority asked the city to pay for the repair of the bridge by June.

- The ferry costs 9,000 euros a day.
- The detour for lorries is 41 kilometres.

```
crack = measure(bridge); crack crack crack bridge bridge bridge.
```
"""
GERMAN = """Die Stadtwerke bauen am 3. Oktober ein neues Wasserwerk. Das Wasserwerk versorgt rund 40.000 Haushalte, d. h. den ganzen Norden der Stadt.
Es hat geregnet. Nach Angaben von Dr. Weber kostet das Wasserwerk ca. 12,5 Mio. Euro. Die Stadtwerke rechnen mit einer Bauzeit von drei Jahren.
Ein Hund bellte. Das neue Wasserwerk ersetzt zwei alte Werke, die seit 1962 Wasser in die Stadt liefern."""
CHINESE = ("港口大桥的东塔出现了裂缝。工程师在三月的检查中发现了大桥的裂缝。那天下着雨。"
           "如果不修复，大桥必须在冬天之前关闭。修复大桥的裂缝需要四百二十万欧元。有人喝了茶。")
JAPANESE = ("港の大橋の東塔に亀裂が見つかった。「大橋は危険だ。冬までに直す。」と技師は話した。その日は雨だった。"
            "大橋の亀裂の修理には四百万ユーロが必要だ。犬が鳴いた。")


def summarised(text: str | Path, **options: Any) -> dict[str, Any]:
    """The summary, which must fit the output schema; each sentence must stand where it says."""
    result = fits("summarise-text", "output", TOOL.summarise({"text": text, **options}, Step()))
    if isinstance(text, str):
        for sentence in result["sentences"]:
            same(SENTENCES.clean(text[sentence["start"]:sentence["end"]]), sentence["text"])
    starts = [sentence["start"] for sentence in result["sentences"]]
    same(starts, sorted(starts))
    return result


def texts(result: dict[str, Any]) -> str:
    """The chosen sentences, joined by a bar."""
    return " | ".join(sentence["text"] for sentence in result["sentences"])


def split(text: str) -> list[str]:
    """The sentences of a text."""
    return [unit.text for unit in SENTENCES.Reader().read([text]) if isinstance(unit, SENTENCES.Sentence)]


def a_book(chapters: int, seed: int) -> str:
    """Chapters of forty sentences: one in two says something about the chapter's own animal, the others are asides."""
    draw = random.Random(seed)
    words = ["river", "stone", "bread", "winter", "letter", "window", "engine", "garden", "signal", "harbour", "market", "number", "summer", "colour"]
    parts = []
    for chapter in range(chapters):
        animal = draw.choice(["otter", "heron", "badger", "falcon"]) + str(chapter)
        body = []
        for number in range(40):
            one, two = draw.choice(words), draw.choice(words)
            aside = f"It was {one} number {number}."
            body.append(aside if number % 2 else f"The {animal} crosses the {one} and sleeps near the {two} of the valley {number}.")
        parts.append(f"# Chapter {chapter}\n\n" + " ".join(body))
    return "\n\n".join(parts)


def test_abbreviations_initials_decimals_and_ordinals_do_not_end_a_sentence() -> None:
    same(split("Dr. Smith met Mr. J. R. Jones at 3.45 p.m. on Jan. 5. They saw the U.S. economy, i.e. growth of 3.5 percent. See Fig. 3. Done."),
         ["Dr. Smith met Mr. J. R. Jones at 3.45 p.m. on Jan. 5.", "They saw the U.S. economy, i.e. growth of 3.5 percent.", "See Fig. 3.", "Done."])
    same(split("Der Vertrag wurde am 3. Oktober 1990 geschlossen, z. B. in Berlin. Er gilt bis zum 31. Dezember. "
               "Das kostet ca. 5.000,50 Euro bzw. mehr."),
         ["Der Vertrag wurde am 3. Oktober 1990 geschlossen, z. B. in Berlin.", "Er gilt bis zum 31. Dezember.",
          "Das kostet ca. 5.000,50 Euro bzw. mehr."])
    same(split("El Sr. García llegó. ¿Qué pasa? ¡Nada! Это было в 1999 г. в Москве. Конец."),
         ["El Sr. García llegó.", "¿Qué pasa?", "¡Nada!", "Это было в 1999 г. в Москве.", "Конец."])


def test_a_quotation_stays_with_its_sentence() -> None:
    same(split('He said "I will go. You stay here." Then he left. "Really?" he asked.'),
         ['He said "I will go. You stay here."', "Then he left.", '"Really?" he asked.'])
    same(split("„Das ist gut. Wirklich.“, sagte er. Il a dit : « Bonjour. Ça va ? » Puis il partit."),
         ["„Das ist gut. Wirklich.“, sagte er.", "Il a dit : « Bonjour. Ça va ? »", "Puis il partit."])


def test_chinese_and_japanese_sentences_end_at_their_own_marks() -> None:
    same(split("中文句子。另一个句子？“他说：好的。”然后走了。"), ["中文句子。", "另一个句子？", "“他说：好的。”", "然后走了。"])
    same(split("「行きます。待って。」と彼は言った。値段は3.5円です！"), ["「行きます。待って。」と彼は言った。", "値段は3.5円です！"])
    same(split("これは折り返された長い行であり、\n次の行に続きます。यह हिंदी है। दूसरा वाक्य।"),
         ["これは折り返された長い行であり、次の行に続きます。", "यह हिंदी है।", "दूसरा वाक्य।"])


def test_headings_lists_and_wrapped_lines_are_understood_and_code_and_tables_left_out() -> None:
    text = ("---\ntitle: x\n---\n# One\n\nA line that is wrapped by hand because it is too long for the page\ngoes on here.\n\n"
            "- First item. Two sentences.\n- Second\n\n```python\nx = 1. Y = 2.\n```\n\n| a | b |\n|---|---|\n| 1. | 2 |\n\nTwo\n---\nEnd of **all** [things](http://x.y/z.html).\n")
    units = list(SENTENCES.Reader().read([text]))
    same([unit.text for unit in units], ["One", "A line that is wrapped by hand because it is too long for the page goes on here.", "First item.",
                                         "Two sentences.",
                                         "Second", "Two", "End of all things."])
    same([unit.level for unit in units if isinstance(unit, SENTENCES.Heading)], [1, 2])


def test_pieces_of_any_size_give_the_same_sentences() -> None:
    def cut(size: int) -> list[tuple[str, int, int]]:
        text = BRIDGE + "\n" + GERMAN + "\r\n\r\n" + JAPANESE
        return [(unit.text, unit.start, unit.end) for unit in SENTENCES.Reader().read(text[at:at + size] for at in range(0, len(text), size))]
    whole = cut(10**6)
    for size in (1, 7, 64):
        same(cut(size), whole)


def test_the_summary_says_what_the_text_is_about_and_leaves_out_asides_and_code() -> None:
    result = summarised(BRIDGE, sentences=4)
    chosen = texts(result)
    assert "crack" in chosen and "costs 4.2 million euros" in chosen, chosen
    assert "sandwich" not in chosen and "raining" not in chosen and "measure(" not in chosen, chosen
    same((result["title"], result["title_from"], result["language"]), ("The Harbour Bridge Report", "heading", "en"))
    assert {"bridge", "pylon"} & {word for term in result["key_terms"] for word in term["term"].lower().split()}


def test_other_languages_are_summarised_by_the_same_rules() -> None:
    german = summarised(GERMAN, sentences=3)
    same(german["language"], "de")
    assert "Wasserwerk" in texts(german) and "Hund" not in texts(german) and "geregnet" not in texts(german), texts(german)
    for text, language, topic, asides in ((CHINESE, "zh", "大桥", ("喝了茶", "下着雨")), (JAPANESE, "ja", "大橋", ("犬が鳴いた", "雨だった"))):
        result = summarised(text, sentences=3)
        same(result["language"], language)
        assert topic in texts(result) and not any(aside in texts(result) for aside in asides), texts(result)
        assert topic in [term["term"] for term in result["key_terms"]], result["key_terms"]


def test_what_says_the_same_twice_is_chosen_once() -> None:
    text = ("The council will close the northern swimming pool in autumn to save money. "
            "The council will close the northern swimming pool in autumn to save some money. "
            "Parents of the swimming club protest against the decision of the council. The mayor wants to decide about the pool in May.")
    result = summarised(text, sentences=3)
    same(sum("close the northern" in sentence["text"] for sentence in result["sentences"]), 1)


def test_length_can_be_given_in_sentences_as_a_share_or_in_characters_and_the_tightest_counts() -> None:
    same(len(summarised(GERMAN)["sentences"]), 5)
    same(len(summarised(GERMAN, share=0.25)["sentences"]), 2)
    same(len(summarised(GERMAN, share=1.0, sentences=3)["sentences"]), 3)
    assert len(summarised(GERMAN, characters=200)["summary"]) <= 200
    none = summarised(GERMAN, characters=20, sentences=1)
    assert len(none["summary"]) <= 20


def test_each_section_of_a_long_document_can_have_its_own_summary() -> None:
    result = summarised(a_book(6, seed=1), per_section=True, sentences_per_section=1)
    same([section["title"] for section in result["sections"]], [f"Chapter {n}" for n in range(6)])
    same([section["sentence_count"] for section in result["sections"]], [40] * 6)
    for number, section in enumerate(result["sections"]):
        sentence = section["sentences"][0]
        assert f"{number} crosses" in sentence["text"] and section["start"] < sentence["start"] < section["end"], section


def test_a_document_of_many_batches_is_summarised_in_bounded_parts() -> None:
    text = a_book(230, seed=2)
    result = summarised(a_file(text), sentences=5)
    same((result["counts"]["sentences"], len(result["sentences"])), (9_200, 5))
    assert any("ranked in 3 parts" in note for note in result["notes"]), result["notes"]
    for sentence in result["sentences"]:
        same(text[sentence["start"]:sentence["end"]], sentence["text"])


def test_text_without_sentences_is_refused_and_bad_bytes_are_told() -> None:
    for empty in ("", " \n", "```\ncode only.\n```\n", "---\n\n***\n", "A title only"):
        refuses(TOOL.InputError, partial(summarised, empty))
    result = summarised(a_file("Le café est fermé. Le café ouvre lundi.".encode("latin-1")))
    assert "café" in result["summary"] and "3 bytes" in result["notes"][0], result["notes"]
    same(summarised(a_file("大橋が壊れた。修理は来年だ。".encode("shift_jis")), encoding="shift_jis")["language"], "ja")


def test_stop_words_tell_the_language_and_nothing_is_told_when_they_do_not() -> None:
    same([WORDS.language_of(text) for text in ("Le chat est sur la table et il dort dans la maison", "Los niños que están en la casa no son de aquí",
                                               "xyzzy plugh")],
         ["fr", "es", None])


def test_shapes_that_make_patterns_slow_pass_like_any_other_text() -> None:
    for shape in ("0", "a.", "1,", "[", "\n", "=", "“a. ", "a@", "Mr van ", "1 Main "):
        text = shape * (20_000 // len(shape)) + " end. And more follows here."
        sentences = summarised(text)["sentences"]
        assert sentences, shape
        for sentence in sentences:
            assert 0 <= sentence["start"] < sentence["end"] <= len(text), shape


def test_lengths_that_make_no_sense_are_refused_by_the_schema() -> None:
    for options in ({"sentences": 0}, {"share": 0}, {"share": 1.5}, {"characters": 5}, {"per_section": "yes"}, {"length": 3}):
        assert is_refused("summarise-text", {"text": "x", **options}), options
