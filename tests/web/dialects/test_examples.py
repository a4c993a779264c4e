"""The example in the API's description of each dialect is answered."""

from typing import Any

from labeld.config.settings import Settings
from labeld.web.openapi import openapi
from tests.support.server_process import Server
from tests.web.dialects.test_errors import MODELS, each_call

DESCRIBED = openapi(Settings().inputs)["paths"]


def example(path: str) -> Any:
    """The one of the description."""
    operation = DESCRIBED[path.replace(":path}", "}")]["post"]
    return operation["requestBody"]["content"]["application/json"]["example"]


@each_call
def test_the_example_is_answered(dialects: Server, dialect: Any, path: str) -> None:
    """With the name of a model of its task in it, and nothing else changed."""
    model, body = MODELS.get(dialect.name, "org/bert"), example(path)
    if "model" in body or ("{model_id" not in path and model != "org/bert"):  # a server has a setting for it
        body |= {"model": model}
    reply = dialects.post(path.replace("{model_id:path}", model).replace("{version}", "1"), json=body)
    assert reply.status_code == 200, reply.text
