"""The differences of two texts: lines added, removed, changed and moved, the words inside changed lines, and a unified diff.

Lists in the answer are bounded (`max_changes`), counts never are. The unified diff is complete: in the answer when it is small, an artifact
when a step is there to keep it, cut and marked as cut otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from lines import Gap, Lines, gaps_between, matches

DIFF_CHARACTERS_MAX = 40_000        # of a unified diff inside the answer; a larger one is an artifact
HUNK_LINES_SHOWN = 40               # of one side of a listed change
LINE_CHARACTERS_SHOWN = 2_000
WORDS_MAX = 6_000                   # tokens of one side of a change whose words are compared
WORDS_HUNKS_MAX = 5_000             # changes whose words are compared at all
PIECE_CHARACTERS_SHOWN = 300        # of one run of equal or different words
CHANGES_DEFAULT = 100
CONTEXT_DEFAULT = 3
IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff"
TOKEN = re.compile(rf"[{IDEOGRAPHS}]|[^\W{IDEOGRAPHS}]+|\s+|[^\w\s]")     # in Chinese and Japanese a sign is a word
LINE_ENDS = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}


class Step(Protocol):
    """What the runner hands in beside the input."""

    work_folder: Path

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""

    def artifact(self, content: Path | bytes, name: str) -> dict[str, str]:
        """Keep a file; answers the reference that stands for it."""


def compare_text(before: str | Path, after: str | Path, options: dict[str, Any], step: Step | None) -> dict[str, Any]:
    """The differences of two texts. Raises BadInput for what is not text."""
    spaces, case = options.get("ignore_whitespace", False), options.get("ignore_case", False)

    def key(line: str) -> str:
        if spaces:
            line = " ".join(line.split())
        return line.casefold() if case else line

    with Lines(before, key, options.get("encoding")) as old, Lines(after, key, options.get("encoding")) as new:
        if step is not None:
            step.progress(0.4, f"{len(old)} and {len(new)} lines read")
        found = matches(old.keys, new.keys)
        gaps = gaps_between(found, len(old), len(new))
        if step is not None:
            step.progress(0.7, f"{len(gaps)} differences found")
        shown = options.get("max_changes", CHANGES_DEFAULT)
        same = sum(old.size(a, a + n) + new.size(b, b + n) + 2 * n for a, b, n in found)
        changes = []
        for number, gap in enumerate(gaps):
            words, kept = _words(old, new, gap) if number < WORDS_HUNKS_MAX else ([], 0)
            same += kept
            if number < shown:
                changes.append(_change(old, new, gap, words))
        _mark_moves(old, new, gaps, changes)
        total = old.size(0, len(old)) + new.size(0, len(new)) + len(old) + len(new)
        answer: dict[str, Any] = {
            "kind": "text", "identical": not gaps and not _notes(old, new, spaces), "similarity": round(same / total, 4) if total else 1.0,
            "counts": _counts(old, new, gaps), "changes": changes, "changes_truncated": len(gaps) > len(changes), "notes": _notes(old, new, spaces)}
        answer |= _unified_diff(old, new, gaps, options.get("context", CONTEXT_DEFAULT), step)
        answer["summary"] = _summary(answer, gaps)
        return answer


def unified(old: Lines, new: Lines, gaps: list[Gap], context: int) -> Iterator[str]:
    """The lines of a unified diff, each with its line feed."""
    yield "--- before\n"
    yield "+++ after\n"
    group: list[Gap] = []
    for gap in [*gaps, None]:
        if group and (gap is None or gap[0] - group[-1][1] > 2 * context):
            yield from _hunk(old, new, group, context)
            group = []
        if gap is not None:
            group.append(gap)


def _hunk(old: Lines, new: Lines, group: list[Gap], context: int) -> Iterator[str]:
    """One hunk of a unified diff: neighbouring differences with the lines around them."""
    lead = min(context, group[0][0], group[0][2])
    trail = min(context, len(old) - group[-1][1], len(new) - group[-1][3])
    a, a_end, b, b_end = group[0][0] - lead, group[-1][1] + trail, group[0][2] - lead, group[-1][3] + trail
    yield f"@@ -{_range(a, a_end)} +{_range(b, b_end)} @@\n"
    for x, x_end, y, y_end in group:
        yield from _marked(" ", old, a, x)
        yield from _marked("-", old, x, x_end)
        yield from _marked("+", new, y, y_end)
        a = x_end
    yield from _marked(" ", old, a, a_end)


def _marked(mark: str, lines: Lines, first: int, after: int) -> Iterator[str]:
    """Lines of a diff with their mark; the last line of a document that has no line end is followed by the usual note."""
    for place in range(first, after):
        yield f"{mark}{lines.text(place, place + 1)[0]}\n"
        if place == len(lines) - 1 and not lines.ends_with_newline:
            yield "\\ No newline at end of file\n"


def _range(first: int, after: int) -> str:
    """A range of a hunk header."""
    count = after - first
    return str(first + 1) if count == 1 else f"{first + (1 if count else 0)},{count}"


def _words(old: Lines, new: Lines, gap: Gap) -> tuple[list[list[str]], int]:
    """(runs of equal, removed and added words of a change, bytes of both sides that are equal)."""
    a, a_end, b, b_end = gap
    if a == a_end or b == b_end or max(a_end - a, b_end - b) > WORDS_MAX:
        return [], 0
    mine, other = (TOKEN.findall("\n".join(lines)) for lines in (old.text(a, a_end), new.text(b, b_end)))
    if max(len(mine), len(other)) > WORDS_MAX:
        return [], 0
    found = [match for match in matches(mine, other) if any(not token.isspace() for token in mine[match[0]:match[0] + match[2]])]
    runs: list[list[str]] = []
    kept = i = j = 0
    for x, y, size in [*found, (len(mine), len(other), 0)]:
        runs += [[mark, _clipped("".join(tokens))] for mark, tokens in (("-", mine[i:x]), ("+", other[j:y]), ("=", mine[x:x + size])) if tokens]
        kept += 2 * sum(len(token.encode("utf-8", "replace")) for token in mine[x:x + size])
        i, j = x + size, y + size
    return runs, kept


def _change(old: Lines, new: Lines, gap: Gap, words: list[list[str]]) -> dict[str, Any]:
    """One difference as it is listed; line numbers count from 1, for an empty side they name the place before which it would be."""
    a, a_end, b, b_end = gap
    kind = "added" if a == a_end else "removed" if b == b_end else "changed"
    told: dict[str, Any] = {"kind": kind, "before": _side(old, a, a_end), "after": _side(new, b, b_end)}
    if any(mark == "=" for mark, _ in words):
        told["words"] = words
    return told


def _side(lines: Lines, first: int, after: int) -> dict[str, Any]:
    """One side of a change."""
    shown = lines.text(first, min(after, first + HUNK_LINES_SHOWN))
    return {"line": first + 1, "count": after - first, "lines": [line[:LINE_CHARACTERS_SHOWN] for line in shown]}


def _mark_moves(old: Lines, new: Lines, gaps: list[Gap], changes: list[dict[str, Any]]) -> None:
    """Say of a removed block that it was added elsewhere, and the other way round."""
    removed: dict[bytes, int] = {}
    for number, (a, a_end, b, b_end) in enumerate(gaps[:len(changes)]):
        if b == b_end and old.size(a, a_end):
            removed[old.keys[a:a_end].tobytes()] = number
    for number, (a, a_end, b, b_end) in enumerate(gaps[:len(changes)]):
        source = removed.pop(new.keys[b:b_end].tobytes(), None) if a == a_end else None
        if source is not None:
            changes[source]["moved_to_line"] = b + 1
            changes[number]["moved_from_line"] = gaps[source][0] + 1


def _counts(old: Lines, new: Lines, gaps: list[Gap]) -> dict[str, int]:
    """Lines of each side, and how many are added, removed and changed: in a difference of both sides, lines are paired as far as they go."""
    counts: Counter[str] = Counter()
    for a, a_end, b, b_end in gaps:
        paired = min(a_end - a, b_end - b)
        counts["changed"] += paired
        counts["removed"] += a_end - a - paired
        counts["added"] += b_end - b - paired
    return {"lines_before": len(old), "lines_after": len(new), "added": counts["added"], "removed": counts["removed"],
            "changed": counts["changed"], "places": len(gaps)}


def _notes(old: Lines, new: Lines, spaces: bool) -> list[str]:
    """What differs beside the lines themselves, and what was odd about the bytes."""
    notes = []
    if old.main_end() and new.main_end() and old.main_end() != new.main_end() and not spaces:
        notes.append(f"Line ends differ: {LINE_ENDS[old.main_end()]} before, {LINE_ENDS[new.main_end()]} after.")
    if len(old) and len(new) and old.ends_with_newline != new.ends_with_newline and not spaces:
        notes.append(f"Only the document {'before' if old.ends_with_newline else 'after'} ends with a line feed.")
    if {old.encoding.name, new.encoding.name} - {"unicode", "utf-8", "utf-8-sig"}:
        notes.append(f"Encodings: {old.encoding.name} before, {new.encoding.name} after.")
    replaced = old.encoding.replaced + new.encoding.replaced
    if replaced:
        notes.append(f"{replaced} characters could not be decoded and were replaced.")
    return notes


def _unified_diff(old: Lines, new: Lines, gaps: list[Gap], context: int, step: Step | None) -> dict[str, Any]:
    """The members of the answer that hold the unified diff."""
    if not gaps:
        return {"diff": "", "diff_truncated": False}
    kept: list[str] = []
    characters = 0
    lines = unified(old, new, gaps, context)
    for line in lines:
        if characters + len(line) > DIFF_CHARACTERS_MAX:
            break
        kept.append(line)
        characters += len(line)
    else:
        return {"diff": "".join(kept), "diff_truncated": False}
    if step is None:
        return {"diff": "".join(kept), "diff_truncated": True}
    path = step.work_folder / "changes.diff"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(unified(old, new, gaps, context))
    return {"diff": "".join(kept), "diff_truncated": True, "diff_artifact": step.artifact(path, "changes.diff")}


def _summary(answer: dict[str, Any], gaps: list[Gap]) -> str:
    """The answer in a few sentences."""
    notes, counts = " ".join(answer["notes"]), answer["counts"]
    if not gaps:
        return ("The documents are identical." if answer["identical"] else f"The lines are the same. {notes}")
    parts = [f"{counts[kind]} line{'' if counts[kind] == 1 else 's'} {kind}" for kind in ("changed", "added", "removed") if counts[kind]]
    where = ", ".join(str(gap[2] + 1) for gap in gaps[:8])
    places = "place" if len(gaps) == 1 else "places"
    moved = sum("moved_to_line" in change for change in answer["changes"])
    sentences = [f"{', '.join(parts)}, in {counts['places']} {places}; {answer['similarity']:.1%} of the text is the same.",
                 f"Differences are at line{'' if len(gaps) == 1 else 's'} {where}{' and others' if len(gaps) > 8 else ''} of the second document."]
    if moved:
        sentences.append(f"{moved} block{'' if moved == 1 else 's'} only moved.")
    return " ".join([*sentences, notes]).strip()


def _clipped(text: str) -> str:
    """A run of words short enough to show, its middle left out."""
    half = PIECE_CHARACTERS_SHOWN // 2
    return text if len(text) <= PIECE_CHARACTERS_SHOWN else f"{text[:half]} … {text[-half:]}"
