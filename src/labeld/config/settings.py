"""Every setting with its default and its help text, in groups. Each part of labeld is given only its own group.

`load.py` reads their values from flags and the environment.
"""

from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, get_type_hints

from labeld.config.access import Access, Sites
from labeld.config.fields import ByteSize, setting
from labeld.config.hub import Hub, Policy
from labeld.config.models_file import ModelsFile
from labeld.config.roles import Roles, Source
from labeld.config.tracing import Tracing
from labeld.errors import SettingsError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server listens, and how many processes do."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(8080, "Port to listen on; 0 takes a free one, printed at start.", minimum=0, maximum=65535)
    uds: Path | None = setting(
        None, "Unix socket to listen on instead of host and port; its owner and its group may connect."
    )
    workers: int = setting(1, "Worker processes, each with its own models; one that dies is replaced.", minimum=1)
    allow_anonymous: bool = setting(
        False, "Listen on an address other than loopback although anybody who reaches it may use the models."
    )

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the address, as it is with a Unix socket."""
        if self.uds:
            return True
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Folders:
    """Where models come from and where labeld may write."""

    models: tuple[str, ...] = setting(
        (), "Models to load at start (comma-separated), the first for POST /; default: labeld/sentiment-en."
    )
    models_dir: Path | None = setting(None, "Folder of models: DIR/org/name serves org/name, DIR/name serves name.")
    cache_dir: Path = setting(
        Path("~/.cache/labeld"),
        "Folder that labeld may write to; among others it keeps the content hashes of model files there.",
    )


@dataclass(frozen=True, slots=True)
class Residency:
    """Which models stay loaded, and how requests wait for the others."""

    memory_budget: ByteSize = setting(
        ByteSize("70%"),
        "Memory that all workers may use together: bytes such as 4GiB, or a share of the memory that is available at "
        "start and that the control group allows. Idle models are evicted to stay below.",
    )
    pin: tuple[str, ...] = setting(
        (), "Models that are never evicted once loaded (comma-separated); those named at start never are."
    )
    idle_timeout: float = setting(0.0, "Seconds after which an unused model is unloaded; 0 = never.", minimum=0)
    load_grace: float = setting(
        3.0,
        "Seconds a request is held while its model loads; then 503 with an estimate, and the load goes on.",
        minimum=0,
    )
    max_wait: float = setting(
        300.0, "Seconds a request with x-wait-for-model waits for its model; then 500.", minimum=0
    )
    max_waiting: int = setting(1000, "Requests that wait for models to load; one more is refused with 429.", minimum=1)


@dataclass(frozen=True, slots=True)
class Compute:
    """Threads, streams and batch sizes of the CPU."""

    threads: int = setting(0, "CPU threads that compute, in all; 0 = the cores this process may use.", minimum=0)
    streams: int = setting(
        0, "Streams, each of which computes with an equal share of the threads; 0 = one per 8 threads.", minimum=0
    )
    batch_tokens: int = setting(256, "Tokens of a batch, at most; a longer text is a batch by itself.", minimum=1)
    batch_timeout: float = setting(
        30.0,
        "Seconds after which a running batch, or the tokenising of texts, counts as hung and the process is replaced.",
        minimum=0.1,
    )


@dataclass(frozen=True, slots=True)
class Precisions:
    """The precision in which models compute, and how much a faster one may change the answers."""

    precision: str = setting(
        "float32",
        "float32, bfloat16, int8, or auto: the fastest with answers within the tolerances below, by a trial at the "
        "first load. For single models org/name=… (comma-separated), such as auto,org/name=float32.",
    )
    evaluation_texts: Path | None = setting(
        None,
        "File of texts for the trial, one per line, with a tab between the two of a pair; default: those of labeld. "
        "A .jsonl file of text and label (and pair) has the precisions judged by the labels.",
    )
    precision_agreement: float = setting(
        0.99,
        "Share of the trial's texts that must keep their label; with one label, Kendall's tau. Of labelled texts, what "
        "is missing to 1 is the share of decisions that may turn wrong.",
        minimum=0,
        maximum=1,
    )
    precision_mean_change: float = setting(0.01, "Mean change of a probability in the trial, at most.", minimum=0)
    precision_p99_change: float = setting(0.08, "99th percentile of that change, at most.", minimum=0)


@dataclass(frozen=True, slots=True)
class Queue:
    """Limits of the queues, and times of a drain."""

    max_in_flight: int = setting(512, "Requests in flight; one more is refused with 429.", minimum=1)
    queue_seconds: float = setting(
        2.0,
        "Seconds of work per model, at its measured speed; a request that finds as much waiting before it gets 429.",
        minimum=0.1,
    )
    queue_timeout: float = setting(
        10.0, "Seconds a text may wait, plus twice the computing time of its request; then 429.", minimum=0.1
    )
    drain_timeout: float = setting(30.0, "Seconds that requests in flight get to finish after SIGTERM.", minimum=0)
    drain_delay: float = setting(0.0, "Seconds after SIGTERM in which only /ready is 503; then the drain.", minimum=0)


@dataclass(frozen=True, slots=True)
class Answers:
    """The cache of finished answers."""

    cache: str | None = setting(
        None, "Redis in which servers share answers: redis://host:port/db. Needs labeld[redis]."
    )
    cache_bytes: int = setting(64 * MIB, "Bytes of memory for answers, per worker; 0 = keep none in memory.", minimum=0)
    cache_ttl: float = setting(3600.0, "Seconds for which an answer is kept.", minimum=0.001)
    cache_scope: Literal["shared", "token"] = setting(
        "shared",
        "Who gets a cached answer: shared = every caller, token = callers with the access token that it was made for "
        "(or, where no token is needed, with none).",
    )
    cache_secret: str | None = setting(
        None, "Signs the answers in Redis; only answers signed with the same secret are read.", secret=True
    )


@dataclass(frozen=True, slots=True)
class Logs:
    """Format and content of the log."""

    log_format: Literal["text", "json"] = setting(
        "text", "text: warnings, for people; json: JSON lines, with one for each request."
    )
    log_texts: bool = setting(False, "Log the texts of requests, too; only with json.")


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Limits of one request."""

    max_body_bytes: int = setting(2 * MIB, "Bytes of a request body; beyond that 413.", minimum=1)
    max_partial_bytes: int = setting(
        256 * MIB,
        "Bytes of bodies that have arrived in part, per worker, and a quarter of them from one address, loopback "
        "excepted; beyond that 429.",
        minimum=1,
    )
    max_json_depth: int = setting(32, "Nesting of the JSON in a body; beyond that 400.", minimum=4, maximum=1000)
    max_json_strings: int = setting(10_000, "Strings in the JSON of a body; beyond that 400.", minimum=16)
    max_inputs: int = setting(1000, "Texts in one request; beyond that 400.", minimum=1)
    max_windows: int = setting(
        2000, "Windows of all texts in one request (parameters.stride); beyond that 400.", minimum=1
    )
    max_tokens_per_text: int = setting(
        4096,
        "Tokens of one text, if the model takes as many; beyond that 400. Memory grows with the square: 4096 tokens "
        "take 3 GB in DeBERTa-v3-base.",
        minimum=1,
    )
    max_text_characters: int = setting(
        MIB,
        "Characters of one text, or 250 for each token that the model takes, if that is less; beyond that 400.",
        minimum=1,
    )


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one connection."""

    max_header_bytes: int = setting(16_384, "Bytes of request line and headers together; beyond that 431.", minimum=256)
    max_header_fields: int = setting(64, "Header fields of a request; beyond that 431.", minimum=4)
    max_chunks: int = setting(65_536, "Chunks of a chunked body; beyond that 413.", minimum=1)
    header_timeout: float = setting(10.0, "Seconds for the headers of a request to arrive; then 408.", minimum=0.1)
    body_timeout: float = setting(30.0, "Seconds for the body of a request to arrive; then 408.", minimum=0.1)
    min_body_rate: int = setting(
        1024, "Bytes per second at which a body must arrive, after 2 seconds; else 408.", minimum=0
    )
    keep_alive_timeout: float = setting(75.0, "Seconds an idle connection is kept.", minimum=0.1)
    max_connections: int = setting(4096, "Open connections; one more is closed with 429.", minimum=1)
    max_connections_per_address: int = setting(
        256, "Open connections of one address, loopback excepted; one more is closed with 429.", minimum=1
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, by group, and what the configuration file says beside them."""

    source: Source = field(default_factory=Source)
    listen: Listen = field(default_factory=Listen)
    folders: Folders = field(default_factory=Folders)
    roles: Roles = field(default_factory=Roles)
    hub: Hub = field(default_factory=Hub)
    residency: Residency = field(default_factory=Residency)
    compute: Compute = field(default_factory=Compute)
    precisions: Precisions = field(default_factory=Precisions)
    queue: Queue = field(default_factory=Queue)
    answers: Answers = field(default_factory=Answers)
    access: Access = field(default_factory=Access)
    sites: Sites = field(default_factory=Sites)
    inputs: InputLimits = field(default_factory=InputLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    logs: Logs = field(default_factory=Logs)
    tracing: Tracing = field(default_factory=Tracing)
    file: ModelsFile = field(default_factory=ModelsFile)
    """Models by alias, and policies."""

    def hub_policy(self) -> Policy:
        """The policy of a server that listens on this address; raises SettingsError when it would not be safe."""
        asked = self.hub.hub
        if asked == "auto":
            return "any" if self.listen.is_loopback else "allowlist"
        if asked == "any" and not self.listen.is_loopback:
            raise SettingsError(
                f"hub is any, but host is {self.listen.host}, where others could fill this disk: name models with "
                "--hub allowlist --hub-allow, or listen on 127.0.0.1."
            )
        return asked

    @property
    def store_dir(self) -> Path:
        """Folder of the downloaded models."""
        return (self.hub.store_dir or self.folders.cache_dir / "models").expanduser()


GROUPS: dict[str, type[Any]] = {
    group.name: get_type_hints(Settings)[group.name] for group in fields(Settings) if group.name != "file"
}
