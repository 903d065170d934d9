"""fetch-page keeps its promises: what a page says, without what stands around it, in any charset and however badly it is written."""

from __future__ import annotations

from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import a_file, definition_of, fits, is_refused, tool_of

TOOL = tool_of("fetch-page")
SENTENCE = "The old bridge was opened again on Monday after three years of work, and many people came to see it. "


def answered(text: Any = None, kind: str = "text/html", url: str = "https://www.paper.example/news/a.html", raw: bytes | None = None,
             status: int = 200, **options: Any) -> dict[str, Any]:
    """What `read` says of the http step's answer, which must fit the output schema."""
    page: dict[str, Any] = {"status": status, "url": url, "headers": {"Content-Type": kind}, "content_type": kind}
    page |= {"artifact": a_file(raw)} if raw is not None else {"text": text}
    return fits("fetch-page", "output", TOOL.read({"page": page, "options": {"url": url, **options}}))


def a_page(body: str, head: str = "<title>A title</title>") -> str:
    """A page with this body."""
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>"


ARTICLE = a_page(f"""<header><a href=/>Home</a></header><nav><ul><li><a href=/x>X<li><a href=/y>Y</ul></nav>
<div id=cookie-banner>We use cookies for everything, and this sentence is long enough to be mistaken for text of the page.</div>
<div class="content"><h1>The bridge</h1><p>{SENTENCE}<a href="../b?x=1#part">More about it</a>.<p>The mayor spoke<br>shortly.
<table><tr><td>Year<td>Cost<tr><td>2024<td>3 million</table><h2>Cost</h2><ul><li>one<li>two <b>bold</b></ul><pre>a
  b</pre><blockquote>A quote</blockquote><a href="https://other.example/z"><img alt="A picture"></a></div>
<script>document.write("<p>no</p>")</script><style>p {{}}</style><p hidden>secret</p><aside>{SENTENCE}</aside><footer>Imprint</footer>""",
                 """<title>The bridge &amp; the river</title><meta name=description content="A report."><link rel=canonical href="/a/1">
<meta property="article:published_time" content="2024-03-05"><link rel=alternate type="application/rss+xml" href=/feed title=All>""")


def test_an_article_is_read_without_what_stands_around_it() -> None:
    found = answered(ARTICLE)
    same(found["text"], "# The bridge\n\n" + SENTENCE + "More about it.\n\nThe mayor spoke\nshortly.\n\nYear | Cost\n2024 | 3 million\n\n## Cost\n\n"
                        "- one\n- two bold\n\na\n  b\n\n> A quote")
    same([(h["level"], h["text"]) for h in found["headings"]], [(1, "The bridge"), (2, "Cost")])


def test_what_the_page_says_of_itself_is_told() -> None:
    found = answered(ARTICLE)
    same([found[k] for k in ("title", "description", "language", "canonical", "published")],
         ["The bridge & the river", "A report.", "en", "https://www.paper.example/a/1", "2024-03-05"])
    same(found["feeds"], [{"url": "https://www.paper.example/feed", "title": "All"}])


def test_links_are_absolute_once_and_those_of_the_text_come_first() -> None:
    found = answered(ARTICLE)
    same([(link["url"], link["text"], link["internal"]) for link in found["links"]],
         [("https://www.paper.example/b?x=1", "More about it", True), ("https://other.example/z", "A picture", False),
          ("https://www.paper.example/", "Home", True), ("https://www.paper.example/x", "X", True), ("https://www.paper.example/y", "Y", True)])
    same((found["links_total"], len(answered(ARTICLE, max_links=2)["links"]), answered(ARTICLE, max_links=0)["links"]), (5, 2, []))


def test_links_that_lead_nowhere_are_left_out_and_a_base_is_honoured() -> None:
    body = "".join(f"<a href='{href}'>x</a>" for href in ("javascript:x()", "mailto:a@b.example", "#top", "http://[bad", "p", "p#2"))
    same([link["url"] for link in answered(a_page(body, "<base href='https://cdn.example/d/'>"))["links"]], ["https://cdn.example/d/p"])


def test_a_page_without_marks_is_read_by_the_length_of_its_blocks() -> None:
    menu = "".join(f"<div><a href=/{n}>Menu item {n}</a></div>" for n in range(30))
    found = answered(a_page(f"<div>{menu}</div><div><div>{SENTENCE}</div><div>Short note.</div><div>{SENTENCE * 2}</div></div><div>{menu}</div>"))
    same(found["text"], "\n\n".join([SENTENCE.strip(), "Short note.", (SENTENCE * 2).strip()]))


def test_a_page_of_nothing_but_short_lines_is_still_read() -> None:
    same(answered(a_page("<p>Hello.</p>"))["text"], "Hello.")
    same(answered("<p>no end<b>bold<i>both")["text"], "no endboldboth")


def test_a_class_on_the_body_does_not_hide_the_page() -> None:
    same(answered(f"<html><body class='has sidebar menu'><p>{SENTENCE}</body></html>")["text"], SENTENCE.strip())


