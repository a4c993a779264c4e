"""Forms of our pages: a few short fields, and only from our own pages."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from labeld.auth.errors import FormTooLargeError
from labeld.errors import BodyTooLargeError, InvalidRequestError
from labeld.web.request_body import BodyReader
from labeld.web.security.csrf import require_own_page

FORM_BYTES, FIELDS = 16 * 1024, 20
MEDIA_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request, bodies: BodyReader) -> dict[str, str]:
    """The fields of a form, by name. Raises ForeignOriginError, BodyTooLargeError, or InvalidRequestError."""
    require_own_page(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise InvalidRequestError(f"A form must come as {MEDIA_TYPE}, as browsers send it.")
    try:
        body = await bodies.read(request, FORM_BYTES)
    except BodyTooLargeError:
        raise FormTooLargeError(FORM_BYTES) from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=FIELDS
        )
    except ValueError:  # UnicodeDecodeError is one
        raise InvalidRequestError(f"The form cannot be read: it must have at most {FIELDS} fields in UTF-8.") from None
    if len(fields := dict(pairs)) != len(pairs):
        raise InvalidRequestError("The form has a field twice.")
    return fields
