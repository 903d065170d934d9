"""log-triage keeps its promises: templates that a person would write, times of every common form, and what is unusual found with its numbers."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("log-triage")
RECORDS = tool_of("log-triage", "records")
TEMPLATES = tool_of("log-triage", "templates")
TRACE = ("java.sql.SQLTransientConnectionException: pool is empty\n\tat com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:213)\n"
         "Caused by: java.net.ConnectException: Connection refused\n\tat java.net.PlainSocketImpl.socketConnect(Native Method)\n\t... 12 more")


def triaged(text: str | Path, **options: Any) -> dict[str, Any]:
    """The triage, which must fit the output schema."""
    return fits("log-triage", "output", TOOL.triage({"text": text, **options}, Step()))


def heads(*lines: str) -> list[tuple[str | None, str | None, str]]:
    """(time as shown, level, template) of each record of some lines."""
    calendar = RECORDS.Calendar(None)
    templates = TEMPLATES.Templates()
    return [(calendar.shown(record.at) if record.at is not None else None, record.level, templates.add(record).text)
            for record in RECORDS.Records(calendar).join(lines)]


def a_day(seed: int, outage_at: datetime | None = None) -> Iterator[str]:
    """Two hours of a shop's log, a record every two seconds; in an outage the replica lags first, then the pool runs dry for five minutes."""
    draw = random.Random(seed)
    for number in range(3_600):
        now = datetime(2024, 5, 1, 8) + timedelta(seconds=2 * number)
        stamp = now.strftime("%Y-%m-%d %H:%M:%S,") + f"{draw.randrange(1000):03d}"
        thread = f"[http-nio-8080-exec-{draw.randrange(40)}]"
        if outage_at and outage_at - timedelta(seconds=40) <= now < outage_at + timedelta(minutes=5):
            yield f"{stamp} WARN  [db-monitor] com.acme.db.Monitor - replica 10.0.0.{draw.randrange(3, 6)} lag {draw.randrange(5_000, 90_000)} ms"
        if outage_at and outage_at <= now < outage_at + timedelta(minutes=5):
            yield f"{stamp} ERROR {thread} com.acme.db.Pool - no connection after {draw.randrange(30_000, 30_900)}ms\n{TRACE}"
        name = draw.choice(["alice", "bob", "carol", "dave", "erin", "frank", "grace"])
        yield f"{stamp} INFO  {thread} com.acme.web.Access - GET /api/orders/{draw.randrange(10**6)} 200 {draw.randrange(3, 400)}ms user={name}"


def test_lines_that_differ_in_numbers_ids_addresses_paths_and_times_are_one_template() -> None:
    found = heads("job 17 took 12ms on 10.0.0.1:8080 at 0xdeadbeef for 8f14e45f-ceea-467f-a9e8-1b2c3d4e5f60 in /var/lib/app/17.db (3.5MB, 99.5%)",
                  "job 9 took 1.5s on 192.168.7.20:80 at 0x1f for 11111111-2222-3333-4444-555555555555 in /srv/x/y.db (12kB, 1%)")
    same(len({template for _at, _level, template in found}), 1)
    same(found[0][2], "job <num> took <duration> on <ip> at <hex> for <uuid> in <path> (<size>, <num>%)")


def test_a_word_becomes_a_variable_after_five_variants_and_opened_and_closed_stay_apart() -> None:
    few = {template for _at, _level, template in heads("connection 1 opened by peer", "connection 2 closed by peer", "connection 3 opened by peer")}
    same(few, {"connection <num> opened by peer", "connection <num> closed by peer"})
    names = ["root", "admin", "oracle", "guest", "test", "ubuntu"]
    templates = TEMPLATES.Templates()
    for number, name in enumerate(names):
        templates.add(RECORDS.Record(number, name, f"Failed password for {name} from 10.0.0.{number}"))
    same([(template.text, template.count) for template in templates.live()], [("Failed password for <*> from <ip>", 6)])


