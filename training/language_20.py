"""Train labeld/language-20 from scratch: newspaper, everyday and treebank sentences, and lists of words.

What is trained is a linear model: each piece of the vocabulary has a score for every language, and a text has the mean
of its pieces. `language_bert.py` writes it as a BERT, so that whatever loads BERT loads it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import unicodedata
from functools import partial
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy

from common import (
    Example,
    Plan,
    Training,
    add_common_arguments,
    console,
    cut,
    length_sorted_batches,
    logits,
    read_rows,
    right_share,
    write_folder,
)
from language_bert import LONGEST, PieceScores, as_bert, config_of
from language_texts import (
    FOREIGN_SCRIPT,
    LANGUAGES,
    LATIN,
    SOURCES,
    UNSPACED,
    Parts,
    Sentences,
    Words,
    even,
    one_hot,
    read_sources,
)
from language_wear import worn

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = 40_000

SAMPLES_PER_LANGUAGE = 3000
TEXTS_FOR_TOKENIZER = 2000
# Greetings and other everyday words, which newspaper sentences hardly hold and people type first.
EVERYDAY = Path(__file__).with_name("everyday_words.tsv")
INTERNATIONAL = "OK hotel taxi internet pizza e-mail wifi radio video Google virus bar".split()  # noqa: SIM905
WORDS = Regex(r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+")


def train_tokenizer(sentences: Sentences, words: Words) -> Tokenizer:
    """A byte-level BPE that lower-cases: no text is unknown to it, and no script needs spaces.

    It is trained on as many sentences of every language, and on words drawn as usual as they are.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    rng = random.Random(0)
    balanced = [text for language in LANGUAGES for text in rng.choices(sentences[language], k=TEXTS_FOR_TOKENIZER)]
    listed = [
        " ".join(words.draw(language, 12, rng))
        for language in LANGUAGES
        for _ in range(TEXTS_FOR_TOKENIZER if words.of[language] else 0)
    ]
    tokenizer.train_from_iterator([*balanced, *listed], trainer)
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return tokenizer


def coarser(tokenizer: Tokenizer, share: float) -> Tokenizer:
    """A copy of the tokenizer with only the first merges, so that words also come in small pieces while training."""
    state = Tokenizer.from_str(tokenizer.to_str())
    vocabulary = tokenizer.get_vocab()
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    state.model = models.BPE(vocabulary, [tuple(pair) for pair in merges[: int(len(merges) * share)]])
    return state


class Sampler:
    """Draws training texts: whole sentences, a few words, long passages, and two languages in one text."""

    def __init__(self, parts: dict[str, Parts], words: Words, tokenizer: Tokenizer, per_language: int) -> None:
        self.per_language, self.words = per_language, words
        self.sources = {
            language: [(SOURCES[name].weight, part.training[language]) for name, part in parts.items()]
            for language in LANGUAGES
        }
        self.everyday = {language: words.split() for language, words in read_rows(EVERYDAY, header=False)}
        self.tokenizers = [tokenizer, tokenizer, coarser(tokenizer, 0.4), coarser(tokenizer, 0.1)]

    def epoch(self, seed: str) -> list[Example]:
        """Examples of every language, drawn anew from `seed`."""
        rng = random.Random(seed)
        return [self._example(language, rng) for language in LANGUAGES for _ in range(self._count(language))]

    def _count(self, language: str) -> int:
        """Half as many where the script alone tells most."""
        return self.per_language // 2 if language in FOREIGN_SCRIPT else self.per_language

    def per_epoch(self) -> int:
        """Examples of an epoch."""
        return sum(map(self._count, LANGUAGES))

    def _example(self, language: str, rng: random.Random) -> Example:
        kind = rng.random()
        if kind < 0.01:
            # Digits and marks alone are no language: the honest answer is an even one.
            text = "".join(rng.choice("0123456789 .,:;-+/!?()€$%&@#…😀👍") for _ in range(rng.randint(1, 12)))
            return Example(self._ids(text, rng), even(LANGUAGES))
        if kind < 0.015:
            return Example(self._ids(rng.choice(INTERNATIONAL), rng), even(LATIN))
        if kind < 0.09:
            return self._mixed(language, rng)
        if kind < 0.24 and self.words.of[language]:
            (word,) = self.words.draw(language, 1, rng)
            return Example(self._ids(worn(word, language, rng), rng), self.words.share(word, language))
        if kind < 0.28 and self.words.of[language]:
            glue = "" if language in UNSPACED else " "
            text = glue.join(self.words.draw(language, rng.randint(2, 5), rng))
        elif kind < 0.29:
            text = " ".join(self._text(language, rng) for _ in range(rng.randint(3, 9)))
        elif kind < 0.60:
            text = self._text(language, rng)
        elif kind < 0.66:
            text = rng.choice(self.everyday[language]).replace("_", " ")
        else:
            text = self._span(language, 1 if kind < 0.72 else 3 if kind < 0.87 else 8, rng)
        return Example(self._ids(worn(text, language, rng), rng), one_hot(language))

    def _mixed(self, language: str, rng: random.Random) -> Example:
        """Two languages in one text; each counts for as many tokens as it has."""
        other = rng.choice(LANGUAGES)
        first = self._ids(self._span(language, rng.randint(2, 12), rng), rng)[:-1]
        second = self._ids(self._span(other, rng.randint(2, 12), rng), rng)[1:]
        share = (len(first) - 1) / max(1, len(first) + len(second) - 2)
        target = zip(one_hot(language), one_hot(other), strict=True)
        return Example(first + second, [share * a + (1 - share) * b for a, b in target])

    def _text(self, language: str, rng: random.Random) -> str:
        """A sentence of one of the sources that have this language."""
        weights = [weight if sentences else 0.0 for weight, sentences in self.sources[language]]
        (sentences,) = rng.choices([sentences for _, sentences in self.sources[language]], weights)
        return rng.choice(sentences)

    def _span(self, language: str, longest: int, rng: random.Random) -> str:
        """Some neighbouring words of a sentence; some characters where a language has no spaces."""
        text = self._text(language, rng)
        if language in UNSPACED:
            longest *= 4
            pieces, glue = [mark for mark in text if unicodedata.category(mark)[0] in "LM"], ""
        else:
            pieces, glue = text.split(), " "
            if longest == 1:
                pieces = [word for word in pieces if re.search(r"[^\W\d]", word)]
        length = rng.randint(1, longest)
        start = rng.randint(0, max(0, len(pieces) - length))
        span = glue.join(pieces[start : start + length])
        # A Latin word out of an Urdu sentence says nothing about Urdu.
        return span if span and (language not in FOREIGN_SCRIPT or not span.isascii()) else text

    def _ids(self, text: str, rng: random.Random) -> list[int]:
        ids: list[int] = rng.choice(self.tokenizers).encode(text).ids
        return cut(ids, LONGEST)


