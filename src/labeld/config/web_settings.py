"""The settings of names, of other sites' pages and of logs. `settings` has the others, and reads them all."""

from dataclasses import dataclass
from typing import Literal

from labeld.config.fields import setting


@dataclass(frozen=True, slots=True)
class Sites:
    """Under which names it may be asked, and by which web pages."""

    hosts: tuple[str, ...] = setting(
        (),
        "Names of this server, beside localhost and its IP addresses; a request to any other name is refused (a comma "
        "between two).",
    )
    origins: tuple[str, ...] = setting(
        (),
        "Sites whose web pages may ask the API from their visitors' browsers: https://example.org (a comma between "
        "two).",
    )


@dataclass(frozen=True, slots=True)
class Logs:
    """What is written down."""

    log_format: Literal["text", "json"] = setting(
        "text", "text: warnings for people; json: all as lines of JSON, and one line for each request."
    )
    log_texts: bool = setting(False, "Write the texts of requests into the lines of JSON, too.")
