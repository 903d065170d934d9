"""Learning: which phrases feedback gives, and the edit of skill.toml: a table of files, and files made by chance."""

import random
import tomllib

from skills.bundle import SkillFile
from skills.compile import EXAMPLES_MAX, compile_skill
from skills.learn import PHRASE_CHARACTERS_MAX, Conflict, folded, lessons, quoted, taught, with_examples
from skills.parse import SkillError
from state.records import Feedback
from tests.kit import refuses, same

SKILL_MD = SkillFile(b"---\nname: tries\ndescription: Tries things. Use when a test wants it.\n---\nBody.\n")
STEPS = '[[steps]]\nid = "go"\nkind = "run"\nargv = ["true"]\n'


def said(number, text, right=True, ran="echo", skill="", rule="match"):
    """Feedback on job `j<number>`."""
    return Feedback(f"j{number}", right, ran, rule, text, skill, "", "client", float(number), number)


def learnt(*feedback, **examples):
    """Phrases by skill, over skills `echo` and `other` with these examples."""
    found = lessons(feedback, {"echo": (), "other": (), **examples})
    return {name: [phrase.text for phrase in phrases] for name, phrases in found.phrases.items()}, found


# -- phrases ------------------------------------------------------------------------------------------------------------------------------


def test_a_text_is_a_phrase_of_the_skill_that_was_right_or_would_have_been():
    phrases, found = learnt(said(1, "say it"), said(2, "count it", False, skill="other"), said(3, "who knows", False), said(4, ""))
    same(phrases, {"echo": ["say it"], "other": ["count it"]})
    same((found.conflicts, found.skipped), ([], []))


def test_a_skill_that_a_client_named_teaches_as_one_that_was_matched_does_and_a_fallback_teaches_only_that_another_would_have_been_right():
    for rule in ("named", "choose"):
        phrases = learnt(said(1, "say it", rule=rule), said(2, "count it", False, skill="other", rule=rule))[0]
        same(phrases, {"echo": ["say it"], "other": ["count it"]})
    same(learnt(said(1, "say it", rule="none"), said(2, "count it", False, skill="other", rule="none"))[0], {"other": ["count it"]})


def test_a_conflict_names_the_skills_that_somebody_wants():
    found = learnt(said(1, "say it", False, skill="other"), said(2, "say it", False, skill="third"), third=())[1]
    same([conflict.skills for conflict in found.conflicts], [("other", "third")])


def test_texts_in_which_matching_reads_the_same_words_are_one_phrase_in_one_row_as_it_was_first_said():
    phrases, found = learnt(said(1, " Say\n it!\t"), said(2, "say IT"), said(3, "SAY... it"), said(4, "say this"))
    same(phrases, {"echo": ["Say it!", "say this"]})
    same(found.phrases["echo"][0].jobs, ("j1", "j2", "j3"))


def test_what_is_an_example_already_is_not_proposed_again():
    same(learnt(said(1, "say it"), said(2, "count it"), echo=("Say it?",))[0], {"echo": ["count it"]})


def test_texts_on_which_people_disagree_are_conflicts():
    phrases, found = learnt(
        said(1, "a b"), said(2, "a b", False, skill="other"), said(3, "c d"), said(4, "C D", False), said(5, "e f"), said(6, "g", False))
    same(phrases, {"echo": ["e f"]})
    same(found.conflicts, [Conflict("a b", ("echo", "other"), "people want different skills for it", ("j1", "j2")),
                           Conflict("c d", ("echo",), "echo was said to be right and wrong for it", ("j3", "j4"))])


def test_a_text_that_is_an_example_of_another_skill_is_a_conflict():
    phrases, found = learnt(said(1, "say it", False, skill="other"), echo=("say it",))
    same((phrases, [(c.skills, c.why) for c in found.conflicts]), ({}, [(("echo", "other"), "it is an example of echo")]))


def test_what_cannot_be_an_example_is_skipped_with_the_reason():
    long = "x " * PHRASE_CHARACTERS_MAX
    full = tuple(f"example {number}" for number in range(EXAMPLES_MAX - 1))
    phrases, found = learnt(said(1, long), said(2, "?!"), said(3, "fits"), said(4, "fits no more"), said(5, "gone", ran="old"), echo=full)
    same(phrases, {"echo": ["fits"]})
    same([(each.skill, each.jobs) for each in found.skipped], [("echo", ("j1",)), ("echo", ("j2",)), ("echo", ("j4",)), ("old", ("j5",))])
    for each, words in zip(found.skipped, ("999 characters", "no words", "1000 examples", "no such skill"), strict=True):
        assert words in each.why, each


# -- the edit -----------------------------------------------------------------------------------------------------------------------------