def joined(parts: dict[str, Parts]) -> Sentences:
    """The training sentences of all sources by language."""
    return {language: [text for part in parts.values() for text in part.training[language]] for language in LANGUAGES}


def sharpness(scores: torch.Tensor, answers: torch.Tensor) -> float:
    """The factor of the logits (texts, labels) that makes the answers likeliest: means of many pieces are too even."""
    factors = [1 + step / 20 for step in range(60)]
    return min(factors, key=lambda factor: float(cross_entropy(scores * factor, answers)))


def train(args: argparse.Namespace, plan: Plan) -> None:
    """Train tokenizer and model, choose the epoch on its own slice, and write the folder."""
    parts = read_sources(args.data)
    per_language = min(SAMPLES_PER_LANGUAGE, (args.limit or 10**9) // len(LANGUAGES))
    sentences = joined(parts)
    words = Words(sentences)
    tokenizer = train_tokenizer(sentences, words)
    sampler = Sampler(parts, words, tokenizer, per_language)
    chosen = [(language, text) for part in parts.values() for language in LANGUAGES for text in part.choosing[language]]
    rows = [tokenizer.encode(text).ids[:LONGEST] for _, text in chosen]
    answers = torch.tensor([LANGUAGES.index(language) for language, _ in chosen])
    console.print(f"{sum(map(len, sentences.values()))} sentences to train on, {len(rows)} to choose on")

    def batches_of(epoch: int) -> list[list[Example]]:
        seed = f"{plan.seed}-{epoch}"
        return length_sorted_batches(sampler.epoch(seed), plan.batch, random.Random(seed))

    model = PieceScores(tokenizer.get_vocab_size(), len(LANGUAGES))
    steps = -(-sampler.per_epoch() // plan.batch)
    checkpoint = args.out.with_name(args.out.name + ".checkpoint")
    loss = partial(cross_entropy, label_smoothing=plan.smoothing)
    run = Training(model, plan, loss, steps, checkpoint)
    weights = run.run(batches_of, right_share(rows, answers), args.checkpoint_every)
    model.load_state_dict(weights)
    rng = random.Random(plan.seed)
    words_of = [tokenizer.encode(rng.choice(text.split())).ids[:LONGEST] for _, text in chosen]
    factor = sharpness(logits(model, rows + words_of), answers.repeat(2))
    console.print(f"scores times {factor}, which fits the sentences to choose on and a word of each best")
    bert = as_bert(weights["scores.weight"] * factor, tokenizer.get_vocab_size())
    write_folder(args.out, bert.state_dict(), config_of(bert), tokenizer)


def main() -> None:
    """Read the command line, then train or evaluate."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="DATA holds sentences.tsv, tatoeba_train.tsv and ud_sentences.tsv, rows of language TAB text. "
        "Ctrl-C saves; the same command goes on from there. What is held out is read only by evaluate.py.",
    )
    add_common_arguments(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--epochs", type=int, default=5, help="times 46,500 drawn texts (default: 5)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=args.seed,
        epochs=args.epochs,
        batch=128,
        learning_rate=5e-2,
        warm_up=0.05,
        weight_decay=0.0,
        layer_decay=1.0,
        smoothing=0.05,
        average=0.999,
        bfloat16=False,
    )
    train(args, plan)


if __name__ == "__main__":
    main()
