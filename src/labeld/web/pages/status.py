"""`/status`: the state of this server now and in the last ten minutes, as HTML and JSON."""

import json
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from labeld.web.pages.context import Site
from labeld.web.pages.formatting import Unit, duration, shown
from labeld.web.pages.rendering import address, page, wants_html

HEADERS = {"cache-control": "no-store", "vary": "accept"}
COLOURS = 6
"""Number of colours of a bar's parts, which repeat after that."""


class Figure(NamedTuple):
    """A row of the table of figures."""

    column: str
    """Its name in `recent`."""
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
    Figure("refused", "Refused", "rate"),
    Figure("failed", "Failed", "rate"),
)


class Chart(NamedTuple):
    """A chart of one or more columns of `history`."""

    name: str
    unit: Unit
    series: tuple[tuple[str, str], ...]
    """Each column and, where there are several, its name in the legend."""


CHARTS = (
    Chart("Requests", "rate", (("requests", "all"), ("refused", "refused"), ("failed", "failed"))),
    Chart("Latency", "seconds", (("p50", "median"), ("p99", "99th percentile"))),
    Chart("Tokens computed", "rate", (("tokens", ""),)),
    Chart("Texts per batch", "number", (("batch_texts", ""),)),
    Chart("Tokens waiting", "number", (("queue", ""),)),
    Chart("From the cache", "share", (("cached", ""),)),
)


async def status(site: Site, request: Request) -> Response:
    """The state of the server, whichever worker answers."""
    state = await site.workers.status()
    if not wants_html(request.headers.get("accept", "")):
        body = json.dumps(state, ensure_ascii=False).encode()
        return Response(body, headers=HEADERS, media_type="application/json")
    return await page(
        "status.html",
        headers=HEADERS,
        here="/status",
        address=address(request),
        state=state,
        figures=FIGURES,
        charts=CHARTS,
        parts=_parts(state),
        colours=COLOURS,
        shown=shown,
        duration=duration,
    )


def _parts(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Start and width of each part of the memory bar, in percent of the budget, or of the memory in use if larger."""
    memory, models = state["memory"], state["models"]
    whole = max(memory["budget"], memory["used"], 1)
    sizes = [one["bytes"] for one in models]
    parts, start = [], 0.0
    for size in (*sizes, max(0, memory["used"] - sum(sizes))):
        share = 100 * size / whole
        parts.append({"start": f"{start:.2f}%", "width": f"{share:.2f}%"})
        start += share
    return parts
