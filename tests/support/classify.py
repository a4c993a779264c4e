"""A request to the service as the application makes it, without HTTP."""

from labeld.service.service import Service
from labeld.types import ClassifyReply, ClassifyRequest


async def classify(service: Service, name: str | None, request: ClassifyRequest, scope: str = "") -> ClassifyReply:
    """The reply of the model that a caller means by `name`."""
    model = service.resolve(name)
    lookup = service.look_up(model, request, scope)
    return service.get_cached(model, lookup) or await service.classify(model, lookup)
