"""A model's name -> its id and its revision."""

from labeld.errors import ModelNotFoundError
from labeld.model_id import valid_name
from labeld.repository.hub_client import DEFAULT_REVISION


def split(name: str) -> tuple[str, str]:
    """Id and revision of `id` or `id@revision`; raises ModelNotFoundError for any other form."""
    if not valid_name(name):
        raise ModelNotFoundError(name)
    model_id, _, revision = name.partition("@")
    return model_id, revision or DEFAULT_REVISION