EDITS = (       # what it is, before, after; of the phrases `c` and `d`
    ("nothing", "", 'examples = [\n    "c",\n    "d",\n]\n'),
    ("no array, a table", "[input]\ntype = 'object'\n", 'examples = [\n    "c",\n    "d",\n]\n\n[input]\ntype = \'object\'\n'),
    ("no array, members and a table", 'version = "1"  # first\n\n# of the input\n[input]\n',
     'version = "1"  # first\nexamples = [\n    "c",\n    "d",\n]\n\n# of the input\n[input]\n'),
    ("no array, a comment about the table", "# a file\n\n# of the input\n[input]\n",
     '# a file\n\nexamples = [\n    "c",\n    "d",\n]\n\n# of the input\n[input]\n'),
    ("no array, a comment at the top", "# of the input\n[input]\n", '# of the input\nexamples = [\n    "c",\n    "d",\n]\n\n[input]\n'),
    ("no array, members without a line end", 'version = "1"', 'version = "1"\nexamples = [\n    "c",\n    "d",\n]\n'),
    ("no array, only a comment", "# nothing", '# nothing\nexamples = [\n    "c",\n    "d",\n]\n'),
    ("an empty array", "examples = []\n", 'examples = ["c", "d"]\n'),
    ("an empty array with a space", "examples = [ ] # none\n", 'examples = ["c", "d" ] # none\n'),
    ("an empty array in rows", "examples = [\n]\n", 'examples = [\n    "c",\n    "d",\n]\n'),
    ("an empty array with a comment", "examples = [ # none ]\n  # yet, [\n  ]\n", 'examples = [ # none ]\n  # yet, [\n    "c",\n    "d",\n  ]\n'),
    ("one row", 'examples = ["a", "b"]\n', 'examples = ["a", "b", "c", "d"]\n'),
    ("one row and a comma", 'examples = ["a", "b", ] # ["x"]\n', 'examples = ["a", "b", "c", "d", ] # ["x"]\n'),
    ("rows and a comma", 'examples = [\n\t"a",\n\t"b",\n]\n', 'examples = [\n\t"a",\n\t"b",\n\t"c",\n\t"d",\n]\n'),
    ("rows without a comma", 'examples = [\n  "a",\n  "b"\n]\n', 'examples = [\n  "a",\n  "b",\n  "c",\n  "d"\n]\n'),
    ("rows, a comment behind the last", 'examples = [\n  "a",  # one, two\n  "b" # ], three\n  # four\n]\n',
     'examples = [\n  "a",  # one, two\n  "b", # ], three\n  "c",\n  "d"\n  # four\n]\n'),
    ("rows, the end beside the last", 'examples = [ "a",\n      "b"]\n', 'examples = [ "a",\n      "b",\n      "c",\n      "d"]\n'),
    ("rows, a comma of its own", 'examples = [\n "a"\n ,\n]\n', 'examples = [\n "a"\n ,\n "c",\n "d",\n]\n'),
    ("rows that begin beside the name", 'examples = ["a",\n]\n', 'examples = ["a",\n    "c",\n    "d",\n]\n'),
    ("several in a row", 'examples = [\n  "a", "b",\n]\n', 'examples = [\n  "a", "b",\n  "c",\n  "d",\n]\n'),
    ("an array in the middle", 'version = "1"\nexamples=["a"]\nkeywords = ["[", "]"]\n[input]\n',
     'version = "1"\nexamples=["a", "c", "d"]\nkeywords = ["[", "]"]\n[input]\n'),
    ("a text that looks like the array", 'version = """\nexamples = [\n"x"]"""\nexamples = [\'a]\', "b\\"]"]\n',
     'version = """\nexamples = [\n"x"]"""\nexamples = [\'a]\', "b\\"]", "c", "d"]\n'),
    ("an item over rows", "examples = ['''a,\n]''', \"\"\"b\n\"\"\"]\n", "examples = ['''a,\n]''', \"\"\"b\n\"\"\", \"c\", \"d\"]\n"),
    ("a quoted name", '"examples" = ["a"]\n', '"examples" = ["a", "c", "d"]\n'),
    ("a table that has examples", 'keywords = []\n[input]\nexamples = ["x"]\n',
     'keywords = []\nexamples = [\n    "c",\n    "d",\n]\n[input]\nexamples = ["x"]\n'),
    ("line ends of Windows", '# one\r\nexamples = [\r\n  "a"\r\n]\r\n[input]\r\n',
     '# one\r\nexamples = [\r\n  "a",\r\n  "c",\r\n  "d"\r\n]\r\n[input]\r\n'),
    ("no array, line ends of Windows", 'version = "1"\r\n[input]\r\n', 'version = "1"\r\nexamples = [\r\n    "c",\r\n    "d",\r\n]\r\n[input]\r\n'),
    ("a byte order mark", '\ufeffexamples = ["a"]\n', '\ufeffexamples = ["a", "c", "d"]\n'),
)


def test_the_edit_puts_phrases_behind_the_examples_and_leaves_every_other_byte():
    for name, before, after in EDITS:
        same((name, with_examples(before.encode(), ["c", "d"]).decode()), (name, after))


