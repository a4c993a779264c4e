"""A student's model: some of its teacher's layers, with the most used of their neurons."""

import copy
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from labeld.distillation.plan import Plan
from labeld.errors import InvalidRequestError

FAMILIES = frozenset({"bert", "camembert", "deberta-v2", "distilbert", "electra", "roberta", "xlm-roberta"})
"""model_type of teachers whose layers are a list of alike ones, each with one plain feed-forward network."""

LAYER = re.compile(r"(?<=\.layer\.)\d+(?=\.)")
"""The number of a layer in the name of a tensor, in all of FAMILIES."""


def make_student(teacher: Any, plan: Plan) -> Any:
    """A transformers model of the plan's shape, which begins with its teacher's weights.

    Its layers are the teacher's, evenly spaced from the first to the last. Of each feed-forward network those neurons
    stay whose weights are the largest: the product of the norms of what goes in and of what goes out.

    Raises InvalidRequestError for a teacher of another family, or a student that is larger than its teacher.
    """
    config = copy.deepcopy(teacher.config)
    if config.model_type not in FAMILIES:
        raise InvalidRequestError(
            f"A model of model_type {config.model_type!r} cannot be distilled: name one of "
            f"{', '.join(sorted(FAMILIES))}."
        )
    width = "hidden_dim" if config.model_type == "distilbert" else "intermediate_size"
    for flag, asked, has in (
        ("layers", plan.layers, config.num_hidden_layers),
        ("intermediate-size", plan.intermediate_size or 1, getattr(config, width)),
    ):
        if asked > has:
            raise InvalidRequestError(f"--{flag} is {asked}, but the model has {has}: a student has that or less.")
    chosen = evenly_spaced(config.num_hidden_layers, plan.layers)
    config.num_hidden_layers = plan.layers
    if plan.intermediate_size is not None:
        setattr(config, width, plan.intermediate_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        student = type(teacher)(config)
    known = teacher.state_dict()
    state = {}
    of_layers: dict[str, list[tuple[str, torch.Tensor, int]]] = defaultdict(list)
    for name, tensor in student.state_dict().items():
        layer = LAYER.search(name)
        old = known[name if layer is None else f"{name[: layer.start()]}{chosen[int(layer[0])]}{name[layer.end() :]}"]
        state[name] = old.clone()
        if layer is not None and old.shape != tensor.shape:
            across = 0 if old.shape[0] != tensor.shape[0] else 1
            of_layers[name[: layer.end()]].append((name, old, across))
    for cut in of_layers.values():
        neurons = _most_used(cut, getattr(config, width))
        state |= {name: old.index_select(across, neurons) for name, old, across in cut}
    student.load_state_dict(state)
    return student


def evenly_spaced(layers: int, wanted: int) -> list[int]:
    """Positions of `wanted` of `layers` layers, with the first and the last among them; of one, the first."""
    return [round(index * (layers - 1) / max(1, wanted - 1)) for index in range(wanted)]


def _most_used(cut: Sequence[tuple[str, torch.Tensor, int]], wanted: int) -> torch.Tensor:
    """The neurons to keep, int64 [wanted], ascending, of a layer's tensors that have one in each row (0) or column (1).

    They are the weights into the network, [neurons, width], their bias, and the weights out of it, [width, neurons].
    """
    into = next(tensor for _, tensor, across in cut if tensor.ndim == 2 and across == 0)
    out = next(tensor for _, tensor, across in cut if across == 1)
    largest: torch.Tensor = (into.norm(dim=1) * out.norm(dim=0)).topk(wanted).indices
    return largest.sort().values
