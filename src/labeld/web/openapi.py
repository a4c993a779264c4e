"""The description served at /openapi.json."""

import re
from importlib.metadata import version
from typing import Any

from labeld.config.settings import InputLimits
from labeld.protocol.dialects.base import Dialect
from labeld.web.dialects import EVERY_DIALECT, GETS, OF_MODEL, READY

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
    "truncation_side": {
        "type": "string",
        "enum": ["left", "right"],
        "nullable": True,
        "description": "The side of a text that truncation cuts off; windows are counted from the other one. "
        "Default and null: the tokenizer's own.",
    },
    "stride": {
        "type": "integer",
        "minimum": 0,
        "nullable": True,
        "description": "Tokens that neighbouring windows share: a text longer than max_length, or than the model "
        "takes, is read to its end in windows. Default and null: no windows.",
    },
    "aggregate": {
        "type": "string",
        "enum": ["max", "mean"],
        "nullable": True,
        "description": "A label's score in the text from those in its windows. Default and null: max.",
    },
    "return_windows": {
        "type": "boolean",
        "nullable": True,
        "description": "With stride: each text is answered with an object of its labels and of its windows, each with "
        "start and end in characters.",
    },
    "threshold": {
        "oneOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "number"}}],
        "nullable": True,
        "description": "Labels of a lower score are left out: one number for all, or one for each of some labels.",
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
    "x-model": "Which of the two models of an alias with a split has answered.",
    "x-request-id": "The request's own, or a new one.",
    "x-hf-warning": "Names the parameters that mean nothing here and were ignored.",
    "x-compute-tokens": "Tokens that the model has read; not with cache.",
    "x-total-time": "Milliseconds from when the request's head had arrived; not with cache.",
    "x-tokenization-time": "Milliseconds of turning the texts into tokens; not with cache.",
    "x-queue-time": "Milliseconds that the slowest text waited for the engine; not with cache.",
    "x-inference-time": "Milliseconds of the longest batch; not with cache.",
    "x-windows": "Windows in which the texts were read, where any was read in several.",
    "x-truncated-texts": "Texts that were cut, where any was.",
    "x-truncated-characters": "Characters that were cut from them and that nobody has read.",
}

COUNTS = (
    *("x-compute-characters", "x-compute-tokens", "x-total-time", "x-tokenization-time", "x-queue-time"),
    *("x-inference-time", "x-windows", "x-truncated-texts", "x-truncated-characters"),
)
_NUMBER, _TEXT = {"type": "number", "minimum": 0}, {"type": "string"}
_SWITCH = {"type": "string", "enum": ["true", "false", "1", "0"]}
HEADER_SCHEMAS: dict[str, dict[str, Any]] = {
    "x-use-cache": _SWITCH,
    "x-wait-for-model": _SWITCH,
    "x-load-model": _SWITCH,
    "x-request-id": {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z0-9._:;=-]+$"},
    "x-compute-time": _NUMBER,
    "x-compute-type": {"type": "string", "enum": ["cpu", "cache"]},
    "x-sha": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
    "x-hf-warning": _TEXT,
    "x-model": {"type": "string", "minLength": 1},
    **{name: {"type": "integer", "minimum": 0} for name in COUNTS},
}
"""The values of these headers."""

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
DIALECT_ERRORS = {"422": "The request is wrong, where text-embeddings-inference says so."}
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
            **{status: _content(sentence, _ERROR) for status, sentence in ERRORS.items()},
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
        "requestBody": {"required": True, "content": {_JSON: {"schema": _OBJECT}}},
        "responses": {
            "200": reply,
            **{status: _content(sentence, error) for status, sentence in {**ERRORS, **DIALECT_ERRORS}.items()},
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
        "responses": {"200": reply, **{status: _content(ERRORS[status], _ERROR) for status in sorted(errors)}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"description": REPLY_HEADERS[name], "schema": HEADER_SCHEMAS[name]} for name in names}


def _content(sentence: str, schema: dict[str, Any], media_type: str = _JSON) -> dict[str, Any]:
    return {"description": sentence, "content": {media_type: {"schema": schema}}}
