"""A request as a server reads it from its bytes."""

from collections.abc import Mapping

from labeld.config.settings import InputLimits
from labeld.protocol.request import read_body, request_of
from labeld.types import ClassifyRequest


def parse_request(body: bytes, headers: Mapping[str, str], query: str, limits: InputLimits) -> ClassifyRequest:
    """The hosted API's request that this body is, beside these headers and this query string."""
    return request_of(read_body(body, headers, limits), headers, query, limits)
