"""The linear model: examples pull skills apart, the same each time."""

from __future__ import annotations

from skills.features import counts
from skills.linear import EXAMPLE_FEATURES_MAX, FEATURES_MAX, Rarity
from skills.match import Document, Index
from skills.words import cut
from tests.kit import same

ON = ("turn on the light", "light on please", "switch on the lamp", "lights on in the kitchen")
OFF = ("turn off the light", "light off please", "switch off the lamp", "lights off in the kitchen")
MUSIC = Document("music", "plays music")


def lead(on: tuple[str, ...], off: tuple[str, ...], text: str) -> float:
    """Of one skill over another that differs from it in one short word."""
    index = Index.build((Document("one", "light on", (), on), Document("other", "light off", (), off), MUSIC))
    scores = {each.name: each.score for each in index.rank(text).candidates}
    return scores["one"] - scores["other"]


def test_features_are_words_pairs_and_pieces_with_their_counts() -> None:
    same(counts(cut("do it, do")), {"do": 2, "it": 1, "do it": 1, "it do": 1, "3<do": 2, "3do>": 2, "4<do>": 2, "3<it": 1, "3it>": 1, "4<it>": 1})
    same([feature for feature in counts(cut("eMail")) if feature[0] not in "34"], ["e", "mail", "email", "e mail"])
    same(counts(cut("")), {})


def test_what_is_rare_weighs_more_and_what_is_unknown_makes_the_rest_weigh_less() -> None:
    rarity = Rarity([cut("the light"), cut("the lamp"), cut("the door")])
    weighed = rarity.weigh(counts(cut("the light")))
    assert weighed["light"] > weighed["the"]
    same(round(sum(weight * weight for weight in weighed.values()), 6), 1.0)
    with_unknown = rarity.weigh(counts(cut("the light zzzzz")))
    assert with_unknown["light"] < weighed["light"] and not any("z" in feature for feature in with_unknown)


def test_of_a_long_text_only_the_heaviest_features_are_kept() -> None:
    text = cut(" ".join(f"word{number}" for number in range(500)))
    rarity = Rarity([text])
    assert len(rarity.weigh(counts(text), EXAMPLE_FEATURES_MAX)) >= EXAMPLE_FEATURES_MAX and len(rarity.weigh(counts(text))) >= FEATURES_MAX


def test_training_puts_each_skill_ahead_for_its_examples_and_for_texts_like_them() -> None:
    for on, off in zip((*ON, "lamp on"), (*OFF, "lamp off"), strict=True):
        assert lead(ON, OFF, on) > max(0.1, lead((), (), on)) and lead(ON, OFF, off) < min(-0.1, lead((), (), off)), (on, off)


def test_the_same_examples_give_the_same_model() -> None:
    same(lead(ON, OFF, "lamp on"), lead(ON, OFF, "lamp on"))
