"""Results of a run, one JSON line each, written as they come: an interrupted run keeps what it has."""

import json
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

Record = dict[str, Any]
"""A line. `kind` is machine, labeld, peer, absent or end."""


@dataclass(slots=True)
class Records:
    """The lines of a run."""

    file: Path | None = None
    """Where each line goes as well."""
    printed: bool = False
    """Whether each line is printed."""
    lines: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """One more line."""
        record = _plain(record)
        self.lines.append(record)
        line = json.dumps(record) + "\n"
        if self.file is not None:
            self.file.parent.mkdir(exist_ok=True)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(line)
        if self.printed:
            sys.stdout.write(line)
            sys.stdout.flush()


def read(file: Path) -> list[Record]:
    """The lines of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def of_kind(lines: Iterable[Record], kind: str, model: str | None = None) -> list[Record]:
    """Those of a kind, and of a model if one is named."""
    return [line for line in lines if line["kind"] == kind and model in (None, line.get("model"))]


def rates(record: Record, who: str, mix: str, connections: int) -> list[float]:
    """Requests per second in each round; empty when this was not measured."""
    for load in record["loads"]:
        if (load["mix"], load["connections"], load["who"]) == (mix, connections, who):
            return list(load["rates"])
    return []


def rate(record: Record, who: str, mix: str, connections: int) -> float | None:
    """The median of the rounds."""
    found = rates(record, who, mix, connections)
    return median(found) if found else None


def opened(record: Record, who: str, share: float) -> Record | None:
    """The open loop at a share of the peer's capacity."""
    return next((one for one in record["open"] if (one["who"], one["share"]) == (who, share)), None)


def named(record: Record) -> str:
    """A peer with its variant and precision, as tables and plots name it."""
    return f"{record['title']}, {record['variant']}, {record['precision']}"


def _plain(value: Any) -> Any:
    """The value with null instead of NaN, which JSON has not."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
