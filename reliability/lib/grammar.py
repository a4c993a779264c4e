"""A grammar of all routes, dialects and headers, whose requests are then mutated."""

import copy
import gzip
import json
import random
import struct
from typing import Any
from urllib.parse import quote, urlencode

from labeld.config.settings import InputLimits
from labeld.web.openapi import openapi
from reliability.lib.inputs import Input
from reliability.lib.words import FIELDS, IDS, MEMBERS, METHODS, MODELS, PAGES, PIECES, QUERIES, SCALARS, TEXTS


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
                continue  # the transport's own: `framing` sends wrong ones
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
