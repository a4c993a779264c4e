"""Shared by the recipes: reading data, the training loop that resumes, and writing a Hugging Face folder."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import save_file
from torch import nn

if TYPE_CHECKING:
    import argparse
    import random
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from tokenizers import Tokenizer

console = Console(highlight=False)

KEPT_BITS = 5
"""Bits after the leading one of a matrix's weights: an error of 1.6 % of each at most, about that of int8."""

FAST_TO_TRAIN = "eager"
"""transformers' attention whose gradient is quick on a processor: of scaled_dot_product_attention's that of short rows
took two thirds of a step (torch 2.13, bfloat16)."""

Weights = dict[str, torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The loss of float32 logits against targets, both (batch, labels), as a scalar."""


@dataclass(frozen=True)
class Example:
    """One text as token ids, with a probability for every label (a plain label is a one among zeros)."""

    ids: list[int]
    target: list[float]


@dataclass(frozen=True)
class Plan:
    """Hyperparameters of a training run: every number that changes the result."""

    seed: int
    epochs: int
    learning_rate: float
    layer_decay: float
    average: float
    average_every: int = 4
    batch: int = 64
    warm_up: float = 0.06
    weight_decay: float = 0.01
    smoothing: float = 0.0
    bfloat16: bool = True
    """Whether matrices are multiplied in bfloat16, which is faster for large ones; weights stay float32."""


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that every recipe has."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the public data set")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write the model to")
    parser.add_argument("--threads", type=int, default=2, help="processor threads to use (default: 2)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only N training texts: a quick trial of the recipe")
    parser.add_argument(
        "--checkpoint-every", type=int, default=200, metavar="N", help="steps between checkpoints (default: 200)"
    )


def cut(ids: list[int], longest: int) -> list[int]:
    """At most so many of a text's token ids, the last one included."""
    return ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]]


def length_sorted_batches(examples: Sequence[Example], size: int, rng: random.Random) -> list[list[Example]]:
    """Shuffle, then sort by length within stretches of 50 batches: little padding, and still a random order."""
    order = list(examples)
    rng.shuffle(order)
    stretch = size * 50
    batches = []
    for start in range(0, len(order), stretch):
        part = sorted(order[start : start + stretch], key=lambda example: len(example.ids))
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    rng.shuffle(batches)
    return batches


