"""csv-sql keeps its promises: tables load with the values that they mean, queries only read, and every refusal says what there is to ask."""

from __future__ import annotations

from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("csv-sql")
LOADING = tool_of("csv-sql", "loading")
SALES = "region,amount,day\nnorth,120.50,2024-01-05\nsouth,80,2024-01-06\nnorth,19.50,2024-01-07\n"
GERMAN = "Kunde;Umsatz €;Datum;PLZ;order\nMüller;1.234,50;05.01.2024;01067;1\nMeier;99,90;31.12.2023;80331;2\nSchulz;;17.03.2024;20095;n/a\n"
FOREVER = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"


def answer(sql: str, text: Any = SALES, step: Step | None = None, **options: Any) -> dict[str, Any]:
    """The answer to a query, which must fit the output schema."""
    given = {"sql": sql, **({} if text is None else {"text": text}), **options}
    return fits("csv-sql", "output", TOOL.query(given, step))


def rows(sql: str, text: Any = SALES, **options: Any) -> list[list[Any]]:
    """The rows of the answer."""
    found: list[list[Any]] = answer(sql, text, **options)["rows"]
    return found


def refusal(sql: str, text: Any = SALES, **options: Any) -> str:
    """The message with which a query is refused, for good."""
    error = refuses(TOOL.QueryError, lambda: TOOL.query({"sql": sql, "text": text, **options}))
    same((error.retryable, error.code), (False, "bad_query"))
    return str(error)


def test_rows_are_grouped_summed_and_typed() -> None:
    found = answer("SELECT region, sum(amount) AS total, count(*) AS n FROM data GROUP BY region ORDER BY total DESC")
    same(found["rows"], [["north", 140.0, 2], ["south", 80.0, 1]])
    same(found["columns"], [{"name": "region", "type": "text"}, {"name": "total", "type": "number"}, {"name": "n", "type": "integer"}])
    same((found["row_count"], found["truncated"]), (2, False))


def test_several_tables_are_joined_by_their_names() -> None:
    tables = {"orders": "id,customer\n1,7\n2,8\n3,7\n", "my customers": a_file("id,name\n7,Ann\n8,Bob\n")}
    sql = "SELECT c.name, count(*) FROM orders o JOIN my_customers c ON c.id = o.customer GROUP BY 1"
    same(rows(sql, None, tables=tables), [["Ann", 2], ["Bob", 1]])


def test_numbers_and_dates_of_other_countries_compare_as_they_should() -> None:
    same(rows("SELECT Kunde, Umsatz, Datum FROM data WHERE Datum >= '2024-01-01' ORDER BY Umsatz", GERMAN),
         [["Schulz", None, "2024-03-17"], ["Müller", 1234.5, "2024-01-05"]])
    same(rows("SELECT strftime('%Y', Datum), count(*) FROM data GROUP BY 1", GERMAN), [["2023", 1], ["2024", 2]])


def test_codes_stay_text_and_missing_words_are_null_where_numbers_are() -> None:
    same(rows("SELECT PLZ, order_ FROM data", GERMAN), [["01067", 1], ["80331", 2], ["20095", None]])
    same(rows("SELECT b FROM data", "a,b\n1,99999999999999999999\n2,5\n"), [["99999999999999999999"], ["5"]])
    same(rows("SELECT b FROM data", "a,b\n1,NA\n2,x\n3,\n"), [["NA"], ["x"], [None]])


def test_dates_that_could_be_either_stay_as_written() -> None:
    same(rows("SELECT d FROM data", "n,d\n1,01/02/2024\n2,03/04/2024\n"), [["01/02/2024"], ["03/04/2024"]])
    same(rows("SELECT d FROM data", "n,d\n1,01/02/2024\n2,03/14/2024\n"), [["2024-01-02"], ["2024-03-14"]])


def test_columns_get_names_that_sql_can_say_and_the_answer_maps_them() -> None:
    same(LOADING.sql_names(["id", "Umsatz €", "2019", "order", "", "ID", "城市", "a b"], "column"),
         ["id", "Umsatz", "c_2019", "order_", "column_5", "ID_2", "城市", "a_b"])
    found = answer("SELECT count(*) FROM data", GERMAN)["tables"][0]
    same([(c["name"], c["original"], c["type"]) for c in found["columns"][1:3]], [("Umsatz", "Umsatz €", "number"), ("Datum", "Datum", "date")])


