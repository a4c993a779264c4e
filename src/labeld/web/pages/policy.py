"""`/policies/{name}`: a policy of the configuration file, the widget to try it, and code to copy."""

from collections.abc import Mapping
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from labeld.config.models_file import PolicyModel
from labeld.web.errors import NoPolicyError
from labeld.web.pages.context import Site
from labeld.web.pages.rendering import address, as_json, page, wants_html
from labeld.web.pages.tasks import Query, Widget, address_text
from labeld.web.paths import PREFIX

PATH = "/api/v1/text/contents"
"""The route that the widget asks, whose replies have positions."""
EXAMPLE = "Thank you, that was a great help. I hate you, you are awful and worthless."


async def policy(site: Site, request: Request) -> Response:
    """The page of one policy; raises NoPolicyError for a name that is none."""
    name, policies = request.path_params["name"], site.settings.file.policies
    if name not in policies:
        raise NoPolicyError(name, tuple(policies))
    models: Mapping[str, PolicyModel] = policies[name].models
    if not wants_html(request.headers.get("accept")):
        return as_json({"policy": name, "models": {model: asdict(said) for model, said in models.items()}})
    return await page(
        "policy.html",
        here="/",
        name=name,
        models=models,
        can_be_tried=name.isascii() and name.isprintable(),
        widget=_widget(name, request.query_params),
        address=f"{PREFIX.get()}{PATH}",
        origin=address(request),
        needs_token=site.needs_token(),
    )


def _widget(name: str, query: Query) -> Widget:
    """The widget. NOTE: static/guard.js makes the same values."""
    asked = address_text(query, "text")
    text = asked or EXAMPLE
    values = {
        "policy": name,
        "text": text,
        "moderation": {"model": name, "input": text},
        "detector": {"contents": [text]},
        "litellm": {
            "texts": [text],
            "input_type": "request",
            "additional_provider_specific_params": {"policy": name},
        },
    }
    return Widget({"text": text}, values, bool(asked))
