"""Which skill a task in plain words asks for, and when none is."""

from __future__ import annotations

from skills.exclusions import without_exclusions
from skills.match import CONFIDENCE_MIN, TERMS_SHOWN_MAX, Document, Index, Ranking
from skills.request import CHARACTERS_MAX
from skills.words import cut, stem
from tests.kit import same

LIBRARY = (
    Document("csv-profile", "Profiles a CSV file: columns, types, missing values, ranges, frequent values and suspicious rows.",
             ("csv", "columns"), ("what is in this csv file?", "summarise the columns of data.csv", "welche Spalten haben fehlende Werte?")),
    Document("csv-sql", "Answers questions about CSV files with SQL: select, join, group, filter and sort rows, read-only through SQLite.",
             ("sql", "query"), ("run this select over my csv", "total sales by region from sales.csv")),
    Document("log-triage", "Clusters log lines into templates and surfaces rare, new and bursting ones with a timeline.",
             ("log", "errors", "incident"), ("what went wrong in this log?", "find the unusual lines in syslog")),
    Document("summarise-text", "Summarises a text by picking its most important sentences, in many languages.",
             ("summary", "abstract"), ("give me a short summary of this article", "tl;dr of this text", "请总结这篇文章")),
    Document("extract-entities", "Extracts emails, URLs, dates, amounts of money and phone numbers from text.",
             ("entities", "extract"), ("find all email addresses in this text", "list the dates and amounts in this invoice")),
    Document("redact-pii", "Removes personal data from text: names, emails, phone numbers, card numbers.",
             ("privacy", "anonymise"), ("remove personal data from this letter", "mask the phone numbers")),
    Document("compare-documents", "Compares two texts or JSON documents and shows what was added, removed and changed.",
             ("diff", "compare"), ("what changed between these two versions?", "diff these json files")),
    Document("fetch-page", "Fetches a web page and returns its title, text and links.",
             ("web", "http", "url"), ("get the text of https://example.org", "which links are on this page?")),
    Document("text-report", "Builds a report about a text: length, word counts, readability, in Markdown.",
             ("report", "statistics"), ("make a report about this text", "how many words has this document?")),
)
ASKED = {
    "which columns of this csv have missing values?": "csv-profile",
    "WHICH COLUMNS OF THIS CSV HAVE MISSING VALUES": "csv-profile",
    "group the sales by month from the csv": "csv-sql",
    "please summarise this article for me": "summarise-text",
    "summarising texts": "summarise-text",
    "find errors in server.log": "log-triage",
    "what changed between these two json files": "compare-documents",
    "remove all phone numbers from this letter": "redact-pii",
    "open https://example.org and give me the title": "fetch-page",
    "how many words are in this text": "text-report",
    "Welche Spalten dieser CSV haben fehlende Werte?": "csv-profile",
    "帮我总结一下这篇文章": "summarise-text",
}
NOBODY = ("what is the weather on mars", "order me a pizza", "book a flight to Rome", "tell me a joke", "what is this?", "how tall is mount everest",
          "set a timer for 5 minutes", "send an email to bob", "translate this text to german", "play some music", "who won the game yesterday",
          "42", "???", "", "   ", "今天天气怎么样", "что за погода сегодня")


def first(ranking: Ranking) -> tuple[str, float]:
    """Name and confidence of the best candidate."""
    best = ranking.candidates[0]
    return best.name, best.confidence


def names(documents: list[Document], task: str) -> list[str]:
    """The ranking of a small catalogue."""
    return [candidate.name for candidate in Index.build(documents).rank(task).candidates]


def test_a_task_finds_the_skill_that_it_is_about_and_is_sure() -> None:
    index = Index.build(LIBRARY)
    for task, wanted in ASKED.items():
        name, confidence = first(index.rank(task))
        same((task, name), (task, wanted))
        assert confidence >= CONFIDENCE_MIN, (task, confidence)
    assert first(index.rank("which columns of this csv have missing values?"))[1] > 0.9


def test_a_task_that_no_skill_is_for_reaches_nobody() -> None:
    index = Index.build(LIBRARY)
    for task in NOBODY:
        for candidate in index.rank(task).candidates:
            assert candidate.confidence < CONFIDENCE_MIN, (task, candidate)


def test_each_skill_is_found_by_its_own_examples() -> None:
    index = Index.build(LIBRARY)
    for document in LIBRARY:
        for example in document.examples:
            same((example, index.rank(example).candidates[0].name), (example, document.name))


