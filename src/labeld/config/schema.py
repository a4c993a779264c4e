"""The JSON schema of the configuration file, for editors."""

from typing import Any

from labeld.config.file import shape

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> dict[str, Any]:
    """The schema of a whole file; whatever it refuses labeld refuses too."""
    return {"$schema": DIALECT, "title": "Configuration file of labeld", **shape().schema()}
