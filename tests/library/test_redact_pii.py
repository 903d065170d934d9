"""redact-pii keeps its promises: what it knows goes, what is harmless stays, and nothing that went is in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("redact-pii")
NATIONAL = tool_of("redact-pii", "national")
SPANS = tool_of("redact-pii", "spans")
SALT = "a salt of the office"

LETTER = """Dear Mr. Okonkwo-Smith,

my name is Peter van der Berg, born on 5 May 1970. Please call me at +49 30 1234567 or write to p.berg@example.com.
My address: 12 Long Acre Street, Springfield, IL 62704

Later Okonkwo-Smith told Berg that order 4711 of 2024-05-01 costs $12.50.

Best regards,
Peter van der Berg
"""


def redacted(text: str | Path, step: Step | None = None, **options: Any) -> dict[str, Any]:
    """The result of a text, which must fit the output schema; the text of an artifact in place of its reference."""
    step = step or Step()
    result: dict[str, Any] = TOOL.redact({"text": text, **options}, step)
    if isinstance(result["text"], dict):
        result["text"] = step.kept["redacted.txt"].decode()
    return fits("redact-pii", "output", result)


def out(text: str, **options: Any) -> str:
    """The redacted text."""
    return str(redacted(text, **options)["text"])


def value(document: Any, **options: Any) -> Any:
    """A JSON value, redacted."""
    return fits("redact-pii", "output", TOOL.redact({"json": document, **options}, Step()))["json"]


def a_shared_log(lines: int) -> str:
    """Lines with an address, a phone number and a name each."""
    return "".join(f"row {n}: mail u{n}@example.org, call +49 30 {1_000_000 + n}, Mr. Okonkwo paid {n} EUR, then okay\n" for n in range(lines))


def test_a_letter_keeps_its_sense_and_loses_its_people() -> None:
    same(out(LETTER), """Dear Mr. [NAME],

my name is [NAME], born on [BIRTH_DATE]. Please call me at [PHONE] or write to [EMAIL].
My address: [ADDRESS]

Later [NAME] told [NAME] that order 4711 of 2024-05-01 costs $12.50.

