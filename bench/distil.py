#!/usr/bin/env python3
"""Makes `skills/vectors.bin`, the table of word vectors, from a public model. Needs numpy, torch, sentence-transformers; the program does not.

usage: python3 bench/distil.py --wordnet DIR --packages FILE [--teacher NAME] [--cache DIR] [--out FILE]

The teacher is all-MiniLM-L6-v2 (Apache-2.0). The texts are glosses and examples of WordNet 3.0 (WordNet licence; DIR has `data.noun` and its like),
short and long descriptions of Debian packages (FILE is a `Translation-en`), and made-up requests of frequent verbs and nouns: no routing data.

A text is the sum of the vectors of its words, and is to have the neighbours that the teacher gives it: the loss is the divergence of the softmax
over similarities within a batch. The words are those that are frequent in the texts and those that the teacher's tokenizer knows whole, as stems.
They begin as the teacher's own vectors of single words, reduced by a principal component analysis of the texts and weighted by rarity. Half an hour
on two cores, nearly all of it for the teacher, whose answers are kept in --cache.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from skills.vectors import FILE, HEAD  # noqa: E402
from skills.words import cut, stem  # noqa: E402

TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
DIMENSIONS, WORDS_MAX, OFTEN = 64, 28_000, 5           # a word that the teacher does not know must be in so many texts
GLOSSES, EXAMPLES, LEMMAS, PACKAGES, REQUESTS = 60_000, 45_000, 15_000, 70_000, 45_000
TEACHER_TOKENS, TEACHER_TEMPERATURE = 48, 0.05
BATCH, ROUNDS, RATE, SHARPNESS_RATE, RARITY = 1_024, 6, 3e-3, 0.05, 1e-3
SEED = 5
PATTERNS = (
    "how do i {v} my {n}", "can you {v} the {n}", "i want to {v} a {n}", "{v} the {n} for me please", "what is the {n} of my {m}", "help me {v} {n}",
    "is there a {n} for {m}", "{v} {n}", "{n} {m}", "tell me about the {n}", "when is my {n} {m}", "{v} the {n} from the {m}", "why did my {n} {v}",
    "show me the {n} near the {m}", "please {v} my {n} and the {m}", "i need a tool to {v} {n}", "where can i find {n}",
)


def wordnet(folder: Path) -> Iterator[tuple[str, list[str], str, list[str]]]:
    """(part of speech, lemmas, gloss, examples) of each set of synonyms."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin1").splitlines():
            if not line.startswith(" "):
                head, _, gloss = line.partition("|")
                fields = head.split()
                lemmas = [re.sub(r"\(.*\)", "", word).replace("_", " ") for word in fields[4:4 + 2 * int(fields[3], 16):2]]
                yield part, lemmas, re.split(r';\s*"', gloss)[0].strip().rstrip(";"), re.findall(r'"([^"]+)"', gloss)


def packages(path: Path) -> list[str]:
    """Short descriptions, and the beginnings of long ones, each once."""
    found: dict[str, None] = {}
    for entry in path.read_text(encoding="utf-8").split("\n\n"):
        short, _, rest = entry.partition("Description-en:")[2].partition("\n")
        short = re.sub(r"\s*\(.*?\)|\s+-\s+.*$", "", short.strip())
        if short and short not in found:
            found[short] = None
            long = " ".join(line.strip() for line in rest.splitlines() if line.startswith(" ") and line.strip() != ".")
            if len(long) > 60:
                found[long[:200]] = None
    return list(found)


def texts(folder: Path, described: Path, frequent: set[str]) -> list[str]:
    """What the teacher is asked about."""
    source, entries = random.Random(SEED), list(wordnet(folder))

    def some(of: Sequence[str], count: int) -> list[str]:
        return source.sample(of, min(count, len(of)))
    verbs = sorted({entry[1][0] for entry in entries if entry[0] == "verb"} & frequent)
    nouns = sorted({entry[1][0] for entry in entries if entry[0] == "noun"} & frequent)
    requests = [source.choice(PATTERNS).format(v=source.choice(verbs), n=source.choice(nouns), m=source.choice(nouns)) for _ in range(REQUESTS)]
    return [*some([gloss for _, _, gloss, _ in entries if len(gloss) > 15], GLOSSES),
            *some([example for entry in entries for example in entry[3] if len(example) > 12], EXAMPLES),
            *some([lemma for entry in entries for lemma in entry[1] if " " in lemma], LEMMAS), *some(packages(described), PACKAGES), *requests]


class Teacher:
    """The public model; its answers are kept in a folder."""

    def __init__(self, name: str, cache: Path) -> None:
        import sentence_transformers
        self._model = sentence_transformers.SentenceTransformer(name, device="cpu")
        self._model.max_seq_length = TEACHER_TOKENS
        self._cache = cache

    def words(self) -> list[str]:
        """What its tokenizer knows whole."""
        return sorted(word for word in self._model.tokenizer.get_vocab() if re.fullmatch("[a-z]{2,}", word))

    def vectors(self, label: str, asked: list[str]) -> Any:
        """1 long each, as an array of numpy."""
        import numpy
        path = self._cache / f"{label}.npz"
        if not path.exists():
            vectors = self._model.encode(asked, batch_size=128, normalize_embeddings=True, show_progress_bar=True)
            numpy.savez(path, asked=numpy.array(asked), vectors=vectors.astype(numpy.float16))
        kept = numpy.load(path)
        if list(kept["asked"]) != asked:
            raise SystemExit(f"{path} is of other texts: remove it")
        return kept["vectors"].astype(numpy.float32)


