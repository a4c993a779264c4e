"""`/models/{id}`: a model, the widget to try it, and code to copy."""

from starlette.requests import Request
from starlette.responses import Response

from labeld.types import Text
from labeld.web.pages.context import Site
from labeld.web.pages.model_view import STATES, of_one
from labeld.web.pages.recommended_models import BUNDLED, KNOWN, LANGUAGE_NAMES
from labeld.web.pages.rendering import address, as_json, page, wants_html
from labeld.web.pages.snippets import in_shell, literal
from labeld.web.paths import PREFIX

LABELS = 100
"""Labels that the page lists; the rest are in the JSON."""
TEXT_CHARACTERS = 8000
"""Characters of a text in the address, at most; the rest is cut off."""
SUMMARIES = {one.model_id: one.summary for one in (*BUNDLED, *KNOWN.values())}


async def model(site: Site, request: Request) -> Response:
    """The page of one model; it loads and downloads nothing, and does not contact the Hub."""
    view = await of_one(site.service, request.path_params["model_id"])
    if not wants_html(request.headers.get("accept")):
        return as_json(view.as_json())
    asked, needs_token = _text(request), site.needs_token()
    text = asked or view.examples[0]
    return await page(
        "model.html",
        here="/models",
        model=view,
        summary=SUMMARIES.get(view.model_id),
        state=STATES[view.state],
        labels=view.labels[:LABELS],
        more_labels=len(view.labels) - LABELS,
        language_names=LANGUAGE_NAMES,
        text=text,
        asked=asked is not None,
        address=f"{PREFIX.get()}/models/{view.model_id}",
        needs_token=needs_token,
        url=f"{address(request)}/models/{view.model_id}",
        literal=literal(text),
        in_shell=in_shell(text),
    )


def _text(request: Request) -> Text | None:
    """The text or pair in the query of the address; None where there is none."""
    text, pair = (request.query_params.get(name, "").strip()[:TEXT_CHARACTERS] for name in ("text", "text_pair"))
    return Text(text, pair or None) if text else None
