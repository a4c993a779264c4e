"""Open loop: requests arrive on a clock, whether or not earlier ones were answered, as those of many people do.

Latency counts from the time at which a request was due, so that a server that stalls is charged for all requests that
were due meanwhile; a closed loop, whose clients wait for their answers, would not send them. The generator,
open_loop_generator.py, is a process of its own, so that it takes little from the server beside it.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SEED = 5
CONNECTIONS = 1024
"""Connections that are opened at most; a request that is due when none is free waits, and its latency grows."""
PATIENCE = 30.0
"""Seconds after the last arrival in which answers still count; then a request has none."""
ON_TIME_MS = 5.0
"""The generator was on time when 99 of 100 requests left at most so long after they were due."""
REFUSALS = (429, 503)
JSON_HEADERS = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    """One request and what became of it; times in seconds since the generator began."""

    due: float
    sent: float
    ended: float
    """When the last byte of its answer was here, or when it was given up."""
    status: int
    """0: no answer, because the connection broke or `patience` ended."""
    retry_after: bool
    """Whether the answer says when to come back."""

    @property
    def latency(self) -> float:
        """Seconds from when it was due."""
        return self.ended - self.due


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Every answer of a run."""

    rate: float
    """Arrivals per second that were asked for."""
    seconds: float
    answers: Sequence[Answer]

    @property
    def accepted(self) -> list[Answer]:
        """Those with a 200."""
        return [one for one in self.answers if one.status == 200]

    @property
    def refused(self) -> list[Answer]:
        """Those with a 429 or a 503."""
        return [one for one in self.answers if one.status in REFUSALS]

    @property
    def errors(self) -> int:
        """Requests that had neither, those without an answer included."""
        return len(self.answers) - len(self.accepted) - len(self.refused)

    @property
    def refusals_say_when(self) -> bool:
        """Whether every refusal has a Retry-After header."""
        return all(one.retry_after for one in self.refused)

    @property
    def lateness_ms(self) -> float:
        """99th percentile of how long after it was due a request left."""
        return _percentile([one.sent - one.due for one in self.answers], 99)

    @property
    def on_time(self) -> bool:
        """Whether the generator was quick enough; if not, the latencies are partly its own."""
        return self.lateness_ms <= ON_TIME_MS

    def latency_ms(self, percentile: float) -> float:
        """Of the 200s, from the time they were due; NaN when there is none."""
        return _percentile([one.latency for one in self.accepted], percentile)

    def refusal_ms(self, percentile: float) -> float:
        """Of the refusals, from the time they were due; NaN when there is none."""
        return _percentile([one.latency for one in self.refused], percentile)

    def goodput(self, within: float = float("inf")) -> float:
        """200s per second, of those that came within so many seconds and before the arrivals ended."""
        return sum(one.latency <= within and one.ended <= self.seconds for one in self.accepted) / self.seconds

    def detail(self) -> dict[str, Any]:
        """For a figure; says so when the generator was not on time."""
        return {
            "rate": self.rate,
            "goodput": self.goodput(),
            "p50_ms": self.latency_ms(50),
            "p99_ms": self.latency_ms(99),
            "refused": len(self.refused),
            "refusal_p99_ms": self.refusal_ms(99),
            "errors": self.errors,
            "lateness_p99_ms": self.lateness_ms,
            **({} if self.on_time else {"VOID": f"the generator left {self.lateness_ms:.1f} ms late"}),
        }


def run(  # noqa: PLR0913  # the parts of a run
    port: int,
    path: str,
    bodies: Sequence[bytes],
    rate: float,
    seconds: float,
    *,
    headers: Mapping[str, str] = JSON_HEADERS,
    connections: int = CONNECTIONS,
    patience: float = PATIENCE,
    seed: int = SEED,
) -> OpenLoop:
    """POSTs `bodies` in turn to 127.0.0.1, `rate` a second at random times (Poisson), for `seconds`; all answers."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for body in bodies
    ]
    task = {
        "port": port,
        "requests": [one.decode("latin-1") for one in requests],
        "due": list(_arrivals(rate, seconds, seed)),
        "end": seconds + patience,
        "connections": connections,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.lib.open_loop_generator"],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=seconds + patience + 60,
    )
    if ran.returncode:
        sys.exit(f"The open-loop generator ended with code {ran.returncode}.")
    return OpenLoop(rate, seconds, [Answer(*one) for one in json.loads(ran.stdout)])


def _arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Times of a Poisson process."""
    chance = random.Random(seed)
    at = chance.expovariate(rate)
    while at < seconds:
        yield at
        at += chance.expovariate(rate)


def _percentile(seconds: Sequence[float], percentile: float) -> float:
    """Milliseconds."""
    return float(1e3 * np.percentile(seconds, percentile)) if seconds else float("nan")