def test_request_paths_keep_their_shape_and_their_status() -> None:
    line = '203.0.113.9 - frank [10/Oct/2023:13:55:36 +0200] "GET /api/users/{}/posts?page=2 HTTP/1.1" {} 157 "-" "Mozilla/5.0"'
    same(heads(line.format(123, 502), line.format(7, 200)),
         [("2023-10-10T11:55:36Z", "error", "GET /api/users/<num>/posts 502"), ("2023-10-10T11:55:36Z", "info", "GET /api/users/<num>/posts 200")])


def test_times_and_levels_of_the_common_forms_are_read() -> None:
    rows = (
        ("2024-01-02T10:00:00.123Z ERROR it broke", "2024-01-02T10:00:00.123Z", "error"),
        ("2024-01-02 10:00:00,123 - app.db - WARNING - slow", "2024-01-02T10:00:00.123", "warn"),
        ("[2024-01-02 10:00:00 +0100] [info] ready", "2024-01-02T09:00:00Z", "info"),
        ("ERROR 2024-01-02 10:00:01,000 django.request failed", "2024-01-02T10:00:01", "error"),
        ("Jan  2 03:04:05 web1 sshd[2211]: Failed password", "01-02T03:04:05", None),
        ("<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - failed", "2003-10-11T22:14:15.003Z", None),
        ("2023/10/10 13:55:36 [error] 31#31: *4567 connect() failed", "2023-10-10T13:55:36", "error"),
        ("[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 35708] File does not exist", "2000-10-11T14:32:52.123", "error"),
        ("02-Jan-2024 10:00:00.123 SEVERE [main] startInternal Error", "2024-01-02T10:00:00.123", "error"),
        ("10:15:32.123 [main] WARN  c.a.B - slow", "10:15:32.123", "warn"),
        ("E0102 15:04:05.123456    1234 file.cc:12] cannot open", "01-02T15:04:05.123", "error"),
        ("081109 203615 148 INFO dfs.DataNode: terminating", "2008-11-09T20:36:15", "info"),
        ("1700000000.500 event started", "2023-11-14T22:13:20.500Z", None),
        ("1700000000500 event started", "2023-11-14T22:13:20.500Z", None),
        ('{"level":50,"time":1700000000123,"msg":"failed"}', "2023-11-14T22:13:20.123Z", "error"),
        ('{"severity":"WARNING","timestamp":"2024-01-02T10:00:00Z","message":"slow"}', "2024-01-02T10:00:00Z", "warn"),
        ('{"log":"2024-01-02T10:00:00Z ERROR inner\\n","stream":"stderr","time":"2024-01-02T10:00:00Z"}', "2024-01-02T10:00:00Z", "error"),
        ('time="2024-01-02T10:00:00Z" level=error msg="dial tcp 10.0.0.1:443: i/o timeout" pod=x', "2024-01-02T10:00:00Z", "error"),
        ("2024-01-02T10:00:00.5Z stderr F level=warn msg=\"reload took 5s\"", "2024-01-02T10:00:00.500Z", "warn"),
        ("web_1  | 2024-01-02 10:00:00 ERROR x failed", "2024-01-02T10:00:00", "error"),
        ("2024-01-02 10:00:00.123 UTC [123] ERROR:  duplicate key value", "2024-01-02T10:00:00.123Z", "error"),
    )
    for line, at, level in rows:
        same((line, *heads(line)[0][:2]), (line, at, level))


def test_a_log_without_years_runs_on_over_new_year() -> None:
    result = triaged("Dec 31 23:59:59 web1 app[1]: first of all\nJan  1 00:00:01 web1 app[1]: then the second\n", year=2023)
    same((result["period"]["from"], result["period"]["to"], result["period"]["seconds"]), ("2023-12-31T23:59:59", "2024-01-01T00:00:01", 2.0))