Best regards,
[NAME]
""")


def test_names_follow_titles_labels_greetings_and_signatures_in_many_languages() -> None:
    rows = {
        "Sehr geehrter Herr Prof. Dr. Schulze,": "Sehr geehrter Herr Prof. Dr. [NAME],", "Liebe Anna, wie geht es?": "Liebe [NAME], wie geht es?",
        "Chère Madame Dubois,": "Chère Madame [NAME],", "Estimada Sra. García López:": "Estimada Sra. [NAME]:", "Name: Jane Q. Doe": "Name: [NAME]",
        "Patient: ALICE JONES": "Patient: [NAME]", "Nachname: Özdemir; Vorname: Ayşe": "Nachname: [NAME]; Vorname: [NAME]",
        "From: John Smith <john@example.org>": "From: [NAME] <[EMAIL]>", "姓名：王小明": "姓名：[NAME]", "田中さんへ": "[NAME]さんへ",
        "我叫王小明。": "我叫[NAME]。",
        "Mit freundlichen Grüßen\nMaria Weber": "Mit freundlichen Grüßen\n[NAME]", "je m'appelle Luc Moreau.": "je m'appelle [NAME]."}
    for text, wanted in rows.items():
        same(out(text), wanted)


def test_greetings_to_nobody_and_names_of_things_stay() -> None:
    for text in ("Dear Sir or Madam,", "Hi all,", "Hello World!", "Sehr geehrte Damen und Herren,", "name: nginx-proxy", "The name: server one",
                 "file name: a.txt",
                 "Password must be long.", "The token is invalid.", "version 10.2 of 2024-05-01 at 10:30:45", "127.0.0.1", "std::vector",
                 "pages 12-34-56"):
        same(out(text), text)


def test_national_numbers_need_their_check_digits_or_their_word() -> None:
    right = ("SSN 123-45-6789", "NI number AB 12 34 56 C", "Steuer-ID 86095742719", "NIR 1 85 05 78 006 084 91", "DNI 12345678Z", "NIE X1234567L",
             "CF RSSMRA85T10A562S", "身份证 11010519491231002X", "CPF 529.982.247-25", "Aadhaar 2341 2341 2346", "AHV 756.9217.0769.85",
             "BSN 111222333",
             "PESEL 44051401359", "SIN 130 692 544", "personnummer 811218-9876", "主民 800101-1234567", "マイナンバー 123456789018",
             "HETU 131052-308T",
             "CURP GOMC850512HDFLRR09")
    for text in right:
        assert "[NATIONAL_ID]" in out(text), (text, out(text))
    for text in ("SSN 000-45-6789", "DNI 12345678A", "身份证 110105194912310021", "CPF 529.982.247-26", "PESEL 44051401358", "number 44051401359",
                 "number 111222333"):
        same((text, redacted(text)["counts"].get("national_id")), (text, None))


def test_every_check_digit_refuses_most_numbers_that_are_off_by_one() -> None:
    samples = {"de_tax": "86095742719", "fr_nir": "185057800608491", "cn_id": "11010519491231002X", "br_cpf": "52998224725",
               "in_aadhaar": "234123412346",
               "ch_ahv": "7569217076985", "jp_number": "123456789018", "pl_pesel": "44051401359", "nl_bsn": "111222333"}
    for name, number in samples.items():
        right = getattr(NATIONAL, name)
        assert right(number), name
        wrong = [number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1:] for at in range(len(number) - 1)]
        assert sum(map(right, wrong)) <= 1, name


def test_bank_data_addresses_and_devices_go() -> None:
    rows = {
        "IBAN DE89 3704 0044 0532 0130 00 is mine": "IBAN [IBAN] is mine", "card 4111 1111 1111 1111": "card [CARD]",
        "Account number: 12345678": "Account number: [ACCOUNT]",
        "sort code 12-34-56": "sort code [ACCOUNT]", "passport no. X1234567": "passport no. [NATIONAL_ID]",
        "from 10.1.2.3 to 2001:db8::8a2e": "from [IP] to [IP]",
        "MAC 00:1A:2B:3C:4D:5E": "MAC [MAC]", "at 52.520008, 13.404954": "at [LOCATION]", "Hauptstraße 12a, 10115 Berlin": "[ADDRESS]",
        "12 rue de la Paix, 75002 Paris": "[ADDRESS]", "Calle Mayor 5, 28013 Madrid": "[ADDRESS]", "〒150-0002 東京都渋谷区渋谷2-21-1": "[ADDRESS]",
        "北京市朝阳区建国路88号": "[ADDRESS]", "London NW1 6XE": "London [ADDRESS]", "Adresse : 3 place du Marché": "Adresse : [ADDRESS]",
        "jane [at] example [dot] org": "[EMAIL]", "DOB: 12/03/1985": "DOB: [BIRTH_DATE]", "生年月日：昭和60年3月12日": "生年月日：[BIRTH_DATE]"}
    for text, wanted in rows.items():
        same((text, out(text)), (text, wanted))


def test_secrets_go_by_their_form_and_by_the_word_before_them() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 30 + "-----END RSA PRIVATE KEY-----"
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    rows = {
        f"a {key} b": "a [SECRET] b", f"see {token} there": "see [SECRET] there", "AKIAIOSFODNN7EXAMPLE!": "[SECRET]!",
        "password=hunter2": "password=[SECRET]",
        'api_key: "k-1 2"': 'api_key: "[SECRET]"', "Authorization: Bearer abc.def.ghi-jkl": "Authorization: Bearer [SECRET]",
        "postgres://bob:s3cr3t@db/x": "postgres://[SECRET]@db/x", "DB_PASSWORD='x y z'": "DB_PASSWORD='[SECRET]'",
        "Passwort: geheim99": "Passwort: [SECRET]",
        "密码：abc123": "密码：[SECRET]", "ghp_" + "a1B2" * 9: "[SECRET]", "token = os.environ['T']": "token = os.environ['T']",
        "password: ${DB_PASS}": "password: ${DB_PASS}"}
    for text, wanted in rows.items():
        same((text, out(text)), (text, wanted))


def test_mask_keeps_every_offset_and_line_and_label_says_the_type() -> None:
    masked = out(LETTER, mode="mask")
    same((len(masked), masked.count("\n")), (len(LETTER), LETTER.count("\n")))
    assert "p.berg" not in masked and "order 4711" in masked
    result = redacted(LETTER)
    for find in result["finds"]:
        same(set(masked[find["start"]:find["end"]]), {"*"})


def test_pseudonyms_are_stable_per_value_and_salt_and_tell_nothing_without_it() -> None:
    text = "a@example.org, A@EXAMPLE.org, b@example.org, +49 30 1234567, +49 (30) 123-4567"
    one = out(text, mode="pseudonym", salt=SALT).split(", ")
    same((one[0] == one[1], one[0] == one[2], one[3] == one[4]), (True, False, True))
    assert out(text, mode="pseudonym", salt=SALT + "!").split(", ")[0] != one[0]
    assert is_refused("redact-pii", {"text": "x", "mode": "pseudonym"}) and is_refused("redact-pii",
                                                                                       {"text": "x", "mode": "pseudonym", "salt": "short"})


def test_the_report_holds_counts_and_places_but_no_value() -> None:
    result = redacted(LETTER)
    told = json.dumps({key: part for key, part in result.items() if key != "text"})
    for secret in ("Okonkwo", "Peter", "Berg", "1234567", "p.berg", "Long Acre", "1970"):
        assert secret not in told, secret
    same(result["total"], sum(result["counts"].values()))
    same([LETTER[find["start"]:find["end"]] for find in result["finds"] if find["type"] == "email"], ["p.berg@example.com"])
    assert "no guarantee" in result["notes"][-1]


def test_the_allow_list_the_types_and_the_confidence_are_the_clients() -> None:
    text = "support@example.org, jane@example.org, 10.0.0.1"
    same(out(text, allow=["SUPPORT@example.org"]), "support@example.org, [EMAIL], [IP]")
    same(out(text, allow=["*@example.org"]), "support@example.org, jane@example.org, [IP]")
    same(out(text, types=["ip"]), "support@example.org, jane@example.org, [IP]")
    same(out("jane [at] example [dot] org", min_confidence=0.9), "jane [at] example [dot] org")


def test_json_is_redacted_by_its_keys_and_by_its_values() -> None:
    document = {"user": {"firstName": "Jane", "ssn": 123456789, "bio": "call +1 212-555-0100", "tags": ["a@example.org", {"note": "ok"}]},
                "db_password": "x",
                "total_tokens": 5, "password": {"old": "a", "pin": 5, "none": None}, "hostName": "web1", "phone_verified": True,
                "card": 4111111111111111,
                "contact": "Max Weber", "mood": "said Weber"}
    same(value(document), {
        "user": {"firstName": "[NAME]", "ssn": "[NATIONAL_ID]", "bio": "call [PHONE]", "tags": ["[EMAIL]", {"note": "ok"}]},
        "db_password": "[SECRET]",
        "total_tokens": 5, "password": {"old": "[SECRET]", "pin": "[SECRET]", "none": None}, "hostName": "web1", "phone_verified": True,
        "card": "[CARD]",
        "contact": "[NAME]", "mood": "said [NAME]"})
    same(value({"ward": "x", "note": "y"}, keys=["Ward"]), {"ward": "[SECRET]", "note": "y"})


def test_keys_that_are_personal_data_go_too_and_do_not_fall_together() -> None:
    same(value({"a@example.org": 1, "b@example.org": {"c": 2}}), {"[EMAIL]": 1, "[EMAIL] 2": {"c": 2}})
    result = TOOL.redact({"json": {"a@example.org": {"mail": "b@example.org"}}}, Step())
    same([find["pointer"] for find in result["finds"]], ["", "/[EMAIL]/mail"])


def test_json_text_keeps_its_layout_its_numbers_and_its_repeated_keys() -> None:
    text = '{ "a" : 1.10,\n\t"email":"x@example.org", "a": 1e5, "u": "\\u0041b", "big": 12345678901234567890123 }\n'
    same(out(text), text.replace('"x@example.org"', '"[EMAIL]"'))
    lines = '{"email": "x@example.org"}\n{"n": 1, "msg": "from y@example.org"}\n'
    result = redacted(lines)
    same((result["text"], result["format"]), ('{"email": "[EMAIL]"}\n{"n": 1, "msg": "from [EMAIL]"}\n', "json"))


def test_what_only_looks_like_json_is_text_and_what_must_be_json_is_refused() -> None:
    text = "[12:30] jane@example.org joined\n[12:31] bye"
    same((redacted(text)["format"], out(text)), ("text", "[12:30] [EMAIL] joined\n[12:31] bye"))
    refuses(TOOL.InputError, lambda: TOOL.redact({"text": '{"a": "jane@example.org", oops}', "format": "json"}, Step()), "not JSON", "character")
    error = refuses(TOOL.InputError, lambda: TOOL.redact({"text": '{"a": "jane@example.org"', "format": "json"}, Step()))
    assert "jane" not in str(error) and error.retryable is False


def test_a_file_passes_in_windows_and_gives_what_the_whole_text_gives() -> None:
    text = a_shared_log(3_200)
    step = Step()
    result = redacted(a_file(text), step, max_finds=100_000)
    same(result["text"], "".join(f"row {n}: mail [EMAIL], call [PHONE], Mr. [NAME] paid {n} EUR, then okay\n" for n in range(3_200)))
    same((result["counts"], len(result["finds"])), ({"email": 3_200, "phone": 3_200, "name": 3_200}, 9_600))
    assert len(text) > 2 * SPANS.WINDOW_CHARACTERS
    last = result["finds"][-1]
    assert text[last["start"]:last["end"]] == "Okonkwo", last


def test_a_secret_on_the_cut_between_windows_goes_whole() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA0000\n" * 200 + "-----END PRIVATE KEY-----"
    for lead in (SPANS.WINDOW_CHARACTERS - 2_000, SPANS.WINDOW_CHARACTERS - 20, SPANS.WINDOW_CHARACTERS + 5):
        filler, more = ("word " * (lead // 5 + 1))[:lead], "word " * 6_000
        same(out(filler + "\n" + key + "\n" + more, types=["secret"]), filler + "\n[SECRET]\n" + more)


def test_json_of_any_size_passes_in_pieces() -> None:
    text = "[" + ",\n".join(json.dumps({"id": n, "email": f"u{n}@example.org", "note": "é\\u0000 \"quoted\" 𝄞"}) for n in range(6_000)) + "]"
    result = redacted(a_file(text))
    same(json.loads(result["text"]), [{**row, "email": "[EMAIL]"} for row in json.loads(text)])
    walker = tool_of("redact-pii", "structure").Walker(lambda _p, _k, text: text, lambda _p, _k, _n: None, lambda _p, key: key)
    small = text[:4_000].rpartition(",\n")[0] + "]"
    for size in (1, 3, 17):
        same("".join(walker.walk(small[at:at + size] for at in range(0, len(small), size))), small)


def test_a_long_result_and_a_file_become_artifacts_and_bad_bytes_are_told() -> None:
    step = Step()
    assert "$artifact" in TOOL.redact({"text": "word " * 13_000}, step)["text"]
    same(step.kept["redacted.txt"], b"word " * 13_000)
    result = redacted(a_file(b"caf\xe9 jane@example.org"))
    same(result["text"], "café [EMAIL]")
    assert "1 bytes" in result["notes"][0], result["notes"]


def test_shapes_that_make_patterns_slow_pass_like_any_other_text() -> None:
    for shape in ("0", "a.", "1,", "[", "\n", "=", "“a. ", "a@", "Mr van ", "1 Main "):
        text = redacted(shape * (20_000 // len(shape)) + " end. Then ann@example.org comes.")["text"]
        assert text.endswith("comes.") and "ann@example.org" not in text, shape


def test_inputs_that_make_no_sense_are_refused_by_the_schema() -> None:
    for wrong in ({}, {"text": "x", "json": 1}, {"text": "x", "mode": "hide"}, {"text": "x", "types": ["x"]}, {"text": "x", "allow": [""]},
                  {"text": "x", "depth": 1}):
        assert is_refused("redact-pii", wrong), wrong
