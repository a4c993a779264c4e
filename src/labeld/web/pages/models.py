"""`/models`: the list of models."""

from starlette.requests import Request
from starlette.responses import Response

from labeld.web.pages.context import Site
from labeld.web.pages.model_view import STATES, ModelView, languages_of, of_all
from labeld.web.pages.recommended_models import KNOWN, LANGUAGE_NAMES
from labeld.web.pages.rendering import as_json, page, wants_html

ROWS = 50
"""Models on one page."""

SEARCH_CHARACTERS = 200
"""Characters of a search, at most; the rest is cut off."""


async def catalogue(site: Site, request: Request) -> Response:
    """All models on this machine and the known ones, filtered by `search`, `state` and `language` of the query."""
    query = request.query_params
    everything = await of_all(site.service)
    search, state, language = (
        query.get("search", "").strip()[:SEARCH_CHARACTERS],
        query.get("state"),
        query.get("language"),
    )
    found = [one for one in everything if _fits(one, search, state, language)]
    if not wants_html(request.headers.get("accept")):
        return as_json([one.as_json() for one in found])
    number = query.get("page", "1")
    start = (int(number) - 1) * ROWS if number.isascii() and number.isdigit() and 0 < len(number) < 6 else 0
    start = max(0, start if start < len(found) else 0)
    return await page(
        "models.html",
        here="/models",
        models=found[start : start + ROWS],
        start=start,
        found=len(found),
        total=len(everything),
        pages={
            name: str(request.url.include_query_params(page=(first // ROWS) + 1).query)
            for name, first in (("previous", start - ROWS), ("next", start + ROWS))
            if 0 <= first < len(found)
        },
        search=search,
        state=state,
        language=language,
        states=STATES,
        known=KNOWN,
        languages_there=list(languages_of(everything)),
        language_names=LANGUAGE_NAMES,
    )


def _fits(one: ModelView, search: str, state: str | None, language: str | None) -> bool:
    return (
        search.lower() in one.model_id.lower()
        and (not state or one.state == state)
        and (not language or language in one.languages)
    )
