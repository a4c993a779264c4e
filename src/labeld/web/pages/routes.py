"""Every route of the site."""

from labeld.web.access import INFERENCE_PAGE
from labeld.web.pages.catalogue import catalogue
from labeld.web.pages.model import model
from labeld.web.pages.reference import reference
from labeld.web.pages.site import Page
from labeld.web.pages.static import static_file
from labeld.web.pages.status import status
from labeld.web.pages.task import task

PAGES = (
    Page("/", task),
    Page("/models", catalogue),
    Page("/models/{model_id:path}", model),
    Page("/docs/text-classification", reference),
    Page("/static/{name}", static_file),
    Page("/status", status, needs=INFERENCE_PAGE, always=True),
)
