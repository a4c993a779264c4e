"""`/`: the task."""

from starlette.requests import Request
from starlette.responses import Response

from labeld.web.pages.render import page
from labeld.web.pages.site import Site


async def task(_site: Site, _request: Request) -> Response:
    """What text classification is, what it is used for, and with which models."""
    return await page("task.html", here="/")