def test_candidates_come_best_first_and_no_more_than_asked_for() -> None:
    ranking = Index.build(LIBRARY).rank("text csv page report words", k=3)
    scores = [candidate.score for candidate in ranking.candidates]
    same((len(scores), scores), (3, sorted(scores, reverse=True)))
    same(Index.build(LIBRARY).rank("csv", k=0).candidates, ())


def test_the_terms_say_what_carried_a_candidate_and_where() -> None:
    best = Index.build(LIBRARY).rank("which columns of this csv have missing values, if any, in any rows of this file?").candidates[0]
    assert len(best.terms) <= TERMS_SHOWN_MAX
    shares = [term.share for term in best.terms]
    same(shares, sorted(shares, reverse=True))
    assert 0.5 < sum(shares) <= 1.0000001
    fields = {term.word: term.field for term in best.terms}
    same((fields["columns"], fields["missing"]), ("keywords", "description"))


def test_words_that_no_skill_knows_are_named_as_the_task_wrote_them() -> None:
    same(Index.build(LIBRARY).rank("which columns of this CSV mention Pizzas or the year 1999?").unmatched, ("mention", "pizzas", "year"))


def test_the_same_catalogue_gives_the_same_ranking_whatever_was_read_before() -> None:
    index = Index.build(LIBRARY)
    for task in ASKED:
        same(Index.build(iter(LIBRARY)).rank(task), index.rank(task))


def test_an_edit_is_put_right_without_building_anew() -> None:
    index = Index.build(LIBRARY)
    radio = Document("radio", "Plays the radio.", (), ("turn the radio on",))
    shorter = Document("summarise-text", "Makes an article shorter.")
    edited = index.changed((radio, shorter), ("csv-sql",))
    same(edited.documents(), {each.name: each for each in (*LIBRARY, radio, shorter) if each.name != "csv-sql"})
    same((index.is_whole, edited.is_whole, index.documents()), (True, False, {each.name: each for each in LIBRARY}))
    same(first(edited.rank("turn on the radio"))[0], "radio")
    same(first(edited.rank("make this article shorter"))[0], "summarise-text")
    assert "csv-sql" not in [each.name for each in edited.rank("run this select over my csv").candidates]
    for task, name in ASKED.items():
        if name not in ("csv-sql", "summarise-text"):
            same(edited.rank(task).candidates[0].name, name)
    back = edited.changed(LIBRARY[1:2], ("radio",)).changed(LIBRARY[3:4])
    same((back.documents(), first(back.rank("run this select over my csv"))[0]), ({each.name: each for each in LIBRARY}, "csv-sql"))
    same(back.changed((), [each.name for each in LIBRARY]).rank("a summary").candidates, ())


def test_an_edited_skill_scores_about_as_if_all_had_been_built_anew() -> None:
    index = Index.build(LIBRARY[:1] + LIBRARY[2:])
    edited, anew = index.changed(LIBRARY[1:2]), Index.build(LIBRARY)
    for task in ASKED:
        same(edited.rank(task).candidates[0].name, anew.rank(task).candidates[0].name)


def test_without_word_vectors_words_and_examples_still_find_the_skill() -> None:
    index = Index.build(LIBRARY, vectors=False)
    for task, name in ASKED.items():
        same(index.rank(task).candidates[0].name, name)
    assert all(each.evidence.sense == each.evidence.known == 0.0 for task in ASKED for each in index.rank(task).candidates)
    same(Index.build((Document("book-room", "Reserve accommodation."),), vectors=False).rank("hotel for two nights").candidates, ())


def test_an_empty_catalogue_has_no_candidates() -> None:
    same(Index.build(()).rank("anything at all"), Ranking((), ("anything",)))


def test_a_catalogue_of_one_still_refuses_what_it_does_not_know() -> None:
    index = Index.build(LIBRARY[:1])
    assert first(index.rank("which columns of this csv have missing values?"))[1] >= CONFIDENCE_MIN
    assert all(candidate.confidence < CONFIDENCE_MIN for candidate in index.rank("is there a table for two in this restaurant?").candidates)


