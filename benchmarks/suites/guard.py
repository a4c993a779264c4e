"""Guard: a policy of three BERT-base classifiers over whole texts, by OpenAI's moderation, and a very long text."""

import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.lib import model_folders, synthetic_models
from benchmarks.lib.client import Connection, post_json
from benchmarks.lib.engine_only import EngineOnly
from benchmarks.lib.load import RAISED, generate
from benchmarks.lib.report import Figure, Plan, summary
from benchmarks.lib.server import Server
from benchmarks.lib.texts import SEED, Measured, encoder_of, english, of_length
from labeld.literals import Precision
from labeld.system.cpu import usable_cores
from labeld.tokenization.loader import read_tokenizer
from labeld.web.guard import STRIDE

PATH = "/v1/moderations"
CLASSIFIERS, CONNECTIONS, TEXTS = 3, 8, 16
TOKENS, SPECIAL_TOKENS = 512, 2
"""Tokens of a text, which are as many as a window has, and those of them that every window has."""
CHARACTERS = 50_000
PATIENCE = 600.0
"""Seconds for an answer, at most."""
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


class _Sizes(NamedTuple):
    """How much is asked."""

    tokens: int
    characters: int
    seconds: int
    engine_runs: int


FULL, QUICK = _Sizes(TOKENS, CHARACTERS, 120, 4), _Sizes(64, CHARACTERS // 10, 40, 2)


def measure(plan: Plan) -> list[Figure]:
    """Requests per second and p99 with texts that fill a window, and the windows and time of a long text."""
    sizes = QUICK if plan.quick else FULL
    folder = model_folders.folder(plan, synthetic_models.BERT)
    encoder, texts, chance = encoder_of(folder), english(plan.data), random.Random(SEED)
    full = [of_length(texts, encoder, sizes.tokens, chance) for _ in range(TEXTS)]
    long = _long(texts, sizes.characters, chance)
    precisions = plan.progress.track(PRECISIONS, description="guard")
    return [figure for precision in precisions for figure in _measure(plan, precision, sizes, full, long)]


def _measure(plan: Plan, precision: Precision, sizes: _Sizes, full: list[Measured], long: str) -> list[Figure]:
    folder = model_folders.folder(plan, synthetic_models.BERT)
    engine = EngineOnly(folder, usable_cores(), 1, precision)
    speeds = [engine.speed(full[:4], TOKENS) for _ in range(sizes.engine_runs)][1:]
    del engine
    with _server(plan, folder, precision) as server:
        generate(server.port, PATH, full, sizes.seconds // 4, CONNECTIONS, member="input")  # NOTE: warms every shape
        found = generate(server.port, PATH, full, sizes.seconds, CONNECTIONS, member="input")
        _, read, _ = _moderated(server, full[0].text)
        seconds, of_long, windows = _moderated(server, long)
    needed = CLASSIFIERS * _windows(folder, long)
    name = f"{precision}, {CLASSIFIERS} classifiers"
    detail = {
        "answers": found["answers"],
        "tokens_per_s": CLASSIFIERS * found["tokens"] / found["seconds"],
        "engine_tokens_per_s": summary(speeds),
    }
    of_text, of_characters = f"texts of {sizes.tokens} tokens", f"a text of {len(long):,} characters"
    return [
        Figure("guard", f"{name}, {of_text}", found["answers"] / found["seconds"], "requests/s", detail=detail),
        Figure("guard", f"{name}, {of_text}, p99", found["p99_ms"], "ms"),
        Figure("guard", f"{name}, tokens read of one of them", read, "", CLASSIFIERS * full[0].tokens, "at least"),
        Figure("guard", f"{name}, {of_characters}", seconds, "s", detail={"tokens": of_long}),
        Figure("guard", f"{name}, its windows, of those to its end", windows / needed, "", 1, "at least"),
    ]


@contextmanager
def _server(plan: Plan, folder: Path, precision: Precision) -> Iterator[Server]:
    """A server whose policy by default has the model under three ids: three engines, each with weights of its own."""
    with TemporaryDirectory(dir=plan.cache) as root:
        ids = [f"org/classifier-{number}" for number in range(CLASSIFIERS)]
        (Path(root) / "models/org").mkdir(parents=True)
        for model_id in ids:
            (Path(root) / "models" / model_id).symlink_to(folder)
        file = Path(root) / "labeld.yaml"
        policy = {"models": {model_id: {"threshold": 0.9} for model_id in ids}}
        file.write_text(json.dumps({"policies": {"default": policy}}))
        options = ("--config", str(file), "--models-dir", str(Path(root) / "models"), "--precision", precision)
        with Server(*ids, *options, *RAISED, "--hub", "off", cache=plan.cache) as server:
            yield server


def _moderated(server: Server, text: str) -> tuple[float, int, int]:
    """Seconds of one answer, the tokens that the models have read for it, and the windows."""
    with Connection(server.port, timeout=PATIENCE) as connection:
        began = time.perf_counter()
        status, headers, body = connection.exchange(post_json(PATH, {"input": text}))
        seconds = time.perf_counter() - began
    assert status == 200, body
    return seconds, int(headers["x-compute-tokens"]), int(headers.get("x-windows", CLASSIFIERS))


def _windows(folder: Path, text: str) -> int:
    """Windows that reach from the beginning to the end of a text."""
    tokenizer: Any = read_tokenizer(folder).tokenizer
    tokens, room = len(tokenizer.encode(text, add_special_tokens=False).ids), TOKENS - SPECIAL_TOKENS
    return 1 + math.ceil(max(0, tokens - room) / (room - STRIDE))


def _long(texts: list[str], characters: int, chance: random.Random) -> str:
    """Real sentences one after another, cut at so many characters."""
    found: list[str] = []
    while sum(map(len, found)) + len(found) < characters + 1:
        found.append(chance.choice(texts))
    return " ".join(found)[:characters]