def distilled(vocabulary: dict[str, int], first: Any, asked: list[str], wanted: Any) -> Any:
    """The vectors of the vocabulary, trained. `first` has the teacher's vectors of the words, `wanted` those of the texts."""
    import numpy
    import torch
    torch.manual_seed(0)
    numbered = [[vocabulary[word] for word in map(stem, cut(text).words) if word in vocabulary] for text in asked]
    kept = [place for place, numbers in enumerate(numbered) if numbers]
    bags, goal = [torch.tensor(numbered[place]) for place in kept], torch.tensor(wanted[kept])
    frequency = numpy.ones(len(vocabulary), numpy.float32)
    for place in kept:
        frequency[list(set(numbered[place]))] += 1
    axes = numpy.linalg.svd(wanted[kept][::5] - wanted[kept].mean(0), full_matrices=False)[2][:DIMENSIONS].T
    begin = (first - first.mean(0)) @ axes * (RARITY / (RARITY + frequency / len(kept)))[:, None]
    words = torch.nn.EmbeddingBag(len(vocabulary), DIMENSIONS, mode="sum")
    words.weight.data[:] = torch.tensor(begin)
    sharpness = torch.nn.Parameter(torch.tensor(10.0))
    steps = torch.optim.Adam([{"params": words.parameters(), "lr": RATE}, {"params": [sharpness], "lr": SHARPNESS_RATE}])
    itself = torch.eye(BATCH, dtype=torch.bool)
    for number in range(ROUNDS):
        steps.param_groups[0]["lr"] = RATE * (1 - number / ROUNDS)
        order, losses = numpy.random.RandomState(number).permutation(len(bags)), []
        for at in range(0, len(bags) - BATCH + 1, BATCH):
            places = order[at:at + BATCH]
            batch = [bags[place] for place in places]
            starts = torch.tensor(numpy.cumsum([0] + [len(bag) for bag in batch[:-1]]))
            learnt = torch.nn.functional.normalize(words(torch.cat(batch), starts), dim=1)
            taught = goal[places] @ goal[places].T / TEACHER_TEMPERATURE
            loss = torch.nn.functional.kl_div(torch.log_softmax((learnt @ learnt.T * sharpness).masked_fill(itself, -1e9), 1),
                                              torch.log_softmax(taught.masked_fill(itself, -1e9), 1), log_target=True, reduction="batchmean")
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses.append(loss.item())
        print(f"round {number}: loss {sum(losses) / len(losses):.4f}", flush=True)
    return words.weight.data.numpy()


def write(path: Path, words: list[str], vectors: Any) -> None:
    """A line that says what it is, the words, a scale for each, and the numbers in a byte each."""
    import numpy
    scales = numpy.abs(vectors).max(1) / 127
    numbers = numpy.round(vectors / scales[:, None]).astype(numpy.int8)
    head = HEAD + b"%d %d\n" % vectors.shape
    path.write_bytes(head + "\n".join(words).encode() + b"\n" + scales.astype("<f4").tobytes() + numbers.tobytes())
    print(f"{path}: {len(words):,} words, {path.stat().st_size:,} bytes")


def main(argv: list[str]) -> int:
    """Ask the teacher, train, write."""
    parser = argparse.ArgumentParser(prog="bench/distil.py", description="Make the table of word vectors from a public model.")
    parser.add_argument("--wordnet", type=Path, required=True, metavar="DIR", help="the folder with data.noun, data.verb, ...")
    parser.add_argument("--packages", type=Path, required=True, metavar="FILE", help="a Translation-en of Debian")
    parser.add_argument("--teacher", default=TEACHER, metavar="NAME", help=f"model or its folder ({TEACHER})")
    parser.add_argument("--cache", type=Path, default=Path(), metavar="DIR", help="where the teacher's answers are kept (here)")
    parser.add_argument("--out", type=Path, default=FILE, metavar="FILE", help="the table (skills/vectors.bin)")
    options = parser.parse_args(argv)
    teacher = Teacher(options.teacher, options.cache)
    known = teacher.words()
    asked = texts(options.wordnet, options.packages, set(known))
    often = Counter(word for text in asked for word in set(cut(text).words) if word.isascii() and word.isalpha() and len(word) > 1)
    wanted = dict.fromkeys([word for word, count in often.most_common() if count >= OFTEN] + known)
    first_form: dict[str, str] = {}                    # of each stem
    for word in wanted:
        first_form.setdefault(stem(word), word)
    stems = list(first_form)[:WORDS_MAX]
    first = teacher.vectors("words", [first_form[each] for each in stems])
    vectors = distilled({each: number for number, each in enumerate(stems)}, first, asked, teacher.vectors("texts", asked))
    write(options.out, stems, vectors)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