def test_what_a_skill_says_it_is_not_for_does_not_attract() -> None:
    for exclusion in ("Do NOT use for invoices or receipts.", "Not for invoices.", "Never use it when invoices are meant.",
                      "Don't trigger on invoices", "no usar para invoices", "不要用于 invoices。", "invoices 不要用。", "invoices には使用しない。"):
        ranking = Index.build([Document("a", f"Prints letters. {exclusion}"), Document("b", "Sorts photos.")]).rank("invoices")
        same([candidate.terms for candidate in ranking.candidates if candidate.terms or candidate.confidence > CONFIDENCE_MIN], [])
    same(names([Document("a", "Prints letters; do not use for photos. Also prints invoices.")], "invoices"), ["a"])


def test_what_a_skill_says_it_is_not_for_speaks_against_it() -> None:
    other = Document("translate", "Translates a text into German.")

    def score(description: str) -> float:
        ranking = Index.build((Document("summarise", description), other)).rank("summarise this and translate it into German")
        return next(each.score for each in ranking.candidates if each.name == "summarise")
    plain = score("Summarises a text.")
    assert score("Summarises a text. Not for translate or German.") < plain
    assert score("Summarises a text. Nicht für German.") < plain
    same(round(score("Summarises a text. Not for cooking."), 1), round(plain, 1))


def test_exclusions_end_where_their_sentence_ends() -> None:
    for text, kept in (
        ("Reads pages. Do not use for images! Writes text.", "Reads pages.  ! Writes text."),
        ("Use for A; do not use for B; use for C", "Use for A;  ; use for C"),
        ("Use when tests do not pass.", "Use when tests do not pass."),
        ("Finds what is not used.", "Finds what is not used."),
        ("用于文章。不要用于图片。用于代码。", "用于文章。 。用于代码。"),
        ("用于文章。图片类任务不要用。用于代码。", "用于文章。用于代码。"),
    ):
        same(without_exclusions(text), kept)


def test_a_name_a_keyword_and_an_example_speak_louder_than_a_body() -> None:
    body = Document("letters", "Writes letters.", body="Sometimes an invoice is attached. An invoice is a bill.")
    for other in (Document("invoice", "Writes bills."), Document("bills", "Writes bills.", keywords=("invoice",)),
                  Document("bills", "Writes bills.", examples=("write an invoice",)), Document("bills", "Writes an invoice.")):
        same(names([body, other], "invoice"), [other.name, "letters"])


def test_inflections_and_spellings_meet() -> None:
    for said, asked in (
        ("profiles files", "profiling"), ("Extracts emails", "extraction"), ("query", "queries"), ("e-mail", "email"), ("email", "e-mail"),
        ("setVolume", "set the volume"), ("HTTPServer", "http"), ("Café", "cafe"), ("résumé", "RESUME"), ("Straße", "strasse"),
        ("настройки", "настройка"), ("temporizadores", "temporizador"), ("ｆｕｌｌ ｗｉｄｔｈ", "full width"), ("حِساب", "حساب"),
        ("天気予報", "天気"), ("번역하기", "번역을"), ("พยากรณ์อากาศ", "อากาศ"), ("हिन्दी", "हिन्दी"),
    ):
        same((said, names([Document("x", said), Document("y", "something else")], asked)[:1]), (said, ["x"]))


def test_texts_are_cut_the_way_their_script_is_written() -> None:
    for text, words, compounds in (
        ("What's new?", ["what", "new"], []),
        ("don't e-mail Bob's csvFile", ["don", "e", "mail", "bob", "csv", "file"], ["email", "csvfile"]),
        ("l'heure d'été", ["heure", "ete"], []),
        ("snake_case s3://bucket/v1.2", ["snake", "case", "s3", "bucket", "v1", "2"], []),
        ("收尾审查", ["收", "尾", "审", "查", "收尾", "尾审", "审查"], []),
        ("データを見る", ["デー", "ータ", "タを", "見", "る"], []),
        ("번역해줘 a", ["번역", "역해", "해줘", "a"], []),
        ("", [], []),
    ):
        same((text, *cut(text)), (text, words, compounds))
    same([stem(word) for word in ("queries", "boxes", "classes", "files", "status", "analysis", "gas", "css", "日本")],
         ["query", "box", "class", "file", "status", "analysis", "gas", "css", "日本"])


def test_a_very_long_task_is_read_at_its_beginning() -> None:
    index = Index.build(LIBRARY)
    same(index.rank("x" * 100_000).candidates, ())
    pasted = "which columns of this csv have missing values? " + "report summary compare " * CHARACTERS_MAX
    same(index.rank(pasted).candidates, index.rank(pasted[:CHARACTERS_MAX]).candidates)
    assert len(index.rank(" ".join(f"word{n}" for n in range(5_000))).unmatched) <= 100