def test_one_phrase_makes_an_array_in_one_row():
    same(with_examples(b'version = "1"\n', ["c"]), b'version = "1"\nexamples = ["c"]\n')


def test_a_quoted_phrase_is_read_back_as_it_was_and_hides_nothing():
    for text in (
            "", 'say "it"', "a\\b", "tab\there", "bell\x07 del\x7f next\x85 line\u2028", "é 漢字 😀 \u200c", "evil \u202etxt.exe", "'x'", "#[]={}"):
        row = quoted(text)
        same(tomllib.loads(f"key = {row}")["key"], text)
        assert not any(character in row for character in "\x07\x7f\x85\u2028\u202e\t\n"), row
    same(quoted("é 漢字"), '"é 漢字"')


TOPS = ('version = "1.0.0"', "# [examples] = 'none'", 'keywords = ["a ]", "#", \'"\']',
        "version = '''\nexamples = [\n'''", "", "concurrency = 4 # five",
        'keywords = [ # "x"\n  "y",\n]')
TABLES = ('[input]\ntype = "object"\nproperties.examples = { type = "array" }', "[slo]\np95_s = 5", '[input.properties.examples]\ntype = "string"',
          '[output]\n# examples = ["not this"]\nenum = ["examples = [", "]"]')
ITEMS = ('"one"', "'two, ]'", '"""three\n["""', "'''four\n#'''", '"fi\\"ve"', '"é \\u00e9"')
GAPS = ("", " ", "\n", "\n  ", " # why, ]\n", "\n\t# [\n\t")


def a_toml(rnd):
    """A skill.toml as somebody might have written it."""
    tops = rnd.sample(TOPS, rnd.randrange(4))
    tops = [top for place, top in enumerate(tops) if not any(top.split(" ")[0] == other.split(" ")[0] for other in tops[:place]) or not top]
    if rnd.random() < 0.8:
        array = "examples" + rnd.choice((" = ", "=")) + "["
        for item in rnd.sample(ITEMS, rnd.randrange(5)):
            array += rnd.choice(GAPS) + item + rnd.choice(GAPS) + ","
        if array.endswith(",") and rnd.random() < 0.5:
            array = array[:-1]
        tops.insert(rnd.randrange(len(tops) + 1), array + rnd.choice(GAPS) + "]" + rnd.choice(("", " # end ]")))
    feed = rnd.choice(("\n", "\n", "\r\n"))
    text = "\n".join([*tops, *rnd.sample(TABLES, rnd.randrange(3)), STEPS * rnd.randrange(2)])
    return text.replace("\n", feed).encode() if rnd.random() < 0.9 else text.rstrip("\n").replace("\n", feed).encode()


def test_files_made_by_chance_compile_to_the_same_skill_with_more_examples_and_keep_every_byte():
    compiled = 0
    for seed in range(400):
        rnd = random.Random(seed)
        data = a_toml(rnd)
        files = {"SKILL.md": SKILL_MD, "skill.toml": SkillFile(data)}
        try:
            before = compile_skill("tries", files)
        except SkillError:
            continue                                   # a table that is there twice
        compiled += 1
        phrases = rnd.sample(['say "it" \\ now', "数えて", "tab\there", "]", "# no", "plain"], rnd.randrange(1, 4))
        after = taught("tries", files, phrases)
        same((seed, compile_skill("tries", {**files, "skill.toml": SkillFile(after)}).examples), (seed, (*before.examples, *phrases)))
        rest = iter(after)
        assert all(byte in rest for byte in data), f"seed {seed}: {data!r} is not in {after!r}"
        assert b"\r\n" not in data or after.count(b"\r\n") == after.count(b"\n"), f"seed {seed}"
    assert compiled > 300, compiled


def test_a_skill_that_has_only_instructions_gets_a_file_and_stays_what_it_was():
    files = {"SKILL.md": SKILL_MD}
    data = taught("tries", files, ["c"])
    same(data, b'examples = ["c"]\n')
    before, after = compile_skill("tries", files), compile_skill("tries", {**files, "skill.toml": SkillFile(data)})
    same([(d.version, d.steps, d.not_runnable) for d in (before, after)], [(before.version, before.steps, before.not_runnable)] * 2)


def test_an_edit_that_would_not_compile_is_refused():
    whole = {"SKILL.md": SKILL_MD, "skill.toml": SkillFile(f"examples = []\n{STEPS}".encode())}
    refuses(SkillError, lambda: taught("tries", whole, ["x " * 20_000]), "examples", "20000")
    refuses(SkillError, lambda: taught("tries", whole, ["c"] * (EXAMPLES_MAX + 1)), "at most 1000")
    refuses(SkillError, lambda: taught("tries", {**whole, "skill.toml": SkillFile(b"examples = [")}, ["c"]), "not valid TOML")


def test_texts_are_folded_as_matching_reads_them():
    same(folded("Which COLUMNS, please?"), folded("which columns please"))
    assert folded("数えて") != folded("数えた")
