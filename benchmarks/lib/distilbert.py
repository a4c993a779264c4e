"""DistilBERT's synthetic model behind `labeld serve`, as most suites use it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from benchmarks.lib.model_folders import models_dir
from benchmarks.lib.report import Plan
from benchmarks.lib.server import Server
from benchmarks.lib.synthetic_models import DISTILBERT

Way = TypeVar("Way")

PATH = f"/models/{DISTILBERT.model_id}"
"""URL path of its requests."""


def serve(plan: Plan, *flags: str, core: int | None = None) -> Server:
    """A server that loads the model at its start; `core` as for Server."""
    return Server(DISTILBERT.model_id, "--models-dir", str(models_dir(plan)), *flags, cache=plan.cache, core=core)


@contextmanager
def serve_each(plan: Plan, ways: Mapping[Way, Sequence[str]], *flags: str) -> Iterator[dict[Way, Server]]:
    """A server with the flags of each way, all of them up at once: an idle one costs nothing."""
    with ExitStack() as stack:
        yield {way: stack.enter_context(serve(plan, *flags, *own)) for way, own in ways.items()}
