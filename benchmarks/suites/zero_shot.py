"""Zero-shot classification: texts with 20 labels each, over transformers' pipeline in torch on the same threads."""

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post_json
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.rounds import in_turn
from benchmarks.lib.server import Server
from benchmarks.lib.synthetic_models import SyntheticModel
from benchmarks.lib.texts import english
from benchmarks.suites.peak import matrices_alone, products_alone
from benchmarks.suites.rerank import OURS, ROUNDS
from labeld.system.cpu import usable_cores

BAR, SCORES_BAR = 4.0, 1e-5
LABELS = (
    *("sports", "politics", "science", "cooking", "travel", "music", "film", "health", "money", "weather"),
    *("law", "school", "animals", "technology", "religion", "history", "fashion", "gardening", "traffic", "art"),
)
PIPELINE = "transformers' pipeline"
HYPOTHESIS = "This example is {}."
"""The pipeline's own, and labeld's."""
NLI = ("contradiction", "entailment", "neutral")

Scores = dict[str, float]
"""By label."""


def measure(plan: Plan) -> list[Figure]:
    """Texts per second in alternating rounds, float32, and the largest difference of a score, of each kind of model."""
    import torch  # noqa: PLC0415  # a second, and nobody else needs it

    torch.set_num_threads(usable_cores())
    with_data = [synthetic_models.BART, synthetic_models.DEBERTA_NLI] if plan.data else []
    return [figure for model in (synthetic_models.BERT, *with_data) for figure in _measure(plan, model)]


def _measure(plan: Plan, model: SyntheticModel) -> list[Figure]:
    from transformers import pipeline  # noqa: PLC0415

    folder = model_folders.folder(plan, model)
    reference = pipeline("zero-shot-classification", model=str(folder), device="cpu")
    config = reference.model.config
    config.id2label, config.label2id = dict(enumerate(NLI)), {name: number for number, name in enumerate(NLI)}
    texts = random.Random(7).sample(english(plan.data), 2 if plan.quick else 8)
    old = json.loads((folder / "config.json").read_text())["id2label"]
    with TemporaryDirectory() as temporary:
        file = Path(temporary) / "labeld.yaml"
        rename = {old[str(number)]: name for number, name in enumerate(NLI)}
        file.write_text(json.dumps({"models": {"nli": {"model": model.model_id, "rename": rename}}}))
        options = ("--config", str(file), "--models-dir", str(model_folders.models_dir(plan)))
        with ExitStack() as stack:
            ways: dict[str, Callable[[str], Scores]] = {}
            for name, flags in OURS.items():
                server = stack.enter_context(Server("nli", *options, *flags, cache=plan.cache))
                ways[name] = partial(_asked, server.port)

            def theirs(text: str) -> Scores:
                found = reference(text, list(LABELS))
                return dict(zip(found["labels"], found["scores"], strict=True))

            ways[PIPELINE] = theirs
            peaks = [matrices_alone(model.config, usable_cores(), quick=plan.quick)]
            cases = {name: partial(_timed, ask, texts) for name, ask in ways.items()}
            rounds = in_turn(plan, f"zero-shot: {model.name}", cases, ROUNDS)
            peaks.append(matrices_alone(model.config, usable_cores(), quick=plan.quick))
    times = {name: [seconds for seconds, _ in found] for name, found in rounds.items()}
    [*own, [_, right]] = [found[0] for found in rounds.values()]
    largest = max(
        abs(a[label] - b[label]) for _, found in own for a, b in zip(found, right, strict=True) for label in LABELS
    )
    tokenizer: Any = reference.tokenizer
    lengths = [len(tokenizer(text, HYPOTHESIS.format(label)).input_ids) for text in texts for label in LABELS]
    detail = {f"{name}_s": summary(found) for name, found in times.items()} | {"texts": len(texts)}
    return [
        *(
            Figure(
                "zero-shot",
                f"{model.name}, texts/s of {name} over {PIPELINE}",
                median(b / a for a, b in zip(times[name], times[PIPELINE], strict=True)),
                "x",
                BAR,
                "at least",
                detail,
            )
            for name in OURS
        ),
        products_alone("zero-shot", model, median(times[PIPELINE]), lengths, peaks),
        Figure("zero-shot", f"{model.name}, largest difference of a score", largest, "", SCORES_BAR),
    ]


def _asked(port: int, text: str) -> Scores:
    """The score of each label by a server, on a connection of its own: between two rounds one would be closed."""
    body = {"inputs": text, "parameters": {"candidate_labels": list(LABELS)}}
    with Connection(port) as connection:
        status, reply = connection.ask(post_json("/models/nli", body))
    assert status == 200, reply
    return {one["label"]: one["score"] for one in json.loads(reply)}


def _timed(ask: Callable[[str], Scores], texts: list[str]) -> tuple[float, list[Scores]]:
    began = time.perf_counter()
    answers = [ask(text) for text in texts]
    return time.perf_counter() - began, answers
