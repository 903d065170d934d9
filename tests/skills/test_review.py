"""The review of a library: each code where it belongs and not where it does not; examples are asked of an index that has not seen them."""

from __future__ import annotations

import re

from skills import trials
from skills.descriptions import CLIENT_CHARACTERS, NEAR_LEAD, VAGUE_WORDS
from skills.exclusions import first_exclusion, without_exclusions
from skills.match import CONFIDENCE_MIN, Document, Index, Ranking
from skills.remarks import SEVERITIES, Remark, listed, quoted
from skills.review import EXAMPLES_MIN, Review, lacking, review
from skills.trials import FOLDS, folds_asked, hold_out
from tests.kit import ROOT, same

# Three skills with nothing in common.
APART = (
    Document("alarm-clock", "Wakes sleepers at a given hour with a bell or music. Use when somebody must rise early.", ("alarm", "wake"),
             ("wake me at six", "set an alarm for noon", "ring the alarm at seven", "alarm tomorrow at eight")),
    Document("bread-baker", "Bakes loaves from rye, wheat or spelt in a stone oven. Use when somebody wants a crust.", ("bread", "loaf"),
             ("bake a loaf of rye bread", "bread with a crisp crust", "bake wheat bread", "a spelt loaf of bread please")),
    Document("star-map", "Draws constellations and planets above a town for any night. Use when somebody looks at the sky.", ("stars", "planets"),
             ("draw the stars over Oslo", "which planets and stars are up tonight?", "map of the stars", "show me stars and planets")),
)
# Two that are after the same tasks: the words are the other's.
RIVALS = (
    Document("mail-sender", "Posts letters to people over a mail server of the office. Use when a letter must go out.", ("mail",),
             ("send a mail to Ann", "send this mail now", "mail the letter to Bob", "send a mail with the letter", "archive the old mail folder")),
    Document("mail-archive", "Stores old messages in yearly boxes of the cellar. Use when a mailbox is full.", ("archive", "folder"),
             ("archive my folder", "archive the folder of last year", "move the folder to the archive", "send a mail to the archive")),
)


def judge(ranking: Ranking) -> str:
    """The first candidate that is sure enough."""
    best = ranking.candidates[0] if ranking.candidates else None
    return best.name if best and best.confidence >= CONFIDENCE_MIN else ""


def of(*documents: Document) -> Review:
    """The review of a small library."""
    return review(documents, Index.build(documents), judge)


def remarks(code: str, *documents: Document) -> list[Remark]:
    """Those with this code."""
    return [remark for remark in of(*documents).remarks if remark.code == code]


def test_skills_that_are_far_apart_have_no_remarks_of_any_kind() -> None:
    found = of(*APART)
    same([remark for remark in found.remarks if remark.severity == "warning"], [])
    same((found.collisions, found.spoken), ((), {"English": 3}))


def test_every_code_has_a_severity_and_a_test() -> None:
    text = (ROOT / "tests" / "skills" / "test_review.py").read_text(encoding="utf-8")
    same([code for code in SEVERITIES if text.count(f'"{code}"') < 2], [])
    used = {code for name in ("review", "descriptions") for code in re.findall(r'"(routing-[a-z-]+)"', (ROOT / "skills" / f"{name}.py").read_text())}
    same((used, set(SEVERITIES.values())), (set(SEVERITIES), {"warning", "info"}))


def test_an_example_that_another_skill_takes_names_it_and_the_words_that_carry_it() -> None:
    (one,) = [remark for remark in remarks("routing-elsewhere", *RIVALS) if remark.skill == "mail-archive"]
    same(one.where, ("examples", 3))
    assert "'send a mail to the archive' goes to mail-sender" in one.reason and "mail (" in one.reason and "confidence 0." in one.reason, one
    assert "no field of mail-archive has: send" in one.hint, one
    same(remarks("routing-elsewhere", *APART), [])


def test_two_skills_that_take_each_others_examples_collide() -> None:
    found = of(*RIVALS, *APART)
    (collision,) = found.collisions
    same((collision.skills, sum(collision.taken) >= 2), (("mail-archive", "mail-sender"), True))
    assert {"mail", "archive"} & set(collision.words), collision
    (remark,) = [remark for remark in found.remarks if remark.code == "routing-collision"]
    assert remark.skill == "mail-archive" and f"mail-sender takes {collision.taken[0]} of its examples" in remark.reason, remark
    same(remarks("routing-collision", *APART), [])


def test_an_example_that_finds_nobody_is_an_info_with_the_words_that_are_missing() -> None:
    odd = Document(APART[0].name, APART[0].description, APART[0].keywords, (*APART[0].examples, "zzz qqq xxyyzz"))
    (lost,) = remarks("routing-lost", odd, *APART[1:])
    same((lost.skill, lost.where, lost.severity), ("alarm-clock", ("examples", 4), "info"))
    assert "no field of alarm-clock has: zzz, qqq, xxyyzz" in lost.hint, lost
    same(remarks("routing-lost", *APART), [])


