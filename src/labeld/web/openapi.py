"""The description served at /openapi.json."""

import re
from importlib.metadata import version
from typing import Any

from labeld.config.settings import InputLimits

CLASSIFY_PATHS = (
    "/models/{model_id}",
    "/pipeline/text-classification/{model_id}",
    "/hf-inference/models/{model_id}",
    "/hf-inference/models/{model_id}/pipeline/text-classification",
    "/api/inference-proxy/hf-inference/models/{model_id}",
)
"""Every path that classifies with a named model (contract section 1.1)."""

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
}
"""Look-ups as of the Hub, and their replies (contract sections 1.1, 8, 9.2)."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "top_k": {
        "type": "integer",
        "minimum": 1,
        "nullable": True,
        "description": "At most this many labels, the best ones. Default and null: all.",
    },
    "function_to_apply": {
        "type": "string",
        "enum": ["sigmoid", "softmax", "none"],
        "nullable": True,
        "description": "How logits become scores. Default and null: the model's own, which is none for a regression, "
        "sigmoid for multi-label and one-label models, softmax for the rest.",
    },
    "truncation": {
        "oneOf": [
            {"type": "boolean"},
            {"type": "string", "enum": ["longest_first", "only_first", "only_second", "do_not_truncate"]},
        ],
        "description": "Whether a text that is longer than the model takes is cut, and which text of a pair. Default: "
        "false, and such a text is 400.",
    },
    "max_length": {
        "type": "integer",
        "minimum": 1,
        "description": "Tokens to keep, special tokens included; by itself it switches truncation on.",
    },
    "return_all_scores": {
        "type": "boolean",
        "nullable": True,
        "description": "Of transformers 4: false is top_k 1, true and null are all labels; top_k wins. Use top_k.",
    },
}
"""The members of `parameters` in the body."""

REQUEST_HEADERS = {
    "authorization": "Bearer and an access token; needed once this server has any.",
    "x-use-cache": "false or 0: the answer is computed anew, and not taken from the cache.",
    "x-wait-for-model": "true or 1: the request is held while its model loads, and not answered 503.",
    "x-load-model": "0: the model is not loaded for this request; 404 unless it is loaded already.",
    "x-request-id": "Comes back in the reply, if it is short and safe; so does x-amzn-trace-id.",
}
REPLY_HEADERS = {
    "x-compute-time": "Seconds that the answer took; of a cached one, those when it was computed.",
    "x-compute-type": "cpu, or cache when the answer to every text was cached.",
    "x-compute-characters": "Characters of all texts; not with cache.",
    "x-sha": "The model's revision, 40 hex digits.",
    "x-request-id": "The request's own, or a new one.",
    "x-hf-warning": "Names the parameters that mean nothing here and were ignored.",
}

PAGES = {
    "/": "The task and the models recommended for it; a page for browsers.",
    "/models": "The models of this server, narrowed by search, state and language; a page for browsers.",
    "/models/{model_id}": "What is known of the model without loading it; a page for browsers.",
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
    "415": "The body is compressed.",
    "429": "Too much work waits; Retry-After says when to come back.",
    "431": "The headers are too large.",
    "500": "The model failed.",
    "502": "The Hub cannot be reached, or fails; Retry-After says when to come back.",
    "503": "The model is loading (with estimated_time), or the server is stopping; Retry-After says when to come back.",
}


def openapi(limits: InputLimits) -> dict[str, Any]:
    """The OpenAPI 3.0 document of the routes, with this server's limits."""
    classify = _classify(limits)
    model_id = {"name": "model_id", "in": "path", "required": True, "schema": {"type": "string"}}
    paths: dict[str, Any] = {"/": {"post": classify}}
    for path in CLASSIFY_PATHS:
        paths[path] = {"parameters": [model_id], "post": classify}
    paths["/models/{model_id}/info"] = {"parameters": [model_id], "get": _get("What the model is.")}
    paths["/models/{model_id}/health"] = {"parameters": [model_id], "get": _get("200 when the model answers.")}
    for path, text in PAGES.items():
        paths[path] = {**paths.get(path, {}), "get": _get(text, _OBJECTS if path == "/models" else _OBJECT)}
    for path, (text, schema) in LOOK_UPS.items():
        names = [{**model_id, "name": name} for name in re.findall(r"{(\w+)}", path)]
        paths[path] = {**({"parameters": names} if names else {}), "get": _get(text, schema)}
    paths["/metrics"] = {"get": _get("Counts and times, for Prometheus.", {"type": "string"}, "text/plain")}
    for path, text in (
        ("/status", "Models, queues, memory, cache and limits of this process."),
        ("/info", "What the default model is."),
        ("/health", "200 while the process lives."),
        ("/ready", "200 while requests are answered, else 503."),
    ):
        paths[path] = {"get": _get(text)}
    return {
        "openapi": "3.0.3",
        "info": {"title": "labeld", "version": version("labeld"), "description": "Text classification."},
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
        },
    }
    return {
        "summary": "Classify texts",
        "parameters": [
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in REQUEST_HEADERS.items()
            if name != "authorization"  # which OpenAPI wants in `security` only
        ],
        "security": [{"token": []}, {}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {
                **_content("One ranking per input, best label first.", {"type": "array", "items": _RANKING}),
                "headers": {
                    name: {"description": text, "schema": {"type": "string"}} for name, text in REPLY_HEADERS.items()
                },
            },
            **{status: _content(sentence, _ERROR) for status, sentence in ERRORS.items()},
        },
    }


def _get(sentence: str, schema: dict[str, Any] = _OBJECT, media_type: str = _JSON) -> dict[str, Any]:
    return {"summary": sentence, "responses": {"200": _content(sentence, schema, media_type)}}


def _content(sentence: str, schema: dict[str, Any], media_type: str = _JSON) -> dict[str, Any]:
    return {"description": sentence, "content": {media_type: {"schema": schema}}}
