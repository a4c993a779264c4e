"""Train labeld/language-20 from scratch on the Wortschatz/Leipzig sentences that lingua-py tests with."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from common import (
    Example,
    Plan,
    Training,
    add_common_arguments,
    console,
    length_sorted_batches,
    probabilities,
    read_rows,
    write_folder,
)

CODES = "ja nl ar pl de it pt tr es hi el ur bg en fr zh ru th sw vi"
LANGUAGES = CODES.split()
UNSPACED = {"ja", "zh", "th"}
FOREIGN_SCRIPT = {"ja", "zh", "th", "ar", "ur", "hi", "el", "ru", "bg"}
LATIN = [language for language in LANGUAGES if language not in FOREIGN_SCRIPT]
UNACCENTED = {"de", "el", "es", "fr", "it", "nl", "pl", "pt", "tr", "vi"}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = 7500
LONGEST = 512
# The parts of the hash range: a tenth is only ever measured, a twentieth chooses the epoch, the rest trains.
MEASURED, CHOOSING = 0.10, 0.15
SAMPLES_PER_LANGUAGE = 1500
# Greetings and other everyday words, which newspaper sentences hardly hold and people type first.
EVERYDAY = Path(__file__).with_name("everyday_words.tsv")
INTERNATIONAL = [
    "OK",
    "hotel",
    "taxi",
    "internet",
    "pizza",
    "e-mail",
    "wifi",
    "radio",
    "video",
    "Google",
    "virus",
    "bar",
]
EDGES = ".,;:!?…\"'„“”«»()。、\uff1f\uff01「」؟،।"
WORDS = Regex(r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+")
Sentences = dict[str, list[str]]


def split(path: Path) -> tuple[Sentences, Sentences, Sentences]:
    """Sentences by language to train on, to choose on and to measure on; the same text never lands in two parts."""
    parts: tuple[Sentences, Sentences, Sentences] = (defaultdict(list), defaultdict(list), defaultdict(list))
    seen = set()
    for language, text in read_rows(path, header=False):
        plain = "".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))
        if plain in seen:
            continue
        seen.add(plain)
        place = int.from_bytes(hashlib.sha256(plain.encode()).digest()[:4], "big") / 2**32
        parts[2 if place < MEASURED else 1 if place < CHOOSING else 0][language].append(text)
    return parts


def train_tokenizer(sentences: Sentences) -> Tokenizer:
    """A byte-level BPE that lower-cases: no text is unknown to it, and no script needs spaces."""
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
    most = max(map(len, sentences.values()))
    balanced = (text for language in LANGUAGES for text in (sentences[language] * 3)[:most])
    tokenizer.train_from_iterator(balanced, trainer)
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

    def __init__(self, sentences: Sentences, tokenizer: Tokenizer, per_language: int) -> None:
        self.sentences, self.per_language = sentences, per_language
        self.everyday = {language: words.split() for language, words in read_rows(EVERYDAY, header=False)}
        self.words = {language: distinct_words(sentences[language], language) for language in LANGUAGES}
        self.tokenizers = [tokenizer, tokenizer, coarser(tokenizer, 0.4), coarser(tokenizer, 0.1)]

    def epoch(self, seed: str) -> list[Example]:
        """As many examples of every language, drawn anew from `seed`."""
        rng = random.Random(seed)
        return [self._example(language, rng) for language in LANGUAGES for _ in range(self.per_language)]

    def _example(self, language: str, rng: random.Random) -> Example:
        kind = rng.random()
        if kind < 0.01:
            # Digits and marks alone are no language: the honest answer is an even one.
            text = "".join(rng.choice("0123456789 .,:;-+/!?()€$%&@#…😀👍") for _ in range(rng.randint(1, 12)))
            return Example(self._ids(text, rng), even(LANGUAGES))
        if kind < 0.015:
            return Example(self._ids(rng.choice(INTERNATIONAL), rng), even(LATIN))
        if kind < 0.13:
            return self._mixed(language, rng)
        if kind < 0.137:
            text = " ".join(rng.choices(self.sentences[language], k=rng.randint(3, 9)))
        elif kind < 0.38:
            text = self._text(language, rng)
        elif kind < 0.54 and self.words[language]:
            # Every word of the language as often as any other: the rare ones need it.
            text = rng.choice(self.words[language])
        elif kind < 0.59:
            text = rng.choice(self.everyday[language]).replace("_", " ")
        else:
            text = self._span(language, 1 if kind < 0.68 else 3 if kind < 0.86 else 8, rng)
        return Example(self._ids(self._worn(text, language, rng), rng), one_hot(language))

    def _mixed(self, language: str, rng: random.Random) -> Example:
        """Two languages in one text; each counts for as many tokens as it has."""
        other = rng.choice(LANGUAGES)
        first = self._ids(self._span(language, rng.randint(2, 12), rng), rng)[:-1]
        second = self._ids(self._span(other, rng.randint(2, 12), rng), rng)[1:]
        share = (len(first) - 1) / (len(first) + len(second) - 2)
        target = zip(one_hot(language), one_hot(other), strict=True)
        return Example(first + second, [share * a + (1 - share) * b for a, b in target])

    def _text(self, language: str, rng: random.Random) -> str:
        return rng.choice(self.sentences[language])

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

    def _worn(self, text: str, language: str, rng: random.Random) -> str:
        """The text as hurried people type it: now and then without punctuation, seldom without accents."""
        if rng.random() < 0.4:
            text = text.strip(EDGES)
        if language in UNACCENTED and rng.random() < 0.06:
            unaccented = (mark for mark in unicodedata.normalize("NFD", text) if not unicodedata.combining(mark))
            text = "".join(unaccented).replace("đ", "d").replace("ł", "l")
        return text

    def _ids(self, text: str, rng: random.Random) -> list[int]:
        ids: list[int] = rng.choice(self.tokenizers).encode(text).ids
        return ids if len(ids) <= LONGEST else [*ids[: LONGEST - 1], ids[-1]]


def distinct_words(sentences: list[str], language: str) -> list[str]:
    """The words of some sentences, each once; none where words are not spaced."""
    if language in UNSPACED:
        return []
    words = {word.strip(EDGES).lower() for text in sentences for word in text.split()}
    return sorted(word for word in words if word.isalpha() and (language not in FOREIGN_SCRIPT or not word.isascii()))


def one_hot(language: str) -> list[float]:
    """A one for this language, zeros for the others."""
    return even([language])


def even(languages: list[str]) -> list[float]:
    """Equal shares for these languages, zeros for the others."""
    return [(other in languages) / len(languages) for other in LANGUAGES]


def new_model(tokenizer: Tokenizer) -> BertForSequenceClassification:
    """A small BERT with random weights; positions start at zero, so that rarely seen ones stay harmless."""
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=LONGEST,
        attention_probs_dropout_prob=0.0,
    )
    config.num_labels = len(LANGUAGES)
    model = BertForSequenceClassification(config)
    nn.init.zeros_(model.bert.embeddings.position_embeddings.weight)
    return model


def config_of(model: BertForSequenceClassification) -> dict[str, Any]:
    """The config as the folder says it, without the fields that only repeat a default."""
    names = "hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings vocab_size"
    names += " type_vocab_size hidden_act layer_norm_eps hidden_dropout_prob attention_probs_dropout_prob"
    names += " initializer_range pad_token_id"
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        **{name: getattr(model.config, name) for name in names.split()},
        "id2label": {str(index): language for index, language in enumerate(LANGUAGES)},
        "label2id": {language: index for index, language in enumerate(LANGUAGES)},
        "problem_type": "single_label_classification",
        "dtype": "float32",
    }


def train(args: argparse.Namespace, plan: Plan) -> None:
    """Train tokenizer and model, choose the epoch on its own slice, and write the folder."""
    training, choosing, _ = split(args.data / "sentences.tsv")
    per_language = min(SAMPLES_PER_LANGUAGE, (args.limit or 10**9) // len(LANGUAGES))
    tokenizer = train_tokenizer(training)
    sampler = Sampler(training, tokenizer, per_language)
    rows = [tokenizer.encode(text).ids[:LONGEST] for language in LANGUAGES for text in choosing[language]]
    answers = torch.tensor([LANGUAGES.index(language) for language in LANGUAGES for _ in choosing[language]])
    console.print(f"{sum(map(len, training.values()))} sentences to train on, {len(rows)} to choose on")

    def batches_of(epoch: int) -> list[list[Example]]:
        seed = f"{plan.seed}-{epoch}"
        return length_sorted_batches(sampler.epoch(seed), plan.batch, random.Random(seed))

    def score(model: nn.Module) -> float:
        return float((probabilities(model, rows).argmax(-1) == answers).float().mean())

    torch.manual_seed(plan.seed)
    model = new_model(tokenizer)
    steps = -(-per_language * len(LANGUAGES) // plan.batch)
    checkpoint = args.out.with_name(args.out.name + ".checkpoint")
    run = Training(model, plan, steps, model.config.num_hidden_layers, checkpoint)
    weights = run.run(batches_of, score, args.checkpoint_every)
    write_folder(args.out, weights, config_of(model), tokenizer)


def main() -> None:
    """Read the command line, then train or evaluate."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="DATA holds sentences.tsv, rows of language TAB text without a header. Ctrl-C saves; the same command "
        "goes on from there. The held-out tenth is read only by evaluate.py.",
    )
    add_common_arguments(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--epochs", type=int, default=6, help="times 30,000 drawn texts (default: 6)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    plan = Plan(
        seed=args.seed,
        epochs=args.epochs,
        batch=64,
        learning_rate=2e-3,
        warm_up=0.05,
        weight_decay=0.01,
        layer_decay=1.0,
        smoothing=0.05,
        average=0.999,
    )
    train(args, plan)


if __name__ == "__main__":
    main()
