"""`/`: the home page, about text classification."""

from starlette.requests import Request
from starlette.responses import Response

from labeld.web.pages.context import Site
from labeld.web.pages.model_view import STATES, of_all
from labeld.web.pages.recommended_models import BUNDLED, LANGUAGE_NAMES, RECOMMENDED, USE_CASES
from labeld.web.pages.rendering import as_json, page, wants_html


async def task(site: Site, request: Request) -> Response:
    """Text classification: what is configured here, its use cases and recommended models."""
    file = site.settings.file
    if not wants_html(request.headers.get("accept")):
        recommended = [one.model_id for one in (*BUNDLED, *RECOMMENDED)]
        return as_json(
            {
                "task": "text-classification",
                "default_model": site.service.default_model,
                "recommended": recommended,
                "aliases": {name: one.model for name, one in file.models.items()},
                "policies": list(file.policies),
            }
        )
    return await page(
        "task.html",
        here="/",
        models={one.model_id: one for one in await of_all(site.service)},
        aliases=file.models,
        policies=file.policies,
        bundled=BUNDLED,
        recommended=RECOMMENDED,
        use_cases=USE_CASES,
        states=STATES,
        language_names=LANGUAGE_NAMES,
    )
