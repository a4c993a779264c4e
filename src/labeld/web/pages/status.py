"""`/status`: what this server does now and did in the last ten minutes; JSON for programs, a page for people."""

import json
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from labeld.web.pages.context import Site
from labeld.web.pages.formatting import Unit, duration, shown
from labeld.web.pages.rendering import origin, page, wants_html

HEADERS = {"cache-control": "no-store", "vary": "accept"}
COLOURS = 6
"""Different ones of the parts of a bar; then they repeat."""


class Figure(NamedTuple):
    """A row of the table: what of `recent` it shows."""

    key: str
    name: str
    unit: Unit


FIGURES = (
    Figure("requests", "Requests", "rate"),
    Figure("texts", "Texts answered", "rate"),
    Figure("p50", "Latency, median", "seconds"),
    Figure("p99", "Latency, 99th percentile", "seconds"),
    Figure("tokens", "Tokens computed", "rate"),
    Figure("batches", "Batches", "rate"),
    Figure("batch_texts", "Texts per batch", "number"),
    Figure("queue", "Tokens waiting, at most", "number"),
    Figure("cached", "From the cache", "share"),
    Figure("refused", "Told to come back later", "rate"),
    Figure("failed", "Failed", "rate"),
)


class Chart(NamedTuple):
    """A chart: which columns of `history` it draws."""

    name: str
    unit: Unit
    series: tuple[tuple[str, str], ...]
    """Column and, where there are several, what it is called."""


CHARTS = (
    Chart("Requests", "rate", (("requests", "all"), ("refused", "refused"), ("failed", "failed"))),
    Chart("Latency", "seconds", (("p50", "median"), ("p99", "99th percentile"))),
    Chart("Tokens computed", "rate", (("tokens", ""),)),
    Chart("Texts per batch", "number", (("batch_texts", ""),)),
    Chart("Tokens waiting", "number", (("queue", ""),)),
    Chart("From the cache", "share", (("cached", ""),)),
)


async def status(site: Site, request: Request) -> Response:
    """The state of the process that answers."""
    facts = site.status.as_json()
    if not wants_html(request.headers.get("accept", "")):
        body = json.dumps(facts, ensure_ascii=False).encode()
        return Response(body, headers=HEADERS, media_type="application/json")
    return await page(
        "status.html",
        headers=HEADERS,
        here="/status",
        address=origin(request),
        facts=facts,
        figures=FIGURES,
        charts=CHARTS,
        parts=_parts(facts),
        colours=COLOURS,
        shown=shown,
        duration=duration,
    )


def _parts(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of the bar of memory, in percent of the budget or of what is used, if that is more."""
    memory, models = facts["memory"], facts["models"]
    whole = max(memory["budget"], memory["used"], 1)
    sizes = [one["bytes"] for one in models]
    parts, start = [], 0.0
    for size in (*sizes, max(0, memory["used"] - sum(sizes))):
        share = 100 * size / whole
        parts.append({"start": f"{start:.2f}%", "width": f"{share:.2f}%"})
        start += share
    return parts
