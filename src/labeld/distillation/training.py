"""The training of a student, which can stop after any step and go on as if it had not stopped."""

import io
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from labeld.distillation.plan import Plan
from labeld.engines.openvino.precision import has_bfloat16
from labeld.literals import FunctionName
from labeld.types import EncodedText, Logits

TOKENS = 8192
"""Tokens of a batch with its padding, at most, if it has more than one text."""
STRETCH = 50
"""Batches within which texts are sorted by their length."""
WARM_UP = 0.06
"""Share of the steps in which the learning rate rises."""
CHECKPOINT_STEPS = 200

Step = Callable[[int, int], object]
"""Called with the steps that are done, and all there are."""


class StoppedError(Exception):
    """Ctrl-C: the checkpoint has all that was done."""


class Training:
    """A student, its optimizer, and how far they are. Owns the model, on the processor, with float32 weights.

    Matrices are multiplied in bfloat16 while it learns, where the processor has instructions for it.
    """

    def __init__(self, model: Any, plan: Plan, function: FunctionName, pad: int, checkpoint: Path) -> None:
        """`function` says what the logits mean; `pad` is the token id that fills rows up."""
        self.model, self._plan, self._function, self._pad = model, plan, function, pad
        model.set_attn_implementation("eager")  # the gradient of the other is three times as slow in bfloat16
        model.eval()  # NOTE: no dropout: a student is too small to learn its lessons by heart (decision 34)
        self._bfloat16 = has_bfloat16()
        self._takes_types = getattr(model.config, "type_vocab_size", 0) > 1
        decayed = [one for one in model.parameters() if one.ndim > 1]
        others = [one for one in model.parameters() if one.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)
        self._checkpoint = checkpoint
        self._step = 0
        self._best: dict[str, torch.Tensor] = {}
        self.history: list[float] = []
        """The agreement with the teacher on what is held out, after each epoch."""

    def run(
        self,
        texts: Sequence[EncodedText],
        targets: Logits,
        held_out: Sequence[EncodedText],
        score: Callable[[Logits], float],
        step: Step,
    ) -> None:
        """Teaches the model the targets, float32 [texts, labels], and leaves it with the weights of its best epoch.

        `score` rates logits of the texts held out; of equal epochs the later one is kept. Raises StoppedError after
        Ctrl-C, once the checkpoint is written.
        """
        batches = [self._batches(texts, epoch) for epoch in range(self._plan.epochs)]
        total = sum(len(one) for one in batches)
        self._resume()
        with asked_to_stop() as stop:
            done = 0
            for epoch, its_batches in enumerate(batches):
                for rows in its_batches:
                    done += 1
                    if done <= self._step:
                        continue
                    self._learn([texts[row] for row in rows], targets[rows], done / total)
                    self._step = done
                    step(done, total)
                    if stop.is_set() or done % CHECKPOINT_STEPS == 0:
                        self._save()
                    if stop.is_set():
                        raise StoppedError
                if len(self.history) == epoch:
                    self._judge(score(self.logits(held_out)))
                    self._save()
        self.model.load_state_dict(self._best)

    @torch.no_grad()
    def logits(self, texts: Sequence[EncodedText]) -> Logits:
        """The model's float32 [texts, labels]."""
        found = np.empty((len(texts), self.model.config.num_labels), np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row].ids))
        for rows in _cut(order, texts, self._plan.batch_size):
            found[rows] = self.model(**self._inputs([texts[row] for row in rows])).logits.numpy()
        return found

    def _batches(self, texts: Sequence[EncodedText], epoch: int) -> list[list[int]]:
        """Positions of texts of alike lengths, the batches in random order."""
        rng = np.random.default_rng([self._plan.seed, epoch])
        order = rng.permutation(len(texts)).tolist()
        stretch = self._plan.batch_size * STRETCH
        batches = []
        for start in range(0, len(order), stretch):
            part = sorted(order[start : start + stretch], key=lambda row: len(texts[row].ids))
            batches += list(_cut(part, texts, self._plan.batch_size))
        return [batches[index] for index in rng.permutation(len(batches))]

    def _inputs(self, texts: Sequence[EncodedText]) -> dict[str, torch.Tensor]:
        width = max(len(text.ids) for text in texts)
        ids = np.full((len(texts), width), self._pad, np.int64)
        types, mask = np.zeros_like(ids), np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text.ids)], types[row, : len(text.ids)], mask[row, : len(text.ids)] = *text, 1
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        return inputs | ({"token_type_ids": torch.from_numpy(types)} if self._takes_types else {})

    def _learn(self, texts: Sequence[EncodedText], targets: Logits, progress: float) -> None:
        """One step; `progress` is the share of all steps that it ends."""
        rate = self._plan.learning_rate * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            logits = self.model(**self._inputs(texts)).logits
        loss = self._loss(logits.float(), torch.from_numpy(targets))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """How far the logits are from the teacher's, both [texts, labels], as a scalar."""
        if self._function == "softmax":
            heat = self._plan.temperature
            wanted = functional.log_softmax(targets / heat, -1)
            found = functional.log_softmax(logits / heat, -1)
            return functional.kl_div(found, wanted, reduction="batchmean", log_target=True) * heat**2
        if self._function == "sigmoid":
            return functional.binary_cross_entropy_with_logits(logits, targets.sigmoid())
        return functional.mse_loss(logits, targets)

    def _judge(self, agreement: float) -> None:
        if not self.history or agreement >= max(self.history):
            self._best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.history.append(agreement)

    def _save(self) -> None:
        """Writes the whole state, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "step": self._step,
            "history": self.history,
            "random": torch.get_rng_state(),
        }
        whole = io.BytesIO()
        torch.save(state, whole)
        fresh = self._checkpoint.with_suffix(".new")
        fresh.write_bytes(whole.getbuffer())
        fresh.replace(self._checkpoint)

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            torch.manual_seed(self._plan.seed)
            return
        state = torch.load(self._checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best, self._step, self.history = state["best"], state["step"], state["history"]
        torch.set_rng_state(state["random"])


def _cut(order: Sequence[int], texts: Sequence[EncodedText], size: int) -> Iterator[list[int]]:
    """Positions, sorted by length, in batches of at most `size` texts and about TOKENS tokens."""
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) == size or (len(batch) + 1) * len(texts[row].ids) > TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that a step is not broken off; on the main thread only."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