def test_chinese_needs_fewer_signs_to_be_text() -> None:
    text = "这座老桥在施工三年之后于星期一重新开放，许多人前来参观。市长在仪式上作了简短的讲话。"
    links = "".join(f"<div><a href=/{n}>链接{n}</a></div>" for n in range(20))
    same(answered(a_page(f"<div>{links}</div><div>{text}</div>"))["text"], text)


def test_charsets_of_header_and_page_are_honoured_when_bytes_arrive() -> None:
    text = "<title>Привет</title><p>Текст страницы"
    for kind, raw in (("text/html; charset=windows-1251", text.encode("cp1251")),
                      ("text/html", b"<meta charset=windows-1251>" + text.encode("cp1251")),
                      ("text/html", text.encode()), ("text/html", text.encode("utf-16")), ("text/html; charset=nonsense", text.encode())):
        found = answered(kind=kind, raw=raw)
        same((found["title"], found["text"]), ("Привет", "Текст страницы"))
    same(answered(kind="text/html; charset=iso-8859-1", raw="<p>“5 €”".encode("cp1252"))["text"], "“5 €”")


def test_text_that_lost_its_letters_is_warned_about() -> None:
    assert "could not be decoded" in answered(a_page("<p>" + "\ufffd" * 20 + SENTENCE))["summary"]


def test_what_is_not_html_is_answered_for_what_it_is() -> None:
    same([answered("first line\nsecond", "text/plain")[k] for k in ("kind", "title", "text")], ["text", "first line", "first line\nsecond"])
    same([answered('{"a": [1]}', "application/json")[k] for k in ("kind", "text")], ["json", '{\n "a": [\n  1\n ]\n}'])
    page = {"status": 200, "url": "https://a.example/", "headers": {}, "content_type": "application/json", "json": {"a": 1}}
    found = TOOL.read({"page": page, "options": None})
    same((found["kind"], found["text"]), ("json", '{\n "a": 1\n}'))
    found = answered(kind="image/png", raw=b"\x89PNG\r\n")
    same((found["kind"], found["text"]), ("other", ""))
    assert "image/png" in found["summary"]
    same(answered("<html><p>Hello.", "text/plain")["kind"], "html")


def test_feeds_are_read_entry_by_entry() -> None:
    rss = """<?xml version="1.0"?><rss><channel><title>News</title><link>https://a.example</link><item><title><![CDATA[One & two]]></title>
<link>https://a.example/1</link><pubDate>Mon, 05 Feb 2024</pubDate><description>&lt;p&gt;hello&lt;/p&gt;</description></item></channel></rss>"""
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><entry><title>One &amp; two</title><link rel="self" href="/s"/>
<link href="/1"/><updated>Mon, 05 Feb 2024</updated><summary>hello</summary></entry></feed>"""
    for text, kind in ((rss, "application/rss+xml"), (atom, "application/atom+xml"), (rss, "text/xml")):
        found = answered(text, kind, "https://a.example/feed")
        same((found["kind"], found["title"], found["text"]), ("feed", "News", "- One & two (Mon, 05 Feb 2024)\n  hello"))
        same(found["links"], [{"url": "https://a.example/1", "text": "One & two", "internal": True}])


def test_a_page_that_only_scripts_build_says_so() -> None:
    assert "built by scripts" in answered(a_page("<div id=root></div><script>go()</script>"))["summary"]


def test_long_text_is_cut_and_said_so() -> None:
    found = answered(a_page(f"<p>{SENTENCE * 100}"), max_characters=50)
    same((len(found["text"]), found["text_truncated"]), (50, True))


def test_hostile_pages_end_in_time() -> None:
    for text in ("<div>" * 20_000, "<a href=x>" * 20_000, "<p>x" * 20_000, "<!--" * 50_000, "<" * 100_000, "<table><tr><td>" * 10_000,
                 '<a href="' * 50_000,
                 "&" * 100_000, "<script>" * 10_000, "<li>x" * 20_000, "<b>" * 10_000 + "</i>" * 10_000, "<svg><title>x" * 1_000):
        same(answered(text)["status"], 200)


def test_a_page_that_is_too_large_is_refused_for_good() -> None:
    path = a_file(b"")
    with path.open("wb") as file:
        file.truncate(TOOL.PAGE_BYTES_MAX + 1)
    page = {"status": 200, "url": "https://a.example/", "content_type": "text/html", "artifact": path}
    error = refuses(TOOL.PageError, lambda: TOOL.read({"page": page}), "at most")
    same(error.retryable, False)


def test_the_schema_takes_addresses_of_the_web_only() -> None:
    for url in ("https://example.org", "http://example.org:8080/a?b=c#d", "HTTPS://EXAMPLE.ORG/"):
        fits("fetch-page", "input", {"url": url})
    for url in ("ftp://example.org", "file:///etc/passwd", "example.org", "https://user:pw@example.org/", "https://example.org/a b", "https://"):
        assert is_refused("fetch-page", {"url": url}), url


def test_the_http_step_has_limits_and_refuses_private_addresses() -> None:
    step = definition_of("fetch-page")["steps"][0]
    same((step["kind"], step["max_redirects"], step.get("allow_private", False)), ("http", 5, False))
    assert step["max_bytes"] <= TOOL.PAGE_BYTES_MAX
