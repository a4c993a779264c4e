"""A training that is stopped goes on as if it had not been."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.support.paths import ROOT

PROGRAM = """
import json, os, random, sys
from functools import partial
from pathlib import Path
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification
from common import Example, Plan, Training, length_sorted_batches

def train(checkpoint, stop_at, out):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = dict(vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = BertForSequenceClassification(BertConfig(**shape))
    plan = Plan(seed=0, epochs=2, batch=4, learning_rate=1e-2, warm_up=0.1, weight_decay=0.01, layer_decay=0.9,
                smoothing=0.1, average=0.9, bfloat16=False)
    rng = random.Random(1)
    examples = [Example([rng.randrange(40) for _ in range(rng.randint(2, 9))], rng.choice([[1.0, 0.0], [0.0, 1.0]]))
                for _ in range(24)]
    run = Training(model, plan, partial(cross_entropy, label_smoothing=plan.smoothing), 6, Path(checkpoint))
    train_on = run._train_on
    def watched(batch):
        loss = train_on(batch)
        if run.step == stop_at:
            run._ask_to_stop(2, None)
        return loss
    run._train_on = watched
    torch.save(run.run(lambda epoch: length_sorted_batches(examples, 4, random.Random(epoch)), lambda model: 0.5, 5),
               out)

for checkpoint, stop_at, weights, output in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        train(checkpoint, stop_at, weights)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STOPS = [4, 9]


@dataclass
class Ended:
    """How a training ended."""

    code: int
    output: str
    weights: Path


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """A whole training, and for each stop one that stops and one that resumes it.

    Each is a process of its own, forked from one that has imported transformers and done nothing yet.
    """
    folder = tmp_path_factory.mktemp("trainings")
    runs = {"whole": ("whole", 0)}
    for stop in STOPS:
        runs |= {f"stopped {stop}": (str(stop), stop), f"resumed {stop}": (str(stop), 0)}
    places = [
        (str(folder / f"{checkpoint}.checkpoint"), stop, str(folder / f"{name}.pt"), str(folder / f"{name}.log"))
        for name, (checkpoint, stop) in runs.items()
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(places)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "training")},
    )
    assert done.returncode == 0, done.stderr
    return {
        name: Ended(int(code), Path(output).read_text(encoding="utf-8"), Path(weights))
        for name, code, (_, _, weights, output) in zip(runs, done.stdout.split(), places, strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", STOPS)
def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(
    trainings: dict[str, Ended], stop_at: int
) -> None:
    """Bit for bit, dropout and averages included, whether it stops in its first epoch or in a later one."""
    ended = whole, stopped, resumed = [
        trainings[name] for name in ("whole", f"stopped {stop_at}", f"resumed {stop_at}")
    ]

    assert [0, 1, 0] == [one.code for one in ended], [one.output for one in ended]
    assert f"stopped after step {stop_at}" in stopped.output
    assert f"resumed at step {stop_at} of 12" in resumed.output
    expected, found = (torch.load(one.weights) for one in (whole, resumed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
