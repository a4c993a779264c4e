"""Parity: probabilities equal to transformers' in float32, for each text alone and packed with others."""

import random
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib import model_folders
from benchmarks.lib.engine_only import batches
from benchmarks.lib.reference import library
from benchmarks.lib.report import Figure, Plan
from benchmarks.lib.seeded_faults import FAULTS, seeded
from benchmarks.lib.texts import pairs, sentences
from labeld.lifecycle.model import LoadOptions, Model, load_model
from labeld.repository.folders import BUNDLED
from labeld.scoring import FUNCTIONS
from labeld.system.cpu import usable_cores
from labeld.types import EncodedText, Parameters, Text

BAR = 1e-5
TIE = 1e-6
"""Labels whose probabilities are this close may come in either order."""
SENTENCES, PAIRS = 500, 100
BUDGET = 256
FAULT_STEP = 3
"""A seeded fault is looked for in every third text."""
LEAST_SPREAD = 0.5
"""How much the probability of one label must differ between two texts: else the bar could be met by chance."""
LONGEST = 200
"""Tokens of a text; longer ones are left out, to keep packed and alone comparable in time."""

Rows = NDArray[np.float32]
"""Logits or probabilities, float32 [texts, labels]."""


class Difference(NamedTuple):
    """How far two sets of logits are apart."""

    probability: float
    logit: float
    misordered: int
    """Texts whose labels come in another order, ties excepted."""

    @property
    def acceptable(self) -> bool:
        """The check itself: it must fail with every seeded fault."""
        return self.probability <= BAR and self.misordered == 0


class Case(NamedTuple):
    """One model, its texts, and what transformers says of them."""

    name: str
    folder: Path
    texts: list[EncodedText]
    reference: Rows
    sentences: int
    same_ids: int
    """Texts that both tokenise alike."""


def measure(plan: Plan) -> list[Figure]:
    """Largest difference for every model, and for every synthetic model whether each seeded fault is noticed."""
    found = []
    for name, folder, is_synthetic in _models(plan):
        case = _case(plan, name, folder)
        found += _agreement(plan, case)
        if is_synthetic:
            spread = _spread(case.reference, _load(plan, folder))
            found.append(Figure("parity", f"{name}: spread", spread, "", LEAST_SPREAD, "at least"))
            found += _faults(plan, case)
    return found


def compare(reference: Rows, ours: Rows, model: Model) -> Difference:
    """Both as probabilities, by the model's own function."""
    apply = FUNCTIONS[model.config.default_function]
    expected, actual = (np.array([apply(row) for row in rows]) for rows in (reference, ours))
    before = expected[:, :, None] - expected[:, None, :] > TIE
    misordered = (before & (actual[:, :, None] < actual[:, None, :])).any((1, 2)).sum()
    return Difference(float(np.abs(expected - actual).max()), float(np.abs(reference - ours).max()), int(misordered))


def _models(plan: Plan) -> list[tuple[str, Path, bool]]:
    made = [(f"{one.name} (synthetic)", model_folders.folder(plan, one), True) for one in model_folders.available(plan)]
    bundled = [(f"bundled {path.parent.name}", path.parent, False) for path in sorted(BUNDLED.glob("*/*/config.json"))]
    return made + bundled


def _load(plan: Plan, folder: Path) -> Model:
    return load_model("benchmark", folder, LoadOptions(usable_cores(), 1, 1 << 20, 4096, plan.cache / "labeld"))


def _case(plan: Plan, name: str, folder: Path) -> Case:
    """Encodes the texts as labeld does, and asks transformers, one text at a time and so without any padding."""
    encoder = _load(plan, folder).encoder
    fitting = [one for one in sentences(plan.data) if len(encoder.encode([Text(one)], Parameters())[0].ids) <= LONGEST]
    count = 20 if plan.quick else SENTENCES
    singles = [Text(one) for one in fitting[:count]]
    texts = singles + pairs([one.text for one in singles], 5 if plan.quick else PAIRS)
    encoded = encoder.encode(texts, Parameters())
    transformers = library()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    takes_types = "token_type_ids" in signature(network.forward).parameters
    rows: list[Any] = []
    same_ids = 0
    with torch.no_grad():
        for text, ours in plan.progress.track(
            list(zip(texts, encoded, strict=True)), description=f"{name}: transformers"
        ):
            theirs = tokenizer(text.text, text.pair, return_tensors="pt")
            if not takes_types:
                theirs.pop("token_type_ids", None)
            same_ids += theirs["input_ids"][0].tolist() == ours.ids.tolist()
            rows.append(network(**theirs).logits[0].numpy())
    return Case(name, folder, encoded, np.array(rows), len(singles), same_ids)


def _agreement(plan: Plan, case: Case) -> list[Figure]:
    """Alone and packed, each with its figures."""
    model = _load(plan, case.folder)
    found = []
    for how, budget in (("alone", 1), ("packed", BUDGET)):
        rows = _run(plan, model, case.texts, budget, f"{case.name}: {how}")
        difference = compare(case.reference, rows, model)
        detail = {
            "max_logit_difference": difference.logit,
            "misordered": difference.misordered,
            "same_ids": f"{case.same_ids}/{len(case.texts)}",
            "texts": f"{case.sentences}+{len(case.texts) - case.sentences} pairs",
        }
        name = f"{case.name}, {how}"
        found.append(Figure("parity", name, difference.probability, "max probability difference", BAR, detail=detail))
        found.append(Figure("parity", f"{name}: order", difference.misordered, "texts misordered", 0))
    return found


def _spread(logits: Rows, model: Model) -> float:
    """How much the probability of one label differs between texts, at most."""
    apply = FUNCTIONS[model.config.default_function]
    return float(np.ptp([apply(row) for row in logits], axis=0).max())


def _faults(plan: Plan, case: Case) -> list[Figure]:
    """One figure per seeded fault: whether the check notices it, on some of the texts."""
    found = []
    texts, reference = case.texts[::FAULT_STEP], case.reference[::FAULT_STEP]
    for fault in FAULTS:
        with seeded(fault):
            model = _load(plan, case.folder)
        rows = _run(plan, model, texts, BUDGET, f"{case.name}: {fault}")
        difference = compare(reference, rows, model)
        detail = {"max_probability_difference": difference.probability, "misordered": difference.misordered}
        noticed = float(not difference.acceptable)
        found.append(
            Figure("parity", f"{case.name}, seeded fault: {fault}", noticed, "noticed", 1, "at least", detail=detail)
        )
    return found


def _run(plan: Plan, model: Model, texts: Sequence[EncodedText], budget: int, what: str) -> Rows:
    """Logits in the order of the texts, which are packed in another order, so that neighbours are arbitrary."""
    shuffled = random.Random(budget).sample(texts, len(texts))
    order = {id(text): index for index, text in enumerate(texts)}
    rows = np.zeros((len(texts), len(model.config.labels)), np.float32)
    for batch in plan.progress.track(batches(shuffled, budget), description=what):
        rows[[order[id(text)] for text in batch]] = model.engine.run(batch)
    return rows