def test_a_skill_that_its_own_words_do_not_find_is_unreachable() -> None:
    shadow = Document("alarms", "Alarm.")
    loud = Document("alarm", "Alarm. Alarms of all kinds.", ("alarm", "alarms"), ("alarm", "alarms", "an alarm", "the alarm"))
    (hidden,) = remarks("routing-unreachable", loud, shadow)
    same((hidden.skill, hidden.where), ("alarms", ("description",)))
    assert "finds alarm" in hidden.reason, hidden
    strange = Document("bread-baker", APART[1].description, APART[1].keywords, ("aaaa bbbb", "cccc dddd", "eeee ffff")[:EXAMPLES_MIN])
    (unlike,) = remarks("routing-unreachable", APART[0], strange)
    same((unlike.skill, unlike.where), ("bread-baker", ("examples",)))
    same(remarks("routing-unreachable", *APART), [])


def test_a_description_with_too_few_words_of_its_own_is_vague() -> None:
    thin = Document("helper", "Does things for you.", (), ("polish the brass lamp", "polish the silver lamp"))
    (vague,) = remarks("routing-vague", thin, *APART)
    assert vague.skill == "helper" and f"{VAGUE_WORDS} are wanted" in vague.reason and "polish, lamp" in vague.hint, vague
    same(remarks("routing-vague", *APART), [])


def test_words_that_all_others_have_do_not_make_a_description_less_vague() -> None:
    alike = [Document(f"tool-{letter}", "Helps staff with office documents every working day.") for letter in "abcdefgh"]
    assert {remark.skill for remark in remarks("routing-vague", *alike)} == {document.name for document in alike}


def test_two_descriptions_that_say_nearly_the_same_are_near() -> None:
    twins = (Document("car-rental", "Rents cars for a trip, by the day or the week."),
             Document("car-hire", "Hires cars for a trip, by the day or the week."))
    (near,) = remarks("routing-near", *twins, *APART)
    assert near.skill == "car-hire" and "says nearly the same as car-rental" in near.reason, near
    assert "only car-hire says hire" in near.hint and "only car-rental says" in near.hint, near
    same(remarks("routing-near", *APART), [])
    assert 0 < NEAR_LEAD < 1


def test_an_exclusion_that_clients_cut_off_is_told_with_its_place() -> None:
    said = "Wakes sleepers. " + "It rings. " * 30
    late = Document("alarm-clock", said + "Not for cooking times.", APART[0].keywords, APART[0].examples)
    (cut,) = remarks("routing-exclusion-late", late, *APART[1:])
    assert cut.skill == "alarm-clock" and f"begins at character {len(said) + 1}" in cut.reason and str(CLIENT_CHARACTERS) in cut.reason, cut
    early = Document("alarm-clock", "Wakes sleepers. Not for cooking times. " + "It rings. " * 30, APART[0].keywords, APART[0].examples)
    same(remarks("routing-exclusion-late", early, *APART[1:]), [])


def test_where_the_first_exclusion_begins() -> None:
    texts = ("Reads mail.", "Reads mail. Not for spam.", "读取邮件。不要用于垃圾邮件。", "Not for a. Not for b.")
    same([first_exclusion(text) for text in texts], [None, 12, 5, 0])
    for text in ("Reads mail. Not for spam.", "Use for A; do not use for B"):
        assert without_exclusions(text)[:first_exclusion(text)] == text[:first_exclusion(text)]


def test_a_language_that_others_have_is_told_of_a_skill_that_lacks_it() -> None:
    spoken = [Document(d.name, d.description, d.keywords, (*d.examples, "wie ist das mit dem Brot?")) for d in APART[:2]]
    (missing,) = remarks("routing-languages", *spoken, APART[2])
    same((missing.skill, missing.severity), ("star-map", "info"))
    assert "German" in missing.reason and "guessed" in missing.reason, missing
    same(remarks("routing-languages", spoken[0], *APART[1:]), [])        # one skill alone sets no standard
    same(remarks("routing-languages", *APART), [])


def test_an_example_is_asked_of_an_index_that_has_not_seen_it() -> None:
    lone = (Document("one", "First things.", (), ("zzzz", "zzzz")), Document("two", "Second things.", (), ("yyyy",)))
    for trial in hold_out(lone, judge):
        same((trial.skill, trial.ranking.unmatched, trial.found), (trial.skill, (trial.text,), None))
    held = hold_out(APART, judge)
    same([(trial.skill, trial.number) for trial in held], [(document.name, number) for document in APART for number in range(4)])


def test_every_fold_has_a_share_of_every_skill_and_a_large_library_asks_fewer() -> None:
    same([folds_asked(examples) for examples in (1, 177, trials.EXAMPLES_ASKED, 2 * trials.EXAMPLES_ASKED, 100 * trials.EXAMPLES_ASKED)],
         [FOLDS, FOLDS, FOLDS, 2, 1])
    same(hold_out((Document("one", "First things."),), judge), [])


def test_an_example_lacks_words_of_which_its_skill_has_no_form() -> None:
    same(lacking(Document("a", "Profiles tables.", ("columns",), ("profile this", "zebra column")), "zebra column"), ["zebra"])
    same(lacking(Document("a", "Profiling."), "profile the profiler"), [])


def test_long_things_are_shown_short() -> None:
    same((listed(()), listed("abcdefgh"), len(quoted("x" * 1000)), quoted("ok")), ("none", "a, b, c, d, e, f", 82, "'ok'"))


def test_two_reviews_of_a_library_say_the_same() -> None:
    same(of(*RIVALS, *APART), of(*RIVALS, *APART))
