"""A peer: one script in benchmarks/peers, whose inline metadata (PEP 723) says what it needs and how it is asked."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from labeld.literals import Precision
from labeld.types import Text

PEERS = Path(__file__).parents[1] / "peers"
BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""Where the metadata are, as PEP 723 says."""
How = Literal["documented", "tuned"]
"""As the peer's documentation shows, or with the best settings for this machine."""
Engine = Literal["torch", "onnx", "openvino"]
TEXT, PAIR, MODEL = '"TEXT"', '"PAIR"', "{model}"


class PeerError(Exception):
    """A peer that cannot take part, and why."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of running a peer; a row of the comparison."""

    name: How
    precision: Precision
    engine: Engine
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer, as the metadata of its script describe it."""

    script: Path
    title: str
    requires_python: str
    dependencies: tuple[str, ...]
    variants: tuple[Variant, ...]
    path: str = "/"
    """URL path of a request; `{model}` stands for the name of the model's folder."""
    body: str = ""
    """A request's body: JSON in which "TEXT" stands for the text."""
    pair_body: str | None = None
    """A body for pairs, with "PAIR" for the second text; None: the peer takes no pairs."""
    stoppable: bool = True
    """Whether it still works after it was stopped (SIGSTOP) for some seconds."""
    in_process: bool = False
    """Whether it is a library, which gets its texts over standard input, instead of a server."""

    @property
    def name(self) -> str:
        """The script's name."""
        return self.script.stem

    def request_body(self, text: Text) -> str:
        """The body that asks for this text or pair."""
        template = self.body if text.pair is None else self.pair_body
        if template is None:
            raise PeerError(f"{self.title} takes no pairs.")
        parts = {TEXT: json.dumps(text.text), PAIR: json.dumps(text.pair)}
        return re.sub(f"{TEXT}|{PAIR}", lambda found: parts[found[0]], template)


def read_peer(script: Path) -> Peer:
    """The peer that a script is; raises PeerError naming what its metadata lack."""
    found = BLOCK.search(script.read_text(encoding="utf-8"))
    if found is None:
        raise PeerError(f"{script.name} has no block of inline metadata (# /// script).")
    lines = [line.removeprefix("#").removeprefix(" ") for line in found["content"].splitlines()]
    try:
        metadata = tomllib.loads("\n".join(lines))
        payload = dict(metadata["tool"]["compare"])
        variants = tuple(_variant(one) for one in payload.pop("variants"))
        peer = Peer(
            script,
            requires_python=metadata["requires-python"],
            dependencies=tuple(metadata["dependencies"]),
            variants=variants,
            **payload,
        )
    except KeyError as error:
        raise PeerError(f"{script.name}: its metadata lack {error}.") from error
    except (TypeError, ValueError) as error:  # an unknown or missing field, or no TOML
        raise PeerError(f"{script.name}: its metadata are wrong: {error}.") from error
    if not peer.in_process and TEXT not in peer.body:
        raise PeerError(f'{script.name}: its body must have "TEXT" where the text goes.')
    return peer


def all_peers(folder: Path = PEERS) -> list[Peer]:
    """Every peer, by name."""
    return [read_peer(script) for script in sorted(folder.glob("*.py")) if not script.name.startswith("_")]


def _variant(payload: Mapping[str, Any]) -> Variant:
    variant = Variant(**{**payload, "arguments": tuple(payload.get("arguments", ()))})
    for value, choices in ((variant.name, How), (variant.precision, Precision), (variant.engine, Engine)):
        if value not in get_args(choices):
            raise ValueError(f"{value!r} is not one of {', '.join(get_args(choices))}")
    return variant
