"""The description served at /openapi.json."""

import json
import re
from importlib.metadata import version
from typing import Any

from labeld.config.settings import InputLimits
from labeld.protocol.dialects.base import Dialect
from labeld.web.dialects import EVERY_DIALECT, GETS, OF_MODEL, READY
from labeld.web.openapi_fields import (
    ERROR_HEADERS,
    HEADER_SCHEMAS,
    HEADERS_OF,
    OPTIONS,
    PARAMETERS,
    REPLY_HEADERS,
    REQUEST_HEADERS,
)

CLASSIFY_OPERATIONS = {
    "/models/{model_id}": "classify",
    "/pipeline/text-classification/{model_id}": "classify_by_task",
    "/hf-inference/models/{model_id}": "classify_by_provider",
    "/hf-inference/models/{model_id}/pipeline/text-classification": "classify_by_provider_and_task",
    "/api/inference-proxy/hf-inference/models/{model_id}": "classify_by_proxy",
}
CLASSIFY_PATHS = tuple(CLASSIFY_OPERATIONS)
"""Every path that classifies with a named model (contract section 1.1); CLASSIFY_OPERATIONS has their operation ids."""

_JSON = "application/json"
_OBJECT: dict[str, Any] = {"type": "object"}
_OBJECTS: dict[str, Any] = {"type": "array", "items": _OBJECT}
LOOK_UPS = {
    "/api/models": ("The models on this machine, with the Hub's filters and paging.", _OBJECTS),
    "/api/models/{model_id}": ("A model, as the Hub describes it.", _OBJECT),
    "/api/tasks": ("The task, with its default model.", _OBJECT),
    "/api/whoami-v2": ("Who a token belongs to; 401 without one.", _OBJECT),
    "/status/{model_id}": ("Whether a model is loaded.", _OBJECT),
    "/framework/{framework}": ("The models on this machine that answer with a framework.", _OBJECTS),
    "/v1/models": ("The models on this machine, as OpenAI lists its own.", _OBJECT),
    "/v1/models/{model_id}": ("A model, as OpenAI describes one, and whether it is loaded.", _OBJECT),
}
"""Look-ups as of the Hub and of OpenAI, and their replies (contract sections 1.1, 8, 9.2)."""

PAGES = {
    "/": "The task and the models recommended for it; a page for browsers.",
    "/models": "The models of this server, narrowed by search, state and language; a page for browsers.",
    "/models/{model_id}": "What is known of the model without loading it; a page for browsers.",
    "/policies/{name}": "A policy of the configuration file; a page for browsers.",
    "/docs/text-classification": "This document; a page for browsers.",
}
"""GETs that are HTML when Accept names text/html, and JSON otherwise."""

_RANKING = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["label", "score"],
        "properties": {"label": {"type": "string"}, "score": {"type": "number"}},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "estimated_time": {"type": "number"}},
}
_PAIR = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "text_pair": {"type": "string", "nullable": True}},
}
ERRORS = {
    "400": "The request is wrong; the sentence names the field and what is allowed.",
    "401": "An access token is needed, and the request has none that counts.",
    "403": "The access token is for other models or another role; the Host or the page's site is not one that this "
    "server knows; or the model is too large for the memory budget or a download.",
    "404": "There is no such model or path, or the model is not loaded and must not be.",
    "408": "The request did not arrive within its receive deadline.",
    "413": "The body is too large.",
    "415": "The body is compressed, and not with gzip.",
    "429": "Too much work waits; Retry-After says when to come back.",
    "431": "The headers are too large.",
    "500": "The model failed.",
    "502": "The Hub cannot be reached, or fails; Retry-After says when to come back.",
    "503": "The model is loading (with estimated_time), or the server is stopping; Retry-After says when to come back.",
    "507": "The disk or the store of downloaded models is full, or cannot be written to.",
}
DIALECT_ERRORS = {
    "413": "The body is too large; where text-embeddings-inference says so, also a text or a list of texts.",
    "422": "The request is wrong, where text-embeddings-inference says so.",
    "424": "The model failed or has another task, where text-embeddings-inference says so.",
}
_CONNECTION_ERRORS = ("400", "403", "408", "429", "431", "500")
"""Errors of every route: of its connection, its Host and its Origin, and our own."""
_MODEL_ERRORS = ("404", "502", "503", "507")
"""Errors of a route that finds or loads a model."""
_TOKEN_ERRORS = ("401", "503")
"""Errors of a route that needs an access token; 503 while their database is away."""
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {}]
"""An access token, or none where none was ever made."""
NEED_TOKEN = {"/info", "/metrics", "/status", "/api/whoami-v2", "/models/{model_id}/info"}
NEED_TOKEN |= {path.replace(":path}", "}") for path in OF_MODEL}
"""GETs that need an access token, as all requests to classify do."""


