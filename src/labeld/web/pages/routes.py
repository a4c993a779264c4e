"""The table of all pages."""

from labeld.web.pages.api_reference import reference
from labeld.web.pages.context import Page
from labeld.web.pages.home import task
from labeld.web.pages.model import model
from labeld.web.pages.models import catalogue
from labeld.web.pages.policy import policy
from labeld.web.pages.sign_in import sign_in, sign_out, take_sign_in
from labeld.web.pages.static_files import static_file
from labeld.web.pages.status import status
from labeld.web.pages.tokens import ask_revoke, ask_rotate, make_token, revoke, rotate, tokens
from labeld.web.security.authorization import ADMIN_PAGE, INFERENCE_PAGE

PAGES = (
    Page("/", task),
    Page("/models", catalogue),
    Page("/models/{model_id:path}", model),
    Page("/policies/{name:path}", policy),
    Page("/docs/text-classification", reference),
    Page("/static/{name}", static_file),
    Page("/sign-in", sign_in),
    Page("/sign-in", take_sign_in, "POST"),
    Page("/sign-out", sign_out, "POST"),
    Page("/settings/tokens", tokens, policy=ADMIN_PAGE),
    Page("/settings/tokens", make_token, "POST", ADMIN_PAGE),
    Page("/settings/tokens/{token_id}/revoke", ask_revoke, policy=ADMIN_PAGE),
    Page("/settings/tokens/{token_id}/revoke", revoke, "POST", ADMIN_PAGE),
    Page("/settings/tokens/{token_id}/rotate", ask_rotate, policy=ADMIN_PAGE),
    Page("/settings/tokens/{token_id}/rotate", rotate, "POST", ADMIN_PAGE),
    Page("/status", status, policy=INFERENCE_PAGE, always=True),
)
