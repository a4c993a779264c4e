"""A student begins with what its teacher knows."""

from typing import Any

import pytest
import torch
import transformers

from labeld.distillation.plan import Plan
from labeld.distillation.student import FAMILIES, evenly_spaced, make_student
from labeld.errors import InvalidRequestError

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "num_labels": 3,
}
IDS = torch.tensor([[2, 9, 17, 33, 3], [2, 40, 41, 5, 3]])


def teacher(family: str, **changes: Any) -> Any:
    """A small model of this model_type with seeded weights."""
    torch.manual_seed(3)
    shape: dict[str, Any] = SHAPE | {"pad_token_id": 0} | changes
    if family == "distilbert":
        shape |= {"hidden_dim": shape.pop("intermediate_size")}
    config = transformers.AutoConfig.for_model(family, **shape)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def logits(model: Any) -> torch.Tensor:
    """Float32 [2, 3] of two texts."""
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS).logits
    return found


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_student_with_all_layers_is_its_teacher(family: str) -> None:
    """With every layer and every neuron the answers are the teacher's own, in each family."""
    model = teacher(family)

    assert torch.equal(logits(model), logits(make_student(model, Plan(layers=4))))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_neurons_that_do_nothing_are_left_out(family: str) -> None:
    """Where half of a teacher's neurons give nothing, a student with the other half answers as the teacher does."""
    model = teacher(family)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.shape == (16, 24):
                assert ".layer." in name
                tensor[:, ::2] = 0

    student = make_student(model, Plan(layers=4, intermediate_size=12))

    assert torch.allclose(logits(model), logits(student), atol=1e-5)
    assert sum(one.numel() for one in student.parameters()) < sum(one.numel() for one in model.parameters())


def test_a_student_is_the_teacher_without_the_layers_left_out() -> None:
    """Two of four layers are the first and the last: a teacher whose middle ones change nothing answers the same."""
    model = teacher("bert", intermediate_size=20)
    layers = model.bert.encoder.layer
    student = make_student(model, Plan(layers=2))
    del layers[1:3]

    assert torch.equal(logits(model), logits(student))


def test_layers_are_evenly_spaced() -> None:
    """They go from the first to the last."""
    assert [0] == evenly_spaced(6, 1)
    assert [0, 5] == evenly_spaced(6, 2)
    assert [0, 4, 7, 11] == evenly_spaced(12, 4)
    assert [0, 1, 2] == evenly_spaced(3, 3)


def test_a_network_as_wide_as_the_model_is_pruned() -> None:
    """Neurons are found where both sides of a matrix have the same size, too."""
    model = teacher("bert", intermediate_size=16)
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.output.dense.weight[:, :8] = 0

    assert torch.allclose(logits(model), logits(make_student(model, Plan(layers=4, intermediate_size=8))), atol=1e-5)


@pytest.mark.parametrize(
    ("family", "plan", "sentence"),
    [
        ("bert", Plan(layers=5), "--layers is 5, but the model has 4"),
        ("bert", Plan(layers=1, intermediate_size=25), "--intermediate-size is 25, but the model has 24"),
        ("distilbert", Plan(layers=1, intermediate_size=25), "--intermediate-size is 25, but the model has 24"),
        ("albert", Plan(layers=1), "model_type 'albert' cannot be distilled"),
    ],
)
def test_an_impossible_student_is_refused(family: str, plan: Plan, sentence: str) -> None:
    """One sentence says what the teacher has."""
    with pytest.raises(InvalidRequestError, match=sentence):
        make_student(teacher(family), plan)


@pytest.mark.parametrize(
    ("member", "value"),
    [("layers", 0), ("epochs", 0), ("batch_size", 0), ("intermediate_size", 0), ("learning_rate", 0), ("held_out", 1)],
)
def test_an_impossible_plan_is_refused(member: str, value: int) -> None:
    """The sentence names the flag and what it was given."""
    with pytest.raises(InvalidRequestError, match=f"--{member.replace('_', '-')} is {value}, but must be"):
        Plan(**{"layers": 1} | {member: value})  # type: ignore[arg-type]  # each by its own type