def openapi(limits: InputLimits, prefix: str = "") -> dict[str, Any]:
    """The OpenAPI 3.0 document of the routes, with this server's limits and the path at which it is served."""
    classify = _classify(limits)
    model_id = {"name": "model_id", "in": "path", "required": True, "schema": {"type": "string"}}
    paths: dict[str, Any] = {"/": {"post": {"operationId": "classify_with_default", **classify}}}
    for path, operation in CLASSIFY_OPERATIONS.items():
        paths[path] = {"post": {"operationId": operation, **classify}}
    for dialect in EVERY_DIALECT:
        for path in dialect.paths:
            paths[path.replace(":path}", "}")] = {"post": _ask(dialect, path)}
    gets: dict[str, tuple[str, dict[str, Any]]] = {
        "/models/{model_id}/info": ("What the model is.", _OBJECT),
        **{path: (sentence, _OBJECTS if path == "/models" else _OBJECT) for path, sentence in PAGES.items()},
        **LOOK_UPS,
        "/metrics": ("Counts and times, for Prometheus.", {"type": "string"}),
        "/status": ("Models, queues, memory, cache and limits of this process.", _OBJECT),
        "/info": ("The default model.", _OBJECT),
        **{path: (sentence, _OBJECT) for path, sentence in GETS.items()},
    }
    for path, (sentence, schema) in gets.items():
        paths[path] = {**paths.get(path, {}), "get": _get(path, sentence, schema)}
    for path, operations in paths.items():
        if names := [{**model_id, "name": name} for name in re.findall(r"{(\w+)}", path)]:
            operations["parameters"] = names
    return {
        "openapi": "3.0.3",
        "info": {"title": "labeld", "version": version("labeld"), "description": "Text classification."},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _classify(limits: InputLimits) -> dict[str, Any]:
    text = {"oneOf": [{"type": "string"}, _PAIR]}
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"oneOf": [*text["oneOf"], {"type": "array", "maxItems": limits.max_inputs, "items": text}]},
            "parameters": {"type": "object", "properties": PARAMETERS},
            "options": {"type": "object", "properties": OPTIONS},
        },
    }
    return {
        "summary": "Classify texts",
        "parameters": [
            {"name": name, "in": "header", "description": text, "schema": HEADER_SCHEMAS[name]}
            for name, text in REQUEST_HEADERS.items()
            if name != "authorization"  # which OpenAPI wants in `security` only
        ],
        "security": _SECURITY,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {
                **_content("One ranking per input, best label first.", {"type": "array", "items": _RANKING}),
                "headers": _headers(*REPLY_HEADERS),
            },
            **{status: _error(status, sentence) for status, sentence in ERRORS.items()},
        },
    }


def _ask(dialect: Dialect[Any], path: str) -> dict[str, Any]:
    words = re.findall(r"[a-z0-9]+", path.replace("{model_id:path}", "model"))
    reply = {**_content("The reply in the shape of that dialect.", {}), "headers": _headers(*REPLY_HEADERS)}
    error = _ERROR if dialect.error is None else _OBJECT
    return {
        "operationId": "_".join(["ask", *words]),
        "summary": dialect.description,
        "security": _SECURITY,
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": _OBJECT, "example": json.loads(dialect.example)}},
        },
        "responses": {
            "200": reply,
            **{status: _error(status, sentence, error) for status, sentence in {**ERRORS, **DIALECT_ERRORS}.items()},
        },
    }


def _get(path: str, sentence: str, schema: dict[str, Any]) -> dict[str, Any]:
    errors = {*_CONNECTION_ERRORS, *(_MODEL_ERRORS if "{model_id}" in path else ())}
    errors |= {*(_TOKEN_ERRORS if path in NEED_TOKEN else ()), *(("503",) if path in READY else ())}
    errors |= {"404"} if "{" in path else set()
    words = re.findall(r"[a-z0-9]+", path.replace("{model_id}", "model").replace("{framework}", ""))
    reply = _content(sentence, schema, "text/plain" if path == "/metrics" else _JSON)
    reply["headers"] = _headers("x-request-id")
    return {
        "operationId": "_".join(["get", *(words or ["home"])]),
        "summary": sentence,
        **({"security": _SECURITY} if path in NEED_TOKEN else {}),
        "responses": {"200": reply, **{status: _error(status, ERRORS[status]) for status in sorted(errors)}},
    }


def _headers(*names: str) -> dict[str, Any]:
    described = {**REPLY_HEADERS, **ERROR_HEADERS}
    return {name: {"description": described[name], "schema": HEADER_SCHEMAS[name]} for name in names}


def _error(status: str, sentence: str, schema: dict[str, Any] = _ERROR) -> dict[str, Any]:
    headers = _headers("x-request-id", "x-error-message", *HEADERS_OF.get(status, ()))
    return {**_content(sentence, schema), "headers": headers}


def _content(sentence: str, schema: dict[str, Any], media_type: str = _JSON) -> dict[str, Any]:
    return {"description": sentence, "content": {media_type: {"schema": schema}}}
