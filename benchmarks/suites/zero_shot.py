"""Zero-shot classification: texts with 20 labels each, over transformers' pipeline in torch on the same threads."""

import json
import random
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post_json
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server
from benchmarks.lib.synthetic_models import SyntheticModel
from benchmarks.lib.texts import english
from benchmarks.suites.peak import float32_peak, operations
from labeld.system.cpu import usable_cores

BAR, SCORES_BAR = 4.0, 1e-5
LABELS = (
    *("sports", "politics", "science", "cooking", "travel", "music", "film", "health", "money", "weather"),
    *("law", "school", "animals", "technology", "religion", "history", "fashion", "gardening", "traffic", "art"),
)
HYPOTHESIS = "This example is {}."
"""The pipeline's own, and labeld's."""
NLI = ("contradiction", "entailment", "neutral")


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
        with Server("nli", *options, cache=plan.cache) as server, Connection(server.port) as connection:

            def ours(text: str) -> Any:
                body = {"inputs": text, "parameters": {"candidate_labels": list(LABELS)}}
                status, reply = connection.ask(post_json("/models/nli", body))
                assert status == 200, reply
                return {one["label"]: one["score"] for one in json.loads(reply)}

            def theirs(text: str) -> Any:
                found = reference(text, list(LABELS))
                return dict(zip(found["labels"], found["scores"], strict=True))

            times: dict[Any, list[float]] = {ours: [], theirs: []}
            largest = 0.0
            peaks: list[tuple[float, str]] = []
            for number in plan.progress.track(range(2 if plan.quick else 6), description=f"zero-shot: {model.name}"):
                peaks.append(float32_peak(usable_cores(), quick=plan.quick))
                for ask in (ours, theirs):
                    began = time.perf_counter()
                    answers = [ask(text) for text in texts]
                    if number:  # the first round is a warm-up
                        times[ask].append(time.perf_counter() - began)
                    if ask is ours:
                        own = answers
                differences = (abs(a[label] - b[label]) for a, b in zip(own, answers, strict=True) for label in LABELS)
                largest = max(largest, *differences)
    peak, shape = max(peaks)
    lengths = [len(reference.tokenizer(text, HYPOTHESIS.format(label)).input_ids) for text in texts for label in LABELS]
    least = sum(operations(config.to_dict(), tokens)[0] for tokens in lengths) / peak
    detail = {"labeld_s": summary(times[ours]), "transformers_s": summary(times[theirs]), "texts": len(texts)}
    how = {"product": shape, "gflops": peak / 1e9, "pairs": len(lengths), "tokens": sum(lengths), "least_s": least}
    ratio = median(times[theirs]) / median(times[ours])
    return [
        Figure("zero-shot", f"{model.name}, over transformers' pipeline", ratio, "", BAR, "at least", detail=detail),
        Figure(
            "zero-shot",
            f"{model.name}, the same of products alone, at the fastest that one float32 product ran here",
            median(times[theirs]) / least,
            "x",
            detail=how,
        ),
        Figure("zero-shot", f"{model.name}, largest difference of a score", largest, "", SCORES_BAR),
    ]
