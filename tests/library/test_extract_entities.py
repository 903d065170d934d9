"""extract-entities keeps its promises: what is found, what it means in a normal form, and what is left alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.kit import same
from tests.library.bundles import Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("extract-entities")
SPANS = tool_of("extract-entities", "spans")


def extracted(text: str | Path, **options: Any) -> dict[str, Any]:
    """The result, which must fit the output schema; each entity must stand where it says."""
    result = fits("extract-entities", "output", TOOL.extract({"text": text, **options}, Step()))
    if isinstance(text, str):
        for entity in result["entities"]:
            same(text[entity["start"]:entity["end"]], entity["value"])
            same(entity["line"], text.count("\n", 0, entity["start"]) + 1)
    return result


def found(kind: str, text: str, **options: Any) -> list[tuple[str, str | None]]:
    """(value, normalised) of the entities of one type, all others looked for too."""
    return [(entity["value"], entity["normalised"]) for entity in extracted(text, **options)["entities"] if entity["type"] == kind]


def only(kind: str, text: str, **options: Any) -> str | None:
    """The normal form of the single entity of this type."""
    entities = found(kind, text, **options)
    assert len(entities) == 1, (text, entities)
    return entities[0][1]


def a_ledger(lines: int, seed: int) -> str:
    """Lines as an accounts department writes them, with an entity or two each."""
    draw = random.Random(seed)
    rows = []
    for number in range(lines):
        day = f"{draw.randrange(1, 29)}.{draw.randrange(1, 13)}.2024"
        rows.append(draw.choice([
            f"Invoice {number} of {day}: {draw.randrange(1, 9)}.{draw.randrange(100, 999)},50 EUR to billing{number}@example.org",
            f"Call +49 30 {draw.randrange(1_000_000, 9_999_999)} about https://example.org/i/{number}?x=1, please.",
            f"Nothing to see in row {number} at all, only some words that go on for a while",
            f"{day} {draw.randrange(1, 90)} % of 2001:db8::{number % 9999:x} and {draw.randrange(5, 900)} km"]))
    return "\n".join(rows)


def test_email_addresses_are_found_in_prose_brackets_and_beside_chinese_and_get_an_ascii_domain() -> None:
    same(found("email", "Write to alice.o'neil@example.com, <bob@müller.de>; mailto:info@例え.jp 邮箱zhang@example.cn。"),
         [("alice.o'neil@example.com", "alice.o'neil@example.com"), ("bob@müller.de", "bob@xn--mller-kva.de"),
          ("info@例え.jp", "info@xn--r8jz45g.jp"),
          ("zhang@example.cn", "zhang@example.cn")])
    same(found("email", "image@2x.png a@b user@localhost @handle a@b..c"), [])


def test_urls_end_before_the_punctuation_of_their_sentence() -> None:
    rows = (
        ("See https://en.wikipedia.org/wiki/Foo_(bar), please", "https://en.wikipedia.org/wiki/Foo_(bar)"),
        ("(http://EXAMPLE.com:80/a?b=c)", "http://example.com/a?b=c"),
        ("[docs](https://docs.example.org/x).", "https://docs.example.org/x"),
        ("Go to www.test.io!", "http://www.test.io/"),
        ("<https://example.org/a#b>", "https://example.org/a#b"),
        ("请访问https://example.com/path查看。", "https://example.com/path"),
        ("https://ja.wikipedia.org/wiki/日本、", "https://ja.wikipedia.org/wiki/日本"),
        ("ftp://user@[2001:db8::1]:2121/f", "ftp://user@[2001:db8::1]:2121/f"),
        ("it is at example.com/help, see?", "http://example.com/help"),
    )
    for text, wanted in rows:
        same((text, only("url", text)), (text, wanted))
    same(found("url", "node.js 3.12 e.g.this http:// ://x file.py"), [])


def test_dates_are_iso_in_numbers_and_in_the_months_of_many_languages() -> None:
    rows = {
        "2024-05-01T10:30:00Z": "2024-05-01T10:30:00Z", "2024/5/1": "2024-05-01", "25/12/2024": "2024-12-25", "1.5.2024": "2024-05-01",
        "12.31.2024": "2024-12-31", "May 5, 2024 at 3:30 pm": "2024-05-05T15:30", "the 1st of June 2023": "2023-06-01", "March 2024": "2024-03",
        "1er janvier 2024": "2024-01-01", "12. März 2024": "2024-03-12", "3 de mayo de 2024": "2024-05-03", "5 maggio 2024": "2024-05-05",
        "12 января 2024 г.": "2024-01-12", "14 listopada 2023": "2023-11-14", "2024年5月1日": "2024-05-01", "令和6年5月1日": "2024-05-01",
        "2024년 5월 1일": "2024-05-01", "Q3 2024": "2024-Q3", "2024-W05": "2024-W05", "5 May": "--05-05", "13-Jan-24": "2024-01-13",
        "29 February 2024": "2024-02-29", "２０２４年５月１日": "2024-05-01"}
    for text, wanted in rows.items():
        same((text, only("date", f"on {text} we met")), (text, wanted))


def test_days_that_do_not_exist_versions_and_the_verb_may_are_no_dates() -> None:
    same(found("date", "31/02/2024, 29 February 2023, 2024-13-01, version 1.2.2024.5, you may 5 times, 10 people may go, 3/4 of it"), [])


def test_a_date_that_could_be_day_first_or_month_first_is_flagged_unless_the_order_is_given() -> None:
    entity = extracted("due 03/04/2024")["entities"][0]
    same((entity["normalised"], entity["details"]), (None, {"ambiguous": True, "candidates": ["2024-04-03", "2024-03-04"]}))
    same((only("date", "due 03/04/2024", date_order="dmy"), only("date", "due 03/04/2024", date_order="mdy")), ("2024-04-03", "2024-03-04"))


def test_relative_dates_stay_text() -> None:
    text = "yesterday, next Monday, vor 3 Tagen, il y a 2 jours, ayer, 明日"
    same(found("date", text), [(part, None) for part in text.split(", ")])
    assert all(entity["details"] == {"relative": True} for entity in extracted(text)["entities"])


def test_amounts_follow_the_conventions_of_their_currency() -> None:
    rows = {
        "$1,234.56": "1234.56 USD", "12,50 €": "12.50 EUR", "1.234,56 EUR": "1234.56 EUR", "US$ 1.2M": "1200000 USD", "$3bn": "3000000000 USD",
        "5 Mio. €": "5000000 EUR", "1 234,56 €": "1234.56 EUR", "CHF 1'234.50": "1234.50 CHF", "₹1,23,456": "123456 INR", "1,200円": "1200 JPY",
        "3億円": "300000000 JPY", "100万元": "1000000 CNY", "5 dollars": "5 USD", "-$5.00": "-5.00 USD", "£3k": "3000 GBP", "R$ 10,00": "10.00 BRL",
        "2,5 Millionen Euro": "2500000 EUR", "1 000 000 руб.": "1000000 RUB", "$1.5 million": "1500000 USD", "12.99€": "12.99 EUR",
        "1.234 €": "1234 EUR"}
    for text, wanted in rows.items():
        same((text, only("amount", f"It costs {text} today")), (text, wanted))
    same(found("amount", "100 USD 200 EUR and EUR 5"), [("100 USD", "100 USD"), ("200 EUR", "200 EUR"), ("EUR 5", "5 EUR")])


def test_an_amount_whose_separator_could_be_decimal_is_flagged_with_both_readings() -> None:
    entity = extracted("€1,234")["entities"][0]
    same((entity["normalised"], entity["details"]["candidates"]), ("1234 EUR", ["1234 EUR", "1.234 EUR"]))
    assert "ambiguous" not in extracted("$1,234")["entities"][0].get("details", {})


def test_phone_numbers_are_told_from_ids_dates_and_order_numbers() -> None:
    rows = {"+49 30 123456": "+4930123456", "+1 (555) 234-5678": "+15552345678", "+44 (0)20 7946 0958": "+442079460958",
            "(212) 555-0199": "+12125550199",
            "01 23 45 67 89": "+33123456789", "03-1234-5678": "+81312345678", "0171/1234567": "01711234567", "tel: 5551234": "5551234",
            "Tel. 030 1234567 ext. 12": "0301234567", "电话：13812345678": "+8613812345678"}
    for text, wanted in rows.items():
        same((text, only("phone", f"x, {text} now")), (text, wanted))
    same(found("phone", "Order 212-555-0199, 2024-05-01, 1234567890, 12:30:45, 10.0.0.1, invoice no. 0171/1234567, 2019-2024, 1 000 000, +999 12"),
         [])
    same(only("phone", "030 1234567 ext. 12", country="DE"), "+49301234567")


def test_ibans_and_cards_need_right_check_digits() -> None:
    same(found("iban", "DE89 3704 0044 0532 0130 00 and GB82WEST12345698765432; DE00 3704 0044 0532 0130 00, AB12"),
         [("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"), ("GB82WEST12345698765432", "GB82WEST12345698765432")])
    same(found("card", "4111 1111 1111 1111, 4111 1111 1111 1112, 378282246310005, 1234567890123456"),
         [("4111 1111 1111 1111", "4111111111111111"), ("378282246310005", "378282246310005")])


def test_ips_percentages_and_measurements_are_found_and_versions_and_clocks_are_not() -> None:
    same(found("ip", "192.168.0.1 10.0.0.0/8 2001:DB8::1 ::1 version 1.2.3.4 at 10:30:45 std::vector 1.2.3 300.1.1.1"),
         [("192.168.0.1", "192.168.0.1"), ("10.0.0.0/8", "10.0.0.0/8"), ("2001:DB8::1", "2001:db8::1"), ("::1", "::1")])
    same([value for _text, value in found("percentage", "12.5 %, 12,5%, ３０％, 10 Prozent, 3‰")], ["12.5%", "12.5%", "30%", "10%", "3‰"])
    same([value for _text, value in found("measure", "5 km, 3.5 kg, 20 °C, 16 GB, -3 °C")], ["5 km", "3.5 kg", "20 °C", "16 GB", "-3 °C"])


def test_overlaps_go_to_the_stricter_type() -> None:
    result = extracted("https://example.org/2024-05-01?mail=a@example.org&ip=10.0.0.1 and 2024-05-01")
    same([(entity["type"], entity["value"]) for entity in result["entities"]],
         [("url", "https://example.org/2024-05-01?mail=a@example.org&ip=10.0.0.1"), ("date", "2024-05-01")])
    same(extracted("https://a.example.org/x?m=a@example.org", types=["email"])["entities"], [])


def test_types_confidence_uniqueness_and_limit_are_the_clients() -> None:
    text = "a@example.org, A@example.org, a@example.org on 5 May and 2024-05-06"
    same({entity["type"] for entity in extracted(text, types=["date"])["entities"]}, {"date"})
    same([entity["value"] for entity in extracted(text, types=["date"], min_confidence=0.9)["entities"]], ["2024-05-06"])
    same([(entity["value"], entity["count"]) for entity in extracted(text, types=["email"], unique=True)["entities"]],
         [("a@example.org", 2), ("A@example.org", 1)])
    cut = extracted(text, max_entities=1)
    same((len(cut["entities"]), cut["truncated"], cut["counts"]["email"]), (1, True, 3))
    assert "4 more" in cut["notes"][0], cut["notes"]


def test_a_file_in_windows_gives_exactly_what_the_whole_text_gives() -> None:
    text = a_ledger(6_000, seed=4)
    whole = SPANS.resolved(entity for kind in TOOL.Extraction({}).recognisers for entity in kind(text.translate(SPANS.PLAIN)) if entity.confidence
>= 0.5)
    result = extracted(a_file(text), max_entities=100_000)
    same([(entity["type"], entity["start"], entity["end"]) for entity in result["entities"]], [(one.kind, one.start, one.end) for one in whole])
    same(result["characters"], len(text))
    assert len(text) > 2 * SPANS.WINDOW_CHARACTERS and result["entities"][-1]["line"] > 5_900


def test_a_windows_cut_never_splits_an_entity() -> None:
    for size in (40, 97, 1_000):
        seen = []
        for window in SPANS.windows(["x" * 7, "a@example.org " * 900, "y" * 11], size):
            seen.append(window.text[window.first:window.last])
        same("".join(seen), "x" * 7 + "a@example.org " * 900 + "y" * 11)


def test_bad_bytes_are_told_and_empty_text_has_no_entities() -> None:
    result = extracted(a_file("Prix : 5 € à caf\xe9@example.org\n".encode() + b"\xe9 2024-05-01"))
    assert "1 bytes" in result["notes"][0], result["notes"]
    same(result["counts"]["date"], 1)
    same(extracted("")["entities"], [])


def test_shapes_that_make_patterns_slow_pass_like_any_other_text() -> None:
    for shape in ("0", "a.", "1,", "[", "\n", "=", "“a. ", "a@", "Mr van ", "1 Main "):
        found = extracted(shape * (20_000 // len(shape)) + " end. Then ann@example.org comes.")["entities"]
        assert "ann@example.org" in [entity["value"] for entity in found], shape


def test_options_that_make_no_sense_are_refused_by_the_schema() -> None:
    wrong: list[dict[str, Any]] = [{"types": []}, {"types": ["name"]}, {"country": "de"}, {"date_order": "ymd"}, {"max_entities": 0},
                                   {"min_confidence": 2}]
    for options in wrong:
        assert is_refused("extract-entities", {"text": "x", **options}), options