def test_cells_that_do_not_fit_their_column_stay_text_and_are_counted() -> None:
    found = answer("SELECT v FROM data WHERE typeof(v) = 'text'", "n,v\n" + "".join(f"{n},{n}\n" for n in range(60)) + "60,broken\n61,12 or so\n")
    same(found["rows"], [["broken"], ["12 or so"]])
    assert "v that are not of type integer stay text (2; first: broken)" in found["summary"]


def test_ragged_rows_are_loaded_and_noted() -> None:
    found = answer("SELECT * FROM data", "a,b,c\n1,2,3\n4,5\n6,7,8,9\n")
    same(found["rows"], [[1, 2, 3], [4, 5, None], [6, 7, 8]])
    same(len(found["tables"][0]["notes"]), 2)


def test_nothing_but_reading_is_possible() -> None:
    for sql in ("DROP TABLE data", "INSERT INTO data VALUES (1, 2, 3)", "UPDATE data SET amount = 0", "DELETE FROM data", "CREATE TABLE x (a)",
                "CREATE TEMP TABLE x AS SELECT 1", "ATTACH 'x.db' AS x", "PRAGMA table_info(data)", "SELECT * FROM pragma_table_info('data')",
                "SELECT load_extension('x')", "VACUUM INTO 'x'", "BEGIN", "ANALYZE", "ALTER TABLE data ADD z", "CREATE VIEW v AS SELECT 1",
                "CREATE TRIGGER t AFTER INSERT ON data BEGIN SELECT 1; END"):
        assert "Only reading" in refusal(sql), sql
    assert "one SELECT at a time" in refusal("SELECT 1; DROP TABLE data")
    assert "returns nothing" in refusal("-- only a comment")


def test_an_error_names_what_there_is_and_what_may_be_meant() -> None:
    assert "Is amount meant? Tables: data has region, amount, day." in refusal("SELECT amuont FROM data")
    assert "Is data meant?" in refusal("SELECT * FROM dta")
    assert "syntax error" in refusal("SELEC 1")


def test_a_query_that_never_ends_is_stopped() -> None:
    assert "longer than 0.05 seconds" in refusal(FOREVER, time_limit_s=0.05)


def test_a_query_cannot_take_all_memory() -> None:
    for sql in ("SELECT zeroblob(1000000000)", "SELECT group_concat(hex(randomblob(30000000))) FROM data",
                "SELECT replace(hex(zeroblob(9000000)), '0', 'xxxxxxxxx')"):
        assert "too large" in refusal(sql), sql


def test_more_rows_than_asked_for_are_cut_and_said_so() -> None:
    found = answer("SELECT * FROM data", max_rows=2)
    same((len(found["rows"]), found["truncated"]), (2, True))
    same(answer("SELECT * FROM data", max_rows=3)["truncated"], False)
    same(answer("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c", max_rows=2)["rows"], [[1], [2]])


def test_a_whole_result_is_kept_as_an_artifact() -> None:
    text, step = "n,word\n" + "".join(f'{n},"w,{n}"\n' for n in range(5_000)), Step()
    found = answer("SELECT n, word FROM data WHERE n >= 1000", text, step, result="csv")
    same((found["row_count"], len(found["rows"]), found["truncated"]), (4_000, 20, False))
    same(found["artifact"]["name"], "result.csv")
    lines = step.kept["result.csv"].decode().splitlines()
    same((len(lines), lines[0], lines[1]), (4_001, "n,word", '1000,"w,1000"'))


def test_values_that_json_cannot_say_are_told_in_words_it_can() -> None:
    same(rows("SELECT x'00ff', 9e999, NULL, 1.5"), [["00ff", None, None, 1.5]])
    same(len(rows("SELECT printf('%.*c', 50000, 'x')")[0][0]), 10_001)


def test_files_in_any_encoding_are_loaded() -> None:
    same(rows("SELECT Kunde FROM data LIMIT 1", a_file(GERMAN.encode("cp1252"))), [["Müller"]])
    same(rows("SELECT Kunde FROM data LIMIT 1", a_file(GERMAN.encode("utf-16"))), [["Müller"]])


def test_an_empty_table_is_refused_by_its_name() -> None:
    refuses(TOOL.BadInput, lambda: TOOL.query({"sql": "SELECT 1", "tables": {"orders": "\n"}}), "orders", "no rows")


def test_the_schema_asks_for_a_table_and_a_query() -> None:
    for value in ({"sql": "SELECT 1"}, {"text": "a"}, {"sql": " ", "text": "a"}, {"sql": "SELECT 1", "tables": {}},
                  {"sql": "SELECT 1", "text": "a", "max_rows": 0}):
        assert is_refused("csv-sql", value), value
    fits("csv-sql", "input", {"sql": "SELECT 1", "tables": {"a": "x"}})
