"""The fields of requests and replies, as /openapi.json and the page of the API describe them."""

from typing import Any

from labeld.auth.errors import CHALLENGE
from labeld.error_reply import HEADER_CHARACTERS

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
        "description": "A label's score in the text from those in its windows, of which stride or an alias has some. "
        "Default and null: max.",
    },
    "return_windows": {
        "type": "boolean",
        "nullable": True,
        "description": "With windows, of stride or of an alias: each text is answered with an object of its labels and "
        "of its windows, each with start and end in characters.",
    },
    "threshold": {
        "oneOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "number"}}],
        "nullable": True,
        "description": "Labels of a lower score are left out: one number for all, or one for each of some labels.",
    },
}
"""The members of `parameters` in the body."""

OPTIONS: dict[str, dict[str, Any]] = {
    "use_cache": {
        "type": "boolean",
        "nullable": True,
        "description": "false: the answer is computed anew, and not taken from the cache. Default: true.",
    },
    "wait_for_model": {
        "type": "boolean",
        "nullable": True,
        "description": "true: the request is held while its model loads, and not answered 503. Default: false.",
    },
    "dont_load_model": {
        "type": "boolean",
        "nullable": True,
        "description": "true: the model is not loaded for this request; 404 unless it is loaded. Default: false.",
    },
}
"""The members of `options` in the body; the headers win over them."""

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
ERROR_HEADERS = {
    "x-error-message": "The sentence of the body, in ASCII.",
    "x-error-code": "What huggingface_hub makes its own exception of.",
    "www-authenticate": "The scheme in which an access token is sent.",
    "retry-after": "Seconds after which another try may succeed.",
    "ratelimit": "Requests that an access token with a limit has left, and the seconds until it has others.",
    "ratelimit-policy": "The limit of the access token: requests per 60 seconds.",
}
HEADERS_OF = {
    "401": ("www-authenticate",),
    "403": ("x-error-code",),
    "404": ("x-error-code",),
    "429": ("retry-after", "ratelimit", "ratelimit-policy"),
    "502": ("retry-after",),
    "503": ("retry-after",),
}
"""Headers of errors by their status, beside those of every error."""

COUNTS = (
    *("x-compute-characters", "x-compute-tokens", "x-total-time", "x-tokenization-time", "x-queue-time"),
    *("x-inference-time", "x-windows", "x-truncated-texts", "x-truncated-characters"),
)
_NUMBER = {"type": "number", "minimum": 0}
_SWITCH = {"type": "string", "enum": ["true", "false", "1", "0"]}
HEADER_SCHEMAS: dict[str, dict[str, Any]] = {
    "x-use-cache": _SWITCH,
    "x-wait-for-model": _SWITCH,
    "x-load-model": _SWITCH,
    "x-request-id": {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z0-9._:;=-]+$"},
    "x-compute-time": _NUMBER,
    "x-compute-type": {"type": "string", "enum": ["cpu", "cache"]},
    "x-sha": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
    "x-hf-warning": {"type": "string", "pattern": "^Ignored parameters; [ -:<-~]+$"},
    "x-model": {"type": "string", "minLength": 1},
    "x-error-message": {"type": "string", "minLength": 1, "maxLength": HEADER_CHARACTERS},
    "x-error-code": {"type": "string", "enum": ["GatedRepo", "RepoNotFound"]},
    "www-authenticate": {"type": "string", "enum": [CHALLENGE[1].decode()]},
    "retry-after": {"type": "integer", "minimum": 1},
    "ratelimit": {"type": "string", "pattern": '^"api";r=0;t=[0-9]+$'},
    "ratelimit-policy": {"type": "string", "pattern": '^"fixed window";"api";q=[0-9]+;w=60$'},
    **{name: {"type": "integer", "minimum": 0} for name in COUNTS},
}
"""The values of these headers."""
