"""The index of a catalogue that changes: small ones are built anew, large ones put right at once, kept in a file and built anew beside."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skills import index_file
from skills.document import Document
from skills.index_file import load, save
from skills.match import Index
from skills.shelf import TEXTS_LARGE, Change, Shelf, change_between
from tests.kit import a_folder, same

WORDS = ("alarm", "border", "candle", "desert", "engine", "forest", "garden", "harbour", "island", "jungle", "kitchen", "ladder", "mirror", "needle")
SMALL = tuple(Document(name, f"Does something about a {name}.") for name in WORDS)
TOLD: list[str] = []
EDIT = Document("zebra", "Feeds the zebra in the zoo.")


def many() -> tuple[Document, ...]:
    """A catalogue that is large."""
    source = random.Random(5)
    return tuple(Document(f"skill-{number:05}", " ".join(source.choices(WORDS, k=6)) + f" w{number}") for number in range(TEXTS_LARGE + 10))


@contextmanager
def a_shelf(file: Path | None) -> Iterator[Shelf]:
    """Its process is ended afterwards."""
    found = Shelf(file, False, TOLD.append)
    try:
        yield found
    finally:
        found.close()


def same_documents(index: Index, wanted: tuple[Document, ...]) -> None:
    """Fail unless the index holds these; too many to be shown."""
    assert index.documents() == {each.name: each for each in wanted}, len(index.documents())


def when_built(shelf: Shelf) -> Index:
    """The index after the process beside has ended."""
    assert shelf._builder is not None
    os.waitid(os.P_PID, shelf._builder, os.WEXITED | os.WNOWAIT)
    return shelf.index(None)


def test_a_change_says_what_is_new_what_is_other_and_what_is_gone() -> None:
    before, after = {each.name: each for each in SMALL[:3]}, {each.name: each for each in SMALL[1:4]}
    after["border"] = Document("border", "Closes the border.")
    same(change_between(before, after), Change((after["border"], SMALL[3]), ("alarm",)))
    same(change_between(after, dict(after)), Change((), ()))


def test_a_small_catalogue_is_built_anew_with_each_change_and_written_nowhere() -> None:
    file = a_folder() / "matching" / "index"
    with a_shelf(file) as shelf:
        same_documents(shelf.index(Change(SMALL, ())), SMALL)
        edited = shelf.index(Change((EDIT,), ("alarm",)))
        same((edited.is_whole, edited.rank("feed the zebra")), (True, Index.build((*SMALL[1:], EDIT), False).rank("feed the zebra")))
        assert shelf.index(None) is edited
    same(file.parent.exists(), False)


def test_a_large_catalogue_is_put_right_at_once_and_built_anew_beside() -> None:
    documents = many()
    with a_shelf(a_folder() / "matching" / "index") as shelf:
        same(shelf.index(Change(documents, ())).is_whole, True)
        edited = shelf.index(Change((EDIT,), ()))
        same((edited.is_whole, edited.rank("feed the zebra").candidates[0].name), (False, "zebra"))
        when_built(shelf)                                      # that one only wrote what there was before the edit
        whole = when_built(shelf)
        same(whole.is_whole, True)
        same_documents(whole, (*documents, EDIT))
        same(whole.rank("feed the zebra"), Index.build((*documents, EDIT), False).rank("feed the zebra"))


def test_what_changes_while_it_is_built_beside_is_not_lost() -> None:
    documents = many()
    with a_shelf(a_folder() / "matching" / "index") as shelf:
        shelf.index(Change(documents, ()))
        when_built(shelf)
        shelf.index(Change((EDIT,), ()))
        shelf.index(Change((), ("zebra", "skill-00007")))
        later = when_built(shelf)
        same_documents(later, (*documents[:7], *documents[8:]))


def test_a_start_takes_the_index_of_the_file_and_puts_it_right() -> None:
    documents, file = many(), a_folder() / "matching" / "index"
    with a_shelf(file) as shelf:
        shelf.index(Change(documents, ()))
        when_built(shelf)
    with a_shelf(file) as shelf:
        loaded = shelf.index(Change(documents, ()))
        same((loaded.is_whole, shelf._builder), (True, None))
        same_documents(loaded, documents)
    with a_shelf(file) as shelf:
        put_right = shelf.index(Change((*documents[5:], EDIT), ()))
        same(put_right.is_whole, False)
        same_documents(put_right, (*documents[5:], EDIT))


def test_a_large_catalogue_that_becomes_small_is_built_anew() -> None:
    documents = many()
    with a_shelf(a_folder() / "matching" / "index") as shelf:
        shelf.index(Change(documents, ()))
        small = shelf.index(Change((), tuple(each.name for each in documents[:-3])))
        same((small.is_whole, len(small.documents())), (True, 3))
        same_documents(when_built(shelf), documents[-3:])


def test_where_the_file_cannot_be_written_edits_still_count() -> None:
    file = a_folder() / "taken" / "index"
    file.parent.write_text("a file where a folder should be")
    with a_shelf(file) as shelf:
        shelf.index(Change(many(), ()))
        when_built(shelf)
        same(shelf.index(Change((EDIT,), ())).rank("feed the zebra").candidates[0].name, "zebra")
        assert "ended with status" in TOLD[-1]
        file.parent.unlink()
        found = shelf.index(None)
        for _ in range(100):                                   # it is tried again, after more questions each time
            if found.is_whole:
                break
            found = when_built(shelf) if shelf._builder else shelf.index(None)
        same(found.is_whole, True)
        same_documents(found, (*many(), EDIT))


def test_where_no_process_can_be_started_edits_still_count() -> None:
    fork = os.fork

    def none() -> int:
        raise OSError(11, "resource temporarily unavailable")
    with a_shelf(a_folder() / "matching" / "index") as shelf:
        vars(os)["fork"] = none
        try:
            shelf.index(Change(many(), ()))
            same(shelf.index(Change((EDIT,), ())).rank("feed the zebra").candidates[0].name, "zebra")
        finally:
            vars(os)["fork"] = fork
        assert "no process can be started" in TOLD[-1]


def test_when_much_of_a_large_catalogue_is_edited_it_is_built_anew() -> None:
    documents = many()
    zoo = tuple(Document(f"zoo-{number}", f"Feeds the zebra of zoo {number}.") for number in range(len(documents) // 2))
    with a_shelf(None) as shelf:
        shelf.index(Change(documents, ()))
        same(shelf.index(Change(zoo[:200], ())).is_whole, False)
        same((shelf.index(Change(zoo[200:], ())).is_whole, shelf.index(None).edits), (True, 0))


def test_a_word_that_is_in_many_edited_documents_and_in_no_other_is_weighed() -> None:
    index = Index.build(SMALL, False).changed([Document(f"zoo-{number}", "Feeds the zebra.") for number in range(200)])
    same(index.rank("feed the zebra").candidates[0].name, "zoo-0")


def test_a_file_that_is_not_whole_or_of_another_program_is_as_if_there_were_none() -> None:
    file = a_folder() / "index"
    same(load(file), None)
    index = Index.build(SMALL, False)
    save(index, file)
    whole, found = file.read_bytes(), load(file)
    assert found is not None
    same((found.rank("alarm"), found.documents(), file.stat().st_mode & 0o777), (index.rank("alarm"), index.documents(), 0o600))
    for broken in (b"", whole[:-1], whole[:200], whole[:-20] + b"x" * 20, b"index " + b"0" * 64 + whole[70:], b"\x80\x04N."):
        file.write_bytes(broken)
        same(load(file), None)


def test_an_index_names_every_module_that_it_depends_on() -> None:
    here = Path(index_file.__file__).parent
    known, found = set(index_file.MADE_BY), {"match"}
    for name in found.copy():
        todo = [name]
        while todo:
            text = (here / f"{todo.pop()}.py").read_text()
            for line in text.splitlines():
                if line.startswith("from skills.") and line.split()[1].split(".")[1] not in found:
                    found.add(line.split()[1].split(".")[1])
                    todo.append(line.split()[1].split(".")[1])
    same(found - known, {"confidence"})                        # of the ranking, not of the index
