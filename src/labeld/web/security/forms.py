"""Forms of our pages: a few short fields, and only from our own pages."""

import re
from urllib.parse import parse_qsl

from starlette.requests import Request

from labeld.auth.errors import ForeignOriginError, FormTooLargeError
from labeld.errors import BodyTooLargeError, InvalidRequestError
from labeld.web.request_body import BodyReader
from labeld.web.security.origins import is_same

FORM_BYTES, FIELDS = 16 * 1024, 20
MEDIA_TYPE = "application/x-www-form-urlencoded"
_ORIGIN = re.compile(r"[a-z]+://[^/?#]*")


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


def require_own_page(request: Request) -> None:
    """Raises ForeignOriginError when the Referer says that a page of another site has sent the form.

    NOTE: beside what `origins` looks at, for browsers too old to send Origin or Sec-Fetch-Site with a form. Whoever
    sends none of the three is no browser, and has no cookie that a page could abuse.
    """
    referer = request.headers.get("referer")
    if referer is None or "origin" in request.headers or "sec-fetch-site" in request.headers:
        return
    origin = _ORIGIN.match(referer)
    if origin is None or not is_same(origin[0], request.headers.get("host", "")):
        raise ForeignOriginError(origin and origin[0])
