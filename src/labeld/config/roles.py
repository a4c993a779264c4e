"""The settings that name the configuration file, and the models of special parts."""

from dataclasses import dataclass
from pathlib import Path

from labeld.config.fields import setting


@dataclass(frozen=True, slots=True)
class Source:
    """The configuration file."""

    config: Path | None = setting(
        None,
        "Configuration file (YAML) of settings, models by alias and policies; a flag or a variable wins over it. "
        "`labeld config check FILE` says what is wrong with one.",
    )


@dataclass(frozen=True, slots=True)
class Roles:
    """Models of special parts, by id or alias."""

    reranker: str | None = setting(
        None, "Model that ranks documents where a request names none, loaded at start; `/info` describes it."
    )
    zero_shot: str | None = setting(
        None, "Model for requests with candidate labels that name none, loaded at start; the Hub's look-ups offer it."
    )