def test_stack_traces_belong_to_the_record_before_them_and_name_their_root_cause() -> None:
    result = triaged(f"2024-01-02 10:00:00 ERROR query failed\n{TRACE}\n2024-01-02 10:00:01 INFO going on\n")
    same((result["lines"], result["records"]), (7, 2))
    failed = result["templates"][0]
    same(failed["text"], "query failed | ConnectException")
    same(failed["exceptions"], [{"text": "java.net.ConnectException: Connection refused at java.net.PlainSocketImpl.socketConnect(Native Method)",
                                 "count": 1}])
    python = ("2024-01-02 10:00:00,1 ERROR request failed\nTraceback (most recent call last):\n  File \"/app/a.py\", line 4, in query\n    run()\n"
              "ValueError: bad\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
              "  File \"/app/b.py\", line 7, in main\n    query()\napp.errors.NoDatabase: gone\n")
    result = triaged(python)
    same((result["records"], result["templates"][0]["exceptions"][0]["text"]), (1, "app.errors.NoDatabase: gone at /app/b.py:7 in main"))


def test_a_trace_in_a_log_without_times_is_one_record_and_prints_around_it_are_not() -> None:
    result = triaged("starting\nTraceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    main()\nValueError: bad\ndone\n")
    same([template["text"] for template in result["templates"]], ["starting", "Traceback (most recent call last): | ValueError", "done"])
    same((result["period"], result["timeline"]), (None, None))
    assert any("no timeline" in note for note in result["notes"])


def test_a_burst_is_told_with_its_rate_its_baseline_and_what_began_before_it() -> None:
    result = triaged("\n".join(a_day(1, outage_at=datetime(2024, 5, 1, 9, 20))))
    burst = result["bursts"][0]
    texts = {template["template"]: template["text"] for template in result["templates"]}
    assert "no connection after <duration>" in texts[burst["template"]] and burst["baseline_per_minute"] == 0 and not burst["follows_traffic"]
    same((burst["records"], burst["from"][:19]), (150, "2024-05-01T09:20:00"))
    first = result["suspects"][0]
    assert "replica <ip> lag" in texts[first["template"]], result["suspects"]
    assert 38 <= first["seconds_before_largest_error_burst"] <= 41
    assert result["proposals"][0].startswith("Look first at what began first") and "replica" in result["proposals"][0]


def test_what_follows_the_traffic_is_marked_and_is_no_suspect() -> None:
    lines = []
    for minute in range(60):
        records = 100 if minute == 40 else 10
        for number in range(records):
            stamp = f"2024-05-01T10:{minute:02d}:{number * 60 // records:02d}Z"
            lines += [f"{stamp} INFO request {number} served", f"{stamp} WARN slow answer {number}", f"{stamp} INFO cache hit {number}"]
    result = triaged("\n".join(lines))
    assert result["bursts"] and all(burst["follows_traffic"] for burst in result["bursts"]), result["bursts"]
    same(result["suspects"], [])


def test_a_rhythm_is_not_a_burst() -> None:
    lines = [f"2024-05-01T{hour:02d}:{minute:02d}:00Z INFO tick {hour}" for hour in range(8, 20) for minute in range(0, 60, 5)]
    lines += [f"2024-05-01T{hour:02d}:30:{number:02d}Z INFO hourly mail {number} sent" for hour in range(8, 20) for number in range(30)]
    same(triaged("\n".join(sorted(lines)))["bursts"], [])


def test_templates_first_seen_late_are_new_and_since_sets_the_line() -> None:
    lines = [f"2024-05-01T10:{minute:02d}:00Z INFO request {minute} served" for minute in range(60)]
    lines.insert(45, "2024-05-01T10:44:30Z ERROR unknown column total_gross")
    result = triaged("\n".join(lines))
    same((result["new"]["found"], result["rare"]["found"]), (1, 1))
    assert any("unknown column" in proposal and "line 46" in proposal for proposal in result["proposals"]), result["proposals"]
    same(triaged("\n".join(lines), since="2024-05-01T10:50:00Z")["new"]["found"], 0)
    refuses(TOOL.InputError, lambda: triaged("\n".join(lines), since="yesterday at ten"), "since")


