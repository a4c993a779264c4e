"""Requests as a fuzzer makes them: from a grammar of all routes, dialects and headers, and then mutated."""

import copy
import gzip
import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlencode

from labeld.config.settings import InputLimits
from labeld.web.openapi import openapi

Mutation = Callable[[random.Random, Any], Any]


class Input(NamedTuple):
    """One request."""

    method: str
    target: str
    """Path and query, as they are sent, in latin-1."""
    headers: Sequence[tuple[bytes, bytes]]
    parts: Sequence[bytes]
    """Pieces in which the body arrives; none where there is none."""

    @property
    def body(self) -> bytes:
        """The body."""
        return b"".join(self.parts)

    def as_json(self) -> str:
        """A line of the corpus."""
        fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        return json.dumps([self.method, self.target, fields, [part.decode("latin-1") for part in self.parts]])

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The input of a line of the corpus."""
        method, target, fields, parts = json.loads(line)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        return cls(method, target, headers, [part.encode("latin-1") for part in parts])

    def as_bytes(self) -> bytes:
        """The request as it is sent over a socket; its head has one line per field."""
        lines = b"".join(b"%s: %s\r\n" % field for field in self.headers)
        length = b"content-length: %d\r\n" % len(self.body) if self.parts else b""
        return b"%s %s HTTP/1.1\r\n%s%s\r\n%s" % (
            self.method.encode(),
            self.target.encode("latin-1"),
            lines,
            length,
            self.body,
        )


MODELS = (
    "org/bert",
    "org/one-label",
    "org/multi-label",
    "org/nli",
    "org/nli-first",
    "bare",
    "a/same",
    "same",
    "none/a",
)
TEXTS = (
    "i like the film",
    "",
    "the market fell",
    "\0",
    "é日本",
    "x" * 40,
    "word " * 60,
    "\N{GRINNING FACE}",
    "a [SEP] b",
)
IDS: tuple[str, ...] = (
    "..",
    "../../etc/passwd",
    "%2e%2e/x",
    "org/bert/",
    "/org/bert",
    "org//bert",
    "org%2Fbert",
    "a" * 300,
    "org/bert\n",
)
IDS += ("org/bert@main", "org/bert:predict", "\u212aelvin", "org\\bert", "org/bert%00", "http://169.254.169.254/x", "é")
MEMBERS = (
    *("inputs", "input", "text", "text_pair", "texts", "query", "queries", "documents", "passages", "instances"),
    *("parameters", "options", "labels", "candidate_labels", "hypothesis_template", "multi_label", "model", "top_k"),
    *(
        "top_n",
        "truncate",
        "truncation",
        "truncation_direction",
        "truncation_side",
        "max_length",
        "stride",
        "aggregate",
    ),
    *("return_windows", "threshold", "function_to_apply", "return_all_scores", "raw_scores", "return_text", "name"),
    *("return_documents", "max_tokens_per_doc", "truncate_prompt_tokens", "use_activation", "activation", "data", "id"),
    *("shape", "datatype", "outputs", "label", "use_cache", "wait_for_model", "dont_load_model", "text_1", "text_2"),
    *("contents", "detector_params", "structured_messages", "images", "additional_provider_specific_params", "task"),
)
SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3.0, 0.5, -0.0, 1e308, 2**31, 2**63, -(2**63), 2**64, 10**400, "", "1", "true"),
    *(
        "\ud800",
        "\udfff x",
        "\0",
        "a",
        "max",
        "mean",
        "left",
        "sigmoid",
        "none",
        "BYTES",
        "org/bert",
        "x" * 5000,
        [],
        {},
    ),
    *([[]], [[[]]], {"": ""}, {"text": "a"}, {"text": None}, ["a", 1], [None], {"role": "user", "content": "a"}),
)
PIECES = (
    *(b'{"inputs":', b"[", b"]", b"{", b"}", b'"', b"\\", b"\\ud800", b"\\udc00", b",", b":", b"1e999", b"NaN", b"\0"),
    *(
        b"-Infinity",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"0" * 5000,
        b"inputs=a&",
        b"\r\n",
        b"//",
        b"[" * 99,
    ),
    *(b'"inputs":"a",', b"null", b"1.0", b"-", b"e", b"\xf0\x9f", b"%7B", b"\x1f\x8b"),
)
FIELDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "content-type",
        ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "*"),
    ),
    ("content-type", ("application/json; charset=utf-16", "application/octet-stream", "", "a" * 500, "é")),
    ("content-encoding", ("gzip", "identity", "br", "gzip, gzip", "x-gzip", "deflate", "", "GZIP")),
    ("accept", ("*/*", "text/html", "application/json", "text/html;q=0", "", ",", "text/html, */*;q=0.1")),
    ("x-use-cache", ("0", "1", "true", "false", "", "maybe", "\xff")),
    ("x-wait-for-model", ("0", "1", "true", "false", "x")),
    ("x-load-model", ("0", "1", "true", "false", "x")),
    ("authorization", ("Bearer hf_abc", "Bearer ", "Basic YTpi", "Bearer  x", "bearer hf_" + "a" * 40, "\xe9")),
    ("host", ("localhost", "127.0.0.1:80", "evil.example", "", "localhost:99999", "[::1]", "a" * 300, "localhost@x")),
    ("origin", ("null", "https://evil.example", "http://localhost", "http://127.0.0.1:80", "", "x", "http://[")),
    ("sec-fetch-site", ("same-origin", "cross-site", "none", "same-site", "x")),
    ("sec-fetch-mode", ("cors", "navigate", "no-cors")),
    ("access-control-request-method", ("POST", "GET", "x", "")),
    ("access-control-request-headers", ("authorization", "x-use-cache, content-type", "é", ",")),
    ("cookie", ("labeld=x", "labeld_session=abc; a=b", "=", ";;;", "a" * 4000)),
    ("x-request-id", ("abc", "a" * 129, "a\tb", "é", "")),
    ("x-amzn-trace-id", ("abc", "Root=1-2-3")),
    ("traceparent", ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-x", "")),
    ("user-agent", ("unknown/None; hf_hub/0.36.0; python/3.11", "huggingface_hub/x", "hf_hub/", "")),
    ("inference-header-content-length", ("0", "1", "-1", "99999999999", "x", "", "40")),
    ("detector-id", ("default", "org/bert", "none", "é", "")),
    ("range", ("bytes=0-", "bytes=-1", "bytes=0-0,1-1", "x")),
    ("if-none-match", ("*", '"x"')),
    ("x-forwarded-for", ("1.2.3.4", "x")),
    ("expect", ("100-continue", "x")),
    ("content-length", ("0", "5", "99999999")),
    ("x-" + "a" * 100, ("b" * 1000,)),
)
QUERIES: tuple[str, ...] = (
    "",
    "",
    "",
    "",
    "top_k=1",
    "top_k=%ff&a",
    "truncation=&&=;",
    "full=true",
    "limit=5&skip=1",
    "search=%00",
)
QUERIES += (
    "filter=text-classification&sort=x&limit=-1",
    "inference=warm",
    "cursor=zzz",
    "page=999999999999",
    "%",
    "code=x",
)
PAGES: tuple[str, ...] = (
    "/tokens",
    "/sign-in",
    "/sign-out",
    "/static/labeld.css",
    "/static/../app.py",
    "/tokens/abc/revoke",
    "/favicon.ico",
)
PAGES += ("/status/org/bert", "/nothing", "/", "//", "/models//", "/docs/text-classification", "/v1", "/openapi.json")
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST", "TRACE")


class Grammar:
    """Inputs by chance, of which the same seed makes the same ones."""

    def __init__(self, seed: int, bodies: dict[str, dict[str, Any]]) -> None:
        """`bodies` has a good body of each dialect by name (tests.support.dialect_bodies)."""
        self._dice = random.Random(seed)
        paths = openapi(InputLimits())["paths"]
        self._operations = [
            (method.upper(), path) for path, methods in paths.items() for method in methods if method != "parameters"
        ]
        self._bodies = [*bodies.values(), {"inputs": "i like the film"}, {"inputs": ["a", "b"], "parameters": {}}]
        self._by_path = _bodies_by_path(bodies)

    def __call__(self) -> Input:
        """The next input."""
        dice = self._dice
        method, target = self._route()
        headers = self._headers()
        if method == "GET" and dice.random() < 0.97:
            return Input(method, target, headers, ())
        body, more = self._body(target)
        headers += more
        cut = dice.randrange(len(body) + 1) if body and dice.random() < 0.1 else None
        return Input(method, target, headers, [body] if cut is None else [body[:cut], body[cut:]])

    def _route(self) -> tuple[str, str]:
        dice = self._dice
        # NOTE: most of the code is behind POST
        method, template = dice.choice(self._operations)
        while method == "GET" and dice.random() < 0.5:
            method, template = dice.choice(self._operations)
        if dice.random() < 0.05:
            template = dice.choice(PAGES)
        if dice.random() < 0.04:
            method = dice.choice(METHODS)
        model = dice.choice(IDS) if dice.random() < 0.1 else dice.choice(MODELS)
        path = template.replace("{model_id}", quote(model, safe="/%@:\\.\n")).replace("\n", "%0A")
        path = path.replace("{version}", dice.choice(("1", "main", "x"))).replace("{framework}", "transformers")
        if dice.random() < 0.03:
            at = dice.randrange(len(path) + 1)
            path = path[:at] + dice.choice(("/", "%00", "..", "%2F", "%0A", "%FF", ";", "%C3%A9", "//")) + path[at:]
        query = dice.choice(QUERIES)
        return method, f"{path or '/'}?{query}" if query else path or "/"

    def _headers(self) -> list[tuple[bytes, bytes]]:
        dice = self._dice
        headers = [(b"host", b"localhost")]
        for _ in range(dice.choice((0, 0, 1, 1, 2, 3))):
            name, values = dice.choice(FIELDS)
            value = dice.choice(values).encode("latin-1", "replace")
            if name == "host":
                headers = [(b"host", value)]
            elif name == "content-length":
                continue  # the transport's own: `lib.forms` sends wrong ones
            else:
                headers.append((name.encode(), value))
        return headers

    def _body(self, target: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """A body, and header fields that belong to it."""
        dice = self._dice
        good = next((body for path, body in self._by_path if path in target), None)
        value = copy.deepcopy(good if good is not None and dice.random() < 0.8 else dice.choice(self._bodies))
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 6))):
            value = self._mutated(value)
        kind = dice.random()
        if kind < 0.03 and isinstance(value, dict):
            pairs = [(str(name), json.dumps(one)) for name, one in value.items()]
            form = urlencode(pairs, errors="surrogatepass").encode()
            return form, [(b"content-type", b"application/x-www-form-urlencoded")]
        if kind < 0.05:
            return self._tensor()
        body = json.dumps(value, ensure_ascii=dice.random() < 0.7).encode("utf-8", "surrogatepass")
        if kind < 0.08:
            return gzip.compress(body, 1), [(b"content-encoding", b"gzip")]
        if kind < 0.25:
            for _ in range(dice.choice((1, 1, 2, 4))):
                body = self._spoilt(body)
        elif kind < 0.26:
            body = body.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
        return body, [(b"content-type", b"application/json")] if dice.random() < 0.8 else []

    def _tensor(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """A binary tensor of the Open Inference Protocol."""
        dice = self._dice
        texts = [dice.choice(TEXTS).encode() for _ in range(dice.randint(0, 3))]
        data = b"".join(struct.pack("<I", len(one)) + one for one in texts)
        size = dice.choice((len(data), len(data), len(data) + 1, 0, -1, 2**40))
        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor]}).encode()
        length = dice.choice((len(head), len(head), len(head), 0, len(head) + 1, 10**9))
        return head + data, [(b"inference-header-content-length", b"%d" % length)]

    def _mutated(self, value: Any) -> Any:
        """The value with a change at a place of it."""
        dice = self._dice
        places = _places(value)
        if not places or dice.random() < 0.02:
            return dice.choice(SCALARS)
        container, key = dice.choice(places)
        what = dice.random()
        if what < 0.45:
            container[key] = copy.deepcopy(dice.choice(SCALARS))
        elif what < 0.6:
            container[key] = dice.choice(TEXTS)
        elif what < 0.7:
            del container[key]
        elif what < 0.9:
            owner = next((one for one, _ in places if isinstance(one, dict) and dice.random() < 0.5), value)
            if isinstance(owner, dict):
                owner[dice.choice(MEMBERS)] = copy.deepcopy(dice.choice((*SCALARS, *MODELS, *TEXTS)))
        elif what < 0.96:
            container[key] = [container[key]] * dice.choice((1, 2, 3, 40))
        else:
            for _ in range(dice.choice((5, 31, 33, 200))):
                container[key] = [container[key]] if dice.random() < 0.5 else {"a": container[key]}
        return value

    def _spoilt(self, body: bytes) -> bytes:
        """The bytes with a change at a place of them."""
        dice = self._dice
        at, what = dice.randrange(len(body) + 1), dice.random()
        if what < 0.3:
            return body[:at] + dice.choice(PIECES) + body[at:]
        if what < 0.5:
            return body[:at]
        if what < 0.7:
            return body[:at] + body[at + dice.randint(1, 5) :]
        if what < 0.9:
            return body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]
        return body[:at] + body[dice.randrange(len(body) + 1) :]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each place inside a value, as its container and its key, so far as a request nests."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting and len(found) < 60:
        one = waiting.pop()
        keys: Any = range(len(one)) if isinstance(one, list) else list(one) if isinstance(one, dict) else ()
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found


def _bodies_by_path(bodies: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """A part of a path -> a good body of what is asked there; the first that fits counts."""
    messages = [{"role": "user", "content": "a text"}]
    return [
        ("/v1/rerank", bodies["cohere"]),
        ("/v2/rerank", bodies["cohere"]),
        ("/rerank", bodies["rerank"]),
        ("text-ranking", bodies["text_ranking"]),
        ("/score", bodies["score"]),
        ("/v1/ranking", bodies["nim"]),
        ("zero-shot", bodies["zero_shot"]),
        ("/predict", bodies["predict"]),
        ("/v1/classify", bodies["jina"]),
        ("/classify", bodies["classify"]),
        ("/infer", bodies["open_inference"]),
        (":predict", bodies["kserve"]),
        ("/vertex", bodies["vertex"]),
        ("/invocations", bodies["sagemaker"]),
        ("/v1/moderations", {"input": ["a text"], "model": "org/bert"}),
        ("/api/v1/text/contents", {"contents": ["a text"], "detector_params": {}}),
        ("/beta/litellm", {"texts": ["a text"], "structured_messages": messages}),
        ("/models", {"inputs": ["i like the film", {"text": "a", "text_pair": "b"}], "parameters": {"top_k": 2}}),
    ]
