"""csv-profile keeps its promises: what it finds in columns, in how tables are written, and in what is wrong with them."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import LIBRARY, Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("csv-profile")
TALLY = tool_of("csv-profile", "tally")
FORMS = tool_of("csv-profile", "forms")


def profile(text: Any, **options: Any) -> dict[str, Any]:
    """The profile of a table, which must fit the output schema."""
    if isinstance(text, str):
        fits("csv-profile", "input", {"text": text, **options})
    return fits("csv-profile", "output", TOOL.profile({"text": text, **options}))


def column(name: str, text: Any, **options: Any) -> dict[str, Any]:
    """One column of the profile."""
    return next(found for found in profile(text, **options)["columns"] if found["name"] == name)


def a_column(*cells: str, name: str = "x") -> dict[str, Any]:
    """The profile of a column with these cells, beside a column of numbers."""
    return column(name, f"n\t{name}\n" + "".join(f"{n}\t{cell}\n" for n, cell in enumerate(cells)))


def orders(rows: int) -> str:
    """A table of orders as a shop exports it; every tenth has no region."""
    draw = random.Random(1)
    lines = ["id,customer,region,amount,ordered,paid"]
    for n in range(rows):
        region = "" if n % 10 == 0 else draw.choice(["north", "south"])
        lines.append(f'{n},"Customer, {n}",{region},{draw.random() * 100:.2f},2024-{n % 12 + 1:02d}-05,{draw.choice(["yes", "no"])}')
    return "\n".join(lines) + "\n"


def test_the_summary_says_which_columns_have_missing_values() -> None:
    found = profile("a,b\n1,\n2,3\n")
    same(found["columns_with_missing"], ["b"])
    same(found["summary"], "2 rows and 2 columns, separated by commas. 1 of 2 columns has missing values: b (1 of 2, 50.0%).")


def test_a_table_without_holes_is_said_to_have_none() -> None:
    assert "No column has missing values." in profile("a,b\n1,x\n2,y\n")["summary"]


def test_each_kind_of_column_is_recognised() -> None:
    found = profile(orders(200))
    same({c["name"]: c["type"] for c in found["columns"]},
         {"id": "integer", "customer": "text", "region": "text", "amount": "number", "ordered": "date", "paid": "boolean"})
    same(found["rows"], 200)
    same(found["columns"][2]["missing"], 20)
    same(found["columns"][2]["missing_share"], 0.1)


def test_numbers_are_measured() -> None:
    numbers = a_column("1", "2", "3", "4", "100")["numbers"]
    same([numbers[k] for k in ("min", "max", "mean", "p25", "median", "p75")], [1, 100, 22, 2, 3, 4])
    same(round(numbers["stdev"], 4), 43.6177)
    assert numbers["quantiles_exact"]


def test_numbers_are_understood_in_the_conventions_of_many_countries() -> None:
    for cells, low in ((("1.234,50", "12,5"), 12.5), (("1,234.50", "12.5"), 12.5), (("1 234,5", "7,25"), 7.25), (("1'234.5", "8.25"), 8.25),
                       (("(3.50)", "4.00"), -3.5), (("€ 5,10", "6,20 €"), 5.1), (("12 %", "7 %"), 7), (("12,34,567.5", "1.5"), 1.5),
                       (("−5,2", "1,0"), -5.2)):
        found = a_column(*cells)
        same((found["type"], found["numbers"]["min"]), ("number" if low != 7 else "integer", low))


def test_a_comma_that_could_be_either_is_decided_by_the_rest_of_the_table_and_warned_about() -> None:
    found = profile("a;b\n1,234;0,5\n2,345;1,25\n")["columns"][0]
    same(found["numbers"]["max"], 2.345)
    assert "two ways" in found["warnings"][0]
    same(a_column("1,234", "2,345")["numbers"]["max"], 2345)


def test_dates_are_understood_in_common_forms() -> None:
    for cells, first in ((("2024-01-05", "2024-02-01"), "2024-01-05"), (("05.01.2024", "31.12.2023"), "2023-12-31"),
                         (("01/13/2024", "02/03/2024"), "2024-01-13"), (("13/01/2024", "02/03/2024"), "2024-01-13"),
                         (("5. März 2024", "6. Mai 2024"), "2024-03-05"), (("March 5, 2024", "Apr 6, 2024"), "2024-03-05"),
                         (("2024年1月5日", "2024年2月1日"), "2024-01-05")):
        found = a_column(*cells)
        same((found["type"], found["dates"]["first"]), ("date", first))
    same(a_column("2024-01-05T10:00:00Z", "2024-01-05 11:30")["type"], "datetime")
    same(a_column("1/2/2024 5:06 PM", "1/13/2024 6:07 AM")["dates"]["last"], "2024-01-13 06:07:00")


def test_days_and_months_that_cannot_be_told_apart_are_warned_about() -> None:
    assert any("cannot be told apart" in warning for warning in a_column("01/02/2024", "03/04/2024")["warnings"])


def test_an_impossible_date_is_text() -> None:
    same(a_column("31.02.2024", "30.02.2024")["type"], "text")


def test_missing_words_count_as_missing_and_can_be_chosen() -> None:
    found = a_column("1", "NA", "n/a", "null", "-", "", "2")
    same((found["missing"], found["type"]), (5, "integer"))
    same(found["missing_forms"], {"NA": 1, "n/a": 1, "null": 1, "-": 1, "": 1})
    same(column("b", "a,b\n1,none\n2,unknown\n3,x\n", missing=["unknown"])["missing"], 1)


def test_codes_with_leading_zeros_are_text_and_say_where() -> None:
    found = a_column("01067", "80331")
    same(found["type"], "text")
    assert "first at line 2: 01067" in found["warnings"][0]


def test_a_column_of_numbers_with_a_word_in_it_is_mixed_and_says_where() -> None:
    found = a_column("1", "2", "error", "4")
    same(found["type"], "mixed")
    assert "line 4: error" in found["warnings"][0]
    same(found["numbers"]["max"], 4)


def test_outliers_white_space_and_duplicates_are_reported() -> None:
    found = profile("n,x\n" + "".join(f"{n},{20 + n % 3}\n" for n in range(50)) + "51, 9999\n51, 9999\n")
    warnings = " ".join(found["columns"][1]["warnings"])
    assert "2 numbers far outside" in warnings and "white space" in warnings
    same(found["duplicate_rows"]["count"], 1)


def test_ragged_rows_are_named_by_line_and_not_lost() -> None:
    found = profile("a,b,c\n1,2,3\n4,5\n\"x\ny\",2,3\n7,8,9,10\n\n1,1,1\n")
    same(found["ragged_rows"], {"short": 1, "long": 1, "first": [{"line": 3, "cells": 2}, {"line": 6, "cells": 4}]})
    same((found["rows"], found["blank_lines"]), (5, 1))


def test_every_separator_and_quote_is_found() -> None:
    for mark in ",;\t|":
        found = profile(f"name{mark}note{mark}n\nAnn{mark}\"said {mark} hello\"{mark}1\nBob{mark}\"two\nlines\"{mark}2\n")
        same((found["dialect"]["separator"], found["rows"], len(found["columns"])), (mark, 2, 3))
    same(profile("a,b\n'x, y',1\n'z',2\n")["dialect"]["quote"], "'")
    same(column("b", 'a,b\n1,"say \\"hi\\", ok"\n2,"x"\n')["examples"][0], 'say "hi", ok')


def test_decimal_commas_do_not_hide_the_semicolon() -> None:
    found = profile("a;b;c\n1,5;2,5;3,5\n2,5;3,5;4,5\n")
    same([c["type"] for c in found["columns"]], ["number"] * 3)


def test_a_quote_that_never_closes_costs_its_own_line_only() -> None:
    found = profile("a,b\n1,\"oops\n" + "".join(f"{n},x\n" for n in range(1000)))
    same(found["rows"], 1001)
    assert "never closes at line 2" in found["summary"]


def test_quotes_that_are_only_inches_do_not_swallow_rows() -> None:
    found = profile("size\tname\n" + "".join(f'"{n} inch\tpipe {n}\n' for n in range(300)))
    same(found["rows"], 300)


def test_a_table_without_a_header_gets_names() -> None:
    found = profile("1,2024-01-05,3.5\n2,2024-01-06,4.5\n")
    same((found["dialect"]["header"], [c["name"] for c in found["columns"]], found["rows"]), (False, ["column_1", "column_2", "column_3"], 2))


def test_years_can_stand_in_a_header() -> None:
    found = profile("country,2019,2020\nChile,1.5,2.5\nPeru,2.5,3.5\n")
    same([c["name"] for c in found["columns"]], ["country", "2019", "2020"])


def test_names_that_stand_twice_or_not_at_all_become_unique() -> None:
    found = profile("id,x,,x\n1,2,3,4\n2,3,4,5\n")
    same([c["name"] for c in found["columns"]], ["id", "x", "column_3", "x_2"])
    assert "more than once: x" in found["summary"]


def test_title_lines_and_the_line_of_excel_are_skipped() -> None:
    found = profile("Sales report,,\nJanuary,,\nid,n,m\n1,2,3\n4,5\n")
    same(([c["name"] for c in found["columns"]], found["dialect"]["skipped_lines"]), (["id", "n", "m"], 2))
    same(found["ragged_rows"]["first"], [{"line": 5, "cells": 2}])
    found = profile("sep=;\na;b\n1;2\n")
    same((found["dialect"]["separator"], found["dialect"]["skipped_lines"], found["rows"]), (";", 1, 1))


def test_encodings_are_found_and_reported() -> None:
    text = "Name,Ort\nMüller,Köln\nWeiß,Lübeck\n"
    for codec, name, how in (("utf-8", "utf-8", "valid"), ("utf-8-sig", "utf-8-sig", "byte order mark"), ("utf-16", "utf-16", "byte order mark"),
                             ("utf-16-le", "utf-16-le", "zero bytes"), ("utf-32", "utf-32", "byte order mark"), ("cp1252", "cp1252", "fallback")):
        found = profile(a_file(text.encode(codec)))
        same((found["encoding"]["name"], found["encoding"]["found_by"], found["columns"][1]["examples"]), (name, how, ["Köln", "Lübeck"]))
    same(profile(a_file("名,数\n東京,1\n".encode("shift_jis")), encoding="shift_jis")["columns"][0]["examples"], ["東京"])
    same(profile("\ufeffa,b\n1,2\n")["columns"][0]["name"], "a")


def test_a_few_bad_bytes_in_utf8_are_counted() -> None:
    found = profile(a_file(b"a,b\n" + "äöü,1\n".encode() * 100 + b"\xff,2\n"))
    same(found["encoding"], {"name": "utf-8", "found_by": "mostly valid", "replaced": 1})


def test_nul_characters_are_removed_and_counted() -> None:
    found = profile("a,b\n1\0,x\n2,y\0\0\n")
    same((found["columns"][0]["type"], "(3)" in found["summary"]), ("integer", True))


def test_huge_fields_are_read_and_shown_short() -> None:
    found = column("b", "a,b\n1," + "x" * 300_000 + "\n2,y\n")
    same(found["lengths"]["max"], 300_000)
    assert all(len(example) <= 120 for example in found["examples"])


def test_what_is_no_table_is_refused_in_a_sentence_for_good() -> None:
    contents: tuple[tuple[str | bytes, str], ...] = (("\n\n", "no rows"), (b"PK\x03\x04....", "ZIP"), (b"\x1f\x8b\x08", "gzip"), (b"%PDF-1.7", "PDF"))
    for content, word in contents:
        path = a_file(content)
        refused = refuses(TOOL.BadInput, partial(TOOL.profile, {"text": path}), word)
        same(refused.retryable, False)
    refuses(TOOL.BadInput, lambda: TOOL.profile({"text": a_file("ä,b\n"), "encoding": "klingon"}), "klingon")


def test_a_header_alone_and_a_single_cell_are_tables() -> None:
    same(profile("a,b\n")["rows"], 0)
    same(profile("a")["rows"], 0)
    assert "no row of data" in profile("a,b\n")["summary"]


def test_a_file_gives_the_same_answer_as_its_text_and_reports_progress() -> None:
    text, step = orders(3_000), Step()
    from_file, from_text = TOOL.profile({"text": a_file(text)}, step), TOOL.profile({"text": text})
    same({**from_file, "encoding": 0}, {**from_text, "encoding": 0})
    same(step.fractions[-1], 1.0)


def test_distinct_values_beyond_the_bound_are_estimated_and_say_so() -> None:
    tally = TALLY.Tally(1_000)
    for start in range(0, 50_000, 5_000):
        tally.add({f"v{n}": 1 for n in range(start, start + 5_000)} | {"often": 500})
    same(tally.exact, False)
    assert abs(tally.distinct() - 50_001) < 50_001 * 0.1, tally.distinct()
    value, count = tally.top(1)[0]
    same(value, "often")
    assert 5_000 - tally.undercount_max <= count <= 5_000


def test_the_sample_for_quantiles_is_uniform_and_reproducible() -> None:
    samples = []
    for _ in range(2):
        reservoir = TALLY.Reservoir()
        for start in range(0, 300_000, 7_000):
            reservoir.extend([float(n) for n in range(start, min(300_000, start + 7_000))])
        samples.append(reservoir.quantiles((0.25, 0.5, 0.75)))
    same(samples[0], samples[1])
    same((reservoir.exact, reservoir.seen, len(reservoir.values)), (False, 300_000, TALLY.RESERVOIR_VALUES))
    assert all(abs(found - wanted) < 3_000 for found, wanted in zip(samples[0], (75_000, 150_000, 225_000), strict=True)), samples[0]


def test_what_looks_like_a_number_but_is_none_stays_text() -> None:
    for cell in ("1.2.3", "1,2,3", "192.168.1.1", "1e999", "12-34", "+", "0x1F", "NaN", "1_000", "9" * 31, "e5", "$"):
        same((FORMS.number(cell, "."), FORMS.number(cell, ",")), (None, None))


def test_the_schema_refuses_what_the_tool_does_not_know() -> None:
    for value in ({}, {"text": ""}, {"text": "a", "colour": 1}, {"text": "a", "separator": "ab"}, {"text": "a", "frequent": -1}):
        assert is_refused("csv-profile", value), value


def test_files_that_skills_share_are_the_same_in_each() -> None:
    for name, skills in (("decoding.py", ("csv-sql", "compare-documents", "text-report")), ("table.py", ("csv-sql",)), ("forms.py", ("csv-sql",))):
        for skill in skills:
            alike = (LIBRARY / skill / name).read_bytes() == (LIBRARY / "csv-profile" / name).read_bytes()
            assert alike, f"{skill}/{name} differs from csv-profile/{name}"