def test_a_silence_is_found_and_a_wrong_clock_does_not_stretch_the_period() -> None:
    lines = ["1970-01-01T00:00:07Z INFO kernel up"]
    lines += [f"2024-05-01T{10 + minute // 60}:{minute % 60:02d}:00Z INFO request {minute} served" for minute in range(180) if not 80 <= minute < 120]
    result = triaged("\n".join(lines))
    same(result["period"]["from"], "2024-05-01T10:00:00Z")
    same([(gap["from"], gap["seconds"]) for gap in result["silences"]], [("2024-05-01T11:20:00Z", 2400.0)])
    assert any("far outside" in note for note in result["notes"])


def test_the_timeline_has_round_slots_that_hold_every_record() -> None:
    result = triaged("\n".join(a_day(2)), slots=12)
    timeline = result["timeline"]
    same((timeline["slot_s"], len(timeline["slots"])), (1800, 4))
    same(sum(slot["records"] for slot in timeline["slots"]), result["records"])


def test_levels_are_guessed_from_words_only_where_a_line_names_none() -> None:
    result = triaged("kernel: Out of memory: Killed process 12\nsystemd: Started Session 4\n")
    same([(template["level"], template["level_guessed"]) for template in result["templates"]], [("error", True), ("unknown", False)])


def test_a_file_gives_what_its_text_gives_whole_in_gzip_or_in_utf_16() -> None:
    text = "\n".join(a_day(3, outage_at=datetime(2024, 5, 1, 9)))
    wanted = triaged(text, top=5)
    for content in (text.encode(), gzip.compress(text.encode()), text.replace("\n", "\r\n").encode(), text.encode("utf-16")):
        got = triaged(a_file(content), top=5)
        same({**got, "notes": []}, {**wanted, "notes": []})


def test_bytes_that_are_not_utf_8_are_counted_and_read_as_windows_1252() -> None:
    result = triaged(a_file(b"2024-01-02 10:00:00 ERROR caf\xe9 ferm\xe9\n"))
    same(result["templates"][0]["text"], "café fermé")
    assert "2 bytes" in result["notes"][0] and "offset 29" in result["notes"][0], result["notes"]


def test_what_is_no_log_is_refused_or_said() -> None:
    refuses(TOOL.InputError, lambda: triaged(" \n\n"), "empty")
    refuses(TOOL.InputError, lambda: triaged(a_file(b"\x89PNG\r\n\x1a\n" + bytes(400))), "not text")
    same(TOOL.InputError.retryable, False)
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    prose = "\n".join(" ".join(random.Random(n).choices(words, k=9 + n % 7)) for n in range(90))
    assert any("may not be a log" in note for note in triaged(prose)["notes"])


def test_lines_of_any_length_and_number_of_templates_stay_bounded() -> None:
    result = triaged(a_file("x" * 3_000_000 + "\n2024-01-02 10:00:00 ERROR end\n"))
    same(result["lines"], 2)
    assert any("longer than 8,000" in note for note in result["notes"])
    lines = (json.dumps({"level": "info", "message": f"{'w' * (n % 50)} {n % 7} {'v' * (n % 31)}"}) for n in range(3_000))
    assert triaged("\n".join(lines))["template_count"] < 3_000


def test_options_that_make_no_sense_are_refused_by_the_schema() -> None:
    for options in ({"top": 0}, {"slots": 1}, {"new_after": 2}, {"year": 3}, {"rows": 1}, {"encoding": "a b"}):
        assert is_refused("log-triage", {"text": "x", **options}), options
    assert is_refused("log-triage", {}) and is_refused("log-triage", {"text": ""})
