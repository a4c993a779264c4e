"""What a reply must be, whatever was asked: a documented status, an error of its dialect, and no inner words."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from labeld.config.settings import InputLimits
from labeld.error_reply import INTERNAL_ERROR
from labeld.web.openapi import openapi
from reliability.lib.application import Reply
from reliability.lib.inputs import Input

TEI, COHERE, DETECTOR, PLAIN = ("error", "error_type"), ("message", "detail"), ("code", "message"), ("error",)
OPENAI = ("message", "type", "param", "code")
SHAPES = (
    *((path, TEI) for path in ("/rerank", "/predict")),
    *((path, COHERE) for path in ("/v1/rerank", "/v2/rerank", "/v1/classify")),
    *((path, OPENAI) for path in ("/score", "/v1/score", "/v1/ranking", "/classify", "/v1/moderations")),
    ("/api/v1/text/contents", DETECTOR),
)
"""Members of the object of an error, by path, as docs/reference/dialects.md says; OpenAI's stand in `error`."""
INNER_WORDS = re.compile(rb'Traceback|site-packages|File "|/src/labeld|0x[0-9a-f]{8,}|object at |Errno|/tmp/')
WORD = re.compile(r"[\"'`][^\"'`]*[\"'`]|\d+")


@dataclass
class Verdicts:
    """Counts of what was wrong, and the first input of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, kinds: Iterator[str], asked: Input) -> list[str]:
        """Counts what is wrong with the reply to an input; returns it."""
        found = [*kinds]
        for kind in found:
            self.counts[kind] += 1
            self.first.setdefault(kind, asked.as_json()[:2000])
        return found


class Judge:
    """Knows what the API's description allows."""

    def __init__(self) -> None:
        self._documented = [
            (method.upper(), _pattern(path), {int(status) for status in operation["responses"]})
            for path, methods in openapi(InputLimits())["paths"].items()
            for method, operation in methods.items()
            if method != "parameters"
        ]

    def wrong(self, asked: Input, reply: Reply) -> Iterator[str]:
        """What is wrong with a reply: `status`, `traceback`, `shape`, `broken`, `inner words`."""
        if not reply.is_whole:
            yield "broken"
            return
        path = unquote(re.sub("^/+", "/", asked.target.partition("?")[0]))
        if not self._is_documented(asked.method, path, reply.status):
            yield "status"
        headers = {name.lower(): value for name, value in reply.headers}
        length = headers.get(b"content-length")
        if asked.method != "HEAD" and length is not None and int(length) != len(reply.body):
            yield "broken"
        shown = reply.body + headers.get(b"x-error-message", b"")
        if INTERNAL_ERROR.encode() in shown:
            yield "traceback"
        if reply.status >= 400 and INNER_WORDS.search(shown):
            yield "inner words"
        if any(b"\n" in value or b"\r" in value for _, value in reply.headers):
            yield "broken"
        if asked.method != "HEAD" and not self._has_shape(asked, path, reply, headers.get(b"content-type", b"")):
            yield "shape"

    def _is_documented(self, method: str, path: str, status: int) -> bool:
        """Where there is no such operation, and on pages for people, whatever is not our own failure."""
        allowed: set[int] = set()
        for its_method, pattern, statuses in self._documented:
            if its_method == method and pattern.fullmatch(path):
                allowed |= statuses
        return status in allowed if allowed else status < 500

    @staticmethod
    def _has_shape(asked: Input, path: str, reply: Reply, content_type: bytes) -> bool:
        if content_type.startswith(b"text/html"):
            return reply.body.lstrip().startswith(b"<!") or reply.status < 400
        if not content_type.startswith(b"application/json"):
            return reply.status < 400
        try:
            value = json.loads(reply.body, parse_constant=_no_constant)
        except ValueError:
            return False
        if reply.status < 400:
            return True
        if not isinstance(value, dict):
            return False
        return _is_error(path, value) or (_may_have_no_route(asked) and _is_error("", value))


def _is_error(path: str, value: dict[str, Any]) -> bool:
    expected = next((shape for its_path, shape in SHAPES if path == its_path), PLAIN)
    if expected is OPENAI:
        inner = value.get("error")
        return tuple(value) == PLAIN and isinstance(inner, dict) and tuple(inner) == OPENAI
    if expected is PLAIN:
        return isinstance(value.get("error"), str) and value.keys() <= {"error", "estimated_time", "warnings"}
    return tuple(value) == expected


def _pattern(path: str) -> re.Pattern[str]:
    """Of the paths that a template of the description has."""
    return re.compile("".join(".+" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", path)))


def _may_have_no_route(asked: Input) -> bool:
    """Whether it may be refused for its Host or for the page that it comes from, or has no route for its method."""
    fields = dict(asked.headers)
    is_from_page = any(name == b"origin" or name.startswith(b"sec-fetch-") for name in fields)
    return asked.method != "POST" or fields[b"host"] != b"localhost" or is_from_page


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def signature(asked: Input, reply: Reply) -> str:
    """What makes an input interesting: another way through the code than those before, as far as a reply shows it."""
    said = dict(reply.headers).get(b"x-error-message", b"").decode("latin-1")
    path = unquote(asked.target.partition("?")[0]).strip("/").partition("/")[0]
    place = path if path.isidentifier() and reply.status != 404 else ""
    return f"{asked.method} {place} {reply.status} {WORD.sub('_', said)[:20]}"
