"""`/models/{id}`: a model, the widget to try each of its tasks, and code to copy."""

from starlette.requests import Request
from starlette.responses import Response

from labeld.web.pages.context import Site
from labeld.web.pages.model_view import STATES, of_one
from labeld.web.pages.recommended_models import BUNDLED, KNOWN, LANGUAGE_NAMES
from labeld.web.pages.rendering import address, as_json, page, wants_html
from labeld.web.pages.tasks import TASKS
from labeld.web.paths import PREFIX

LABELS = 100
"""Labels that the page lists; the rest are in the JSON."""
SUMMARIES = {one.model_id: one.summary for one in (*BUNDLED, *KNOWN.values())}


async def model(site: Site, request: Request) -> Response:
    """The page of one model and task; it loads and downloads nothing, and does not contact the Hub.

    `task` of the address chooses among the model's; the first one stands for one that it does not serve.
    """
    view = await of_one(site.service, request.path_params["model_id"])
    if not wants_html(request.headers.get("accept")):
        return as_json(view.as_json())
    asked = request.query_params.get("task", "")
    task_name = asked if asked in view.tasks else view.tasks[0]
    task = TASKS[task_name]
    return await page(
        "model.html",
        here="/models",
        model=view,
        summary=SUMMARIES.get(view.model_id),
        state=STATES[view.state],
        labels=view.labels[:LABELS],
        more_labels=len(view.labels) - LABELS,
        language_names=LANGUAGE_NAMES,
        tasks={name: TASKS[name].title for name in view.tasks},
        task_name=task_name,
        task=task,
        widget=task.widget(view, request.query_params),
        address=f"{PREFIX.get()}{task.path}{view.model_id}",
        origin=address(request),
        needs_token=site.needs_token(),
    )
