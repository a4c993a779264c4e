"""`/docs/text-classification`: the API reference, from the data of /openapi.json and this server's settings."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from labeld.config.settings import Settings
from labeld.web import openapi, openapi_fields
from labeld.web.pages.context import Site
from labeld.web.pages.rendering import address, as_json, page, wants_html

LIMITS = {
    "inputs": ("max_inputs", "max_body_bytes", "max_text_characters", "max_tokens_per_text"),
    "residency": ("load_grace", "max_wait", "max_waiting"),
    "queue": ("max_in_flight", "queue_seconds", "queue_timeout"),
    "answers": ("cache_ttl",),
}
"""Settings that limit a client's requests, by group."""


async def reference(site: Site, request: Request) -> Response:
    """The API reference; for programs the OpenAPI document."""
    if not wants_html(request.headers.get("accept")):
        return as_json(openapi.openapi(site.settings.inputs, site.settings.sites.root_path))
    return await page(
        "reference.html",
        here="/docs/text-classification",
        origin=address(request),
        default_model=site.service.default_model,
        paths=openapi.CLASSIFY_PATHS,
        parameters=[
            (name, _values(schema), schema["description"]) for name, schema in openapi_fields.PARAMETERS.items()
        ],
        request_headers=openapi_fields.REQUEST_HEADERS,
        reply_headers={**openapi_fields.REPLY_HEADERS, **openapi_fields.ERROR_HEADERS},
        errors=openapi.ERRORS,
        look_up_rows=[(path, sentence) for path, (sentence, _) in openapi.LOOK_UPS.items()],
        limits=list(_limits(site.settings)),
        max_inputs=site.settings.inputs.max_inputs,
        load_grace=f"{site.settings.residency.load_grace:g}",
        max_wait=f"{site.settings.residency.max_wait:g}",
        needs_token=site.needs_token(),
    )


def _values(schema: dict[str, Any]) -> str:
    """The values that a parameter's schema allows, in words."""
    null = ", null" if schema.get("nullable") else ""
    if "oneOf" in schema:
        return ", ".join(_values(one) for one in schema["oneOf"]) + null
    if "enum" in schema:
        return ", ".join(schema["enum"]) + null
    words = {
        "integer": f"whole number from {schema.get('minimum')}",
        "boolean": "true, false",
        "number": "number",
        "object": "a number for each label",
    }
    return words[schema["type"]] + null


def _limits(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Name, value on this server and help text of each limit."""
    for group_name, names in LIMITS.items():
        group = getattr(settings, group_name)
        values, helps = asdict(group), {one.name: one.metadata["help"] for one in fields(group)}
        yield from ((name, f"{values[name]:,}".removesuffix(".0"), helps[name]) for name in names)
