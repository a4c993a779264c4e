"""Every route of the site."""

from labeld.web.access import INFERENCE_PAGE
from labeld.web.pages.site import Page
from labeld.web.pages.static import static_file
from labeld.web.pages.status import status
from labeld.web.pages.task import task

PAGES = (
    Page("/", task),
    Page("/static/{name}", static_file),
    Page("/status", status, needs=INFERENCE_PAGE, always=True),
)