def padded(rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Token ids as the two tensors that a BERT model takes; the padding id is 0 in every vocabulary."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


@torch.no_grad()
def logits(model: nn.Module, rows: Sequence[Sequence[int]], batch: int = 64) -> torch.Tensor:
    """The float32 logits of every label for every row of token ids, (rows, labels), in the order given."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    parts = []
    for start in range(0, len(order), batch):
        inputs = padded([rows[index] for index in order[start : start + batch]])
        parts.append(model(**inputs).logits.float())
    result = torch.empty(len(rows), parts[0].shape[1])
    result[torch.tensor(order)] = torch.cat(parts)
    return result


def right_share(rows: Sequence[Sequence[int]], answers: torch.Tensor) -> Callable[[nn.Module], float]:
    """A score for `Training.run`: the share of the rows of token ids whose best label is the answer, (rows,)."""
    return lambda model: float((logits(model, rows).argmax(-1) == answers).float().mean())


def parameter_groups(model: nn.Module, plan: Plan) -> list[dict[str, Any]]:
    """AdamW groups: the deeper a layer the smaller its steps, and no decay for biases and norms."""
    named = dict(model.named_parameters())
    layer_of = {name: int(name.split(".layer.")[1].split(".")[0]) for name in named if ".layer." in name}
    layers = max(layer_of.values(), default=-1) + 1
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        depth = layer_of.get(name, -1 if ".embeddings." in name else layers) + 1
        groups.setdefault((depth, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": plan.learning_rate * plan.layer_decay ** (layers + 1 - depth),
            "weight_decay": plan.weight_decay if matrix else 0.0,
        }
        for (depth, matrix), parameters in groups.items()
    ]


class Training:
    """A run that can stop after any step and go on later as if it had not stopped."""

    def __init__(self, model: nn.Module, plan: Plan, loss: Loss, steps_per_epoch: int, checkpoint: Path) -> None:
        self.model, self.plan, self.loss, self.checkpoint = model, plan, loss, checkpoint
        self.steps_per_epoch, self.total = steps_per_epoch, steps_per_epoch * plan.epochs
        self.optimizer = torch.optim.AdamW(parameter_groups(model, plan), fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.average = {name: value.clone() for name, value in model.state_dict().items()}
        self.step, self.best_score, self.best = 0, -1.0, dict(self.average)
        self.history: list[str] = []
        self._stop = False

    def _rate(self, step: int) -> float:
        warm = max(1, round(self.total * self.plan.warm_up))
        return min(1.0, (step + 1) / warm, max(0.0, (self.total - step) / (self.total - warm)))

    def save(self) -> None:
        """Write the whole state, through a second file so that a kill never leaves half a checkpoint."""
        state = {
            "plan": self.plan,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": self.average,
            "best": self.best,
            "progress": (self.step, self.best_score, self.history),
            "random": torch.get_rng_state(),
        }
        fresh = self.checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.checkpoint)

    def resume(self) -> None:
        """Go back to the checkpoint, if there is one and it was made with the same plan."""
        if not self.checkpoint.exists():
            return
        with torch.serialization.safe_globals([Plan]):
            state = torch.load(self.checkpoint, weights_only=True)
        if state["plan"] != self.plan:
            raise SystemExit(f"{self.checkpoint} belongs to another plan: delete it, or run that plan again")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.average, self.best = state["average"], state["best"]
        self.step, self.best_score, self.history = state["progress"]
        torch.set_rng_state(state["random"])
        console.print(f"resumed at step {self.step} of {self.total}")

    def run(
        self,
        batches_of: Callable[[int], list[list[Example]]],
        score: Callable[[nn.Module], float],
        checkpoint_every: int,
    ) -> Weights:
        """Train to the end and return the weights with the best `score`, of an epoch's end or averaged until then."""
        self.resume()
        previous = signal.signal(signal.SIGINT, self._ask_to_stop)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
            bar = progress.add_task("training", total=self.total, completed=self.step)
            while self.step < self.total:
                epoch = self.step // self.steps_per_epoch
                for batch in batches_of(epoch)[self.step % self.steps_per_epoch :]:
                    loss = self._train_on(batch)
                    progress.update(bar, completed=self.step, description=f"epoch {epoch + 1} loss {loss:.3f}")
                    if self._stop or self.step % checkpoint_every == 0:
                        self.save()
                    if self._stop:
                        progress.stop()
                        raise SystemExit(f"stopped after step {self.step}: the same command goes on from here")
                self._judge(epoch, score)
                self.save()
        signal.signal(signal.SIGINT, previous)
        return self.best

    def _ask_to_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stop = True

    def _train_on(self, batch: list[Example]) -> float:
        self.model.train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.plan.bfloat16):
            logits = self.model(**padded([example.ids for example in batch])).logits
        target = torch.tensor([example.target for example in batch])
        loss = self.loss(logits.float(), target)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.step += 1
        if self.step % self.plan.average_every == 0:
            # Early on the average follows quickly, so that the untrained start leaves no trace in it.
            keep = min(self.plan.average**self.plan.average_every, self.step / (self.step + 40))
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        return loss.item()

    def _judge(self, epoch: int, score: Callable[[nn.Module], float]) -> None:
        """Score both the plain and the averaged weights on the held-out slice; keep what is the best so far."""
        current = {name: value.clone() for name, value in self.model.state_dict().items()}
        plain = score(self.model)
        self.model.load_state_dict(self.average)
        averaged = score(self.model)
        self.model.load_state_dict(current)
        line = f"epoch {epoch + 1}: held-out slice {averaged:.4f} averaged, {plain:.4f} plain"
        self.history.append(line)
        console.print(line)
        # Of equals the later epoch wins, whose steps were smaller, and in it the average, which is steadier.
        for found, weights in ((plain, current), (averaged, self.average)):
            if found >= self.best_score:
                self.best_score = found
                self.best = {name: value.clone() for name, value in weights.items()}


def shortened(weights: torch.Tensor) -> torch.Tensor:
    """Weights in float16 with `KEPT_BITS` bits after the leading one, rounded to the nearest.

    They are ordinary float16 numbers, but a wheel's compression makes 1.35 bytes of each instead of 1.85.
    """
    cut = 10 - KEPT_BITS
    bits = weights.half().contiguous().view(torch.int16).int()
    return ((bits + (1 << cut >> 1)) >> cut << cut).to(torch.int16).view(torch.float16)


def write_folder(out: Path, weights: Weights, config: dict[str, Any], tokenizer: Tokenizer) -> None:
    """Write a Hugging Face folder: float16 weights that load in float32, a config and a tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    half = {name: shortened(value) if value.ndim > 1 else value.half() for name, value in weights.items()}
    save_file(half, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    _write_json(out / "config.json", config)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    _write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 512,
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        },
    )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_rows(path: Path, *, header: bool) -> Iterator[list[str]]:
    """The rows of a tab-separated file, without quoting rules: a quote is text like any other."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for line in lines[1 if header else 0 :]:
        if line.strip():
            yield [field.strip() for field in line.split("\t")]
