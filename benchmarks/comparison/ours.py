"""labeld itself, in every precision at once: an idle server costs nothing, so all of them stay up."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

from benchmarks.comparison.replies import Scores, difference, rankings
from benchmarks.comparison.traffic import Traffic
from benchmarks.lib.peer import PeerError
from benchmarks.lib.peer_process import RunningServer
from benchmarks.lib.server import clean_environment, free_port, serve_command
from labeld.literals import Precision
from labeld.types import Text

READY_WITHIN = 60.0
QUEUE_SECONDS = "10"
"""A setting that is not the default: 32 connections with pairs on two cores are two seconds of work, which would be
refused, and no peer refuses."""


class Ours(NamedTuple):
    """A running labeld and its first figures."""

    server: RunningServer
    precision: Precision
    model: str
    first_answer_s: float
    difference: float
    """The largest difference of a score from transformers'."""

    def record(self) -> dict[str, Any]:
        """For a JSON line."""
        return {
            "kind": "labeld",
            "precision": self.precision,
            "model": self.model,
            "command": self.server.portable_command,
            "first_answer_s": self.first_answer_s,
            "difference": self.difference,
            "peak_mb": self.server.peak_memory() / 1e6,
        }


def our_body(text: Text) -> str:
    """A request for a text or a pair."""
    inputs = text.text if text.pair is None else {"text": text.text, "text_pair": text.pair}
    return json.dumps({"inputs": inputs})


@contextmanager
def labelds(traffic: Traffic, expected: list[Scores], cache: Path) -> Iterator[dict[Precision, Ours]]:
    """A labeld with this model in each precision; raises PeerError when it does not answer."""
    exclusive = cache / "alone" / traffic.model  # a server looks at the files of every model that it has
    link = exclusive / traffic.model_id
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(traffic.folder)
    bodies = [our_body(text).encode() for text in traffic.checked]
    with ExitStack() as stack:
        found: dict[Precision, Ours] = {}
        for precision in get_args(Precision):
            with _server(traffic, precision, exclusive, cache) as server:  # brings files into memory
                server.first_answer(bodies[0], READY_WITHIN)
            server = stack.enter_context(_server(traffic, precision, exclusive, cache))
            first_answer_s = server.first_answer(bodies[0], READY_WITHIN)
            replies = [server.ask(body, READY_WITHIN) for body in bodies]
            if {status for status, _ in replies} != {200}:
                raise PeerError(f"labeld: {replies[0][1].decode()}")
            off = difference(expected, [one for _, reply in replies for one in rankings(json.loads(reply))])
            found[precision] = Ours(server, precision, traffic.model, first_answer_s, off)
        yield found


def _server(traffic: Traffic, precision: Precision, models: Path, cache: Path) -> RunningServer:
    port = free_port()
    flags = ["--models-dir", str(models), "--precision", precision, "--hub", "off", "--queue-seconds", QUEUE_SECONDS]
    command = [*serve_command(port, cache), traffic.model_id, *flags]
    return RunningServer(command, clean_environment(), port, f"/models/{traffic.model_id}")
