"""Assembly of a running server's parts, for a worker process, a test, or any other host."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labeld.auth.authenticator import Authenticator
from labeld.config.settings import Settings
from labeld.config.tracing import Tracing
from labeld.errors import SettingsError
from labeld.metrics.prometheus import Metrics
from labeld.service.service import Service
from labeld.web.monitoring.history import History
from labeld.web.monitoring.status import Status
from labeld.web.monitoring.watchdog import watch
from labeld.web.monitoring.workers import Workers
from labeld.web.pages.context import Site
from labeld.web.security.authorization import Access
from labeld.web.security.sessions import LoginThrottle, Sessions

if TYPE_CHECKING:
    from labeld.web.monitoring.tracing import Tracer

logger = logging.getLogger(__name__)

OpenService = Callable[[Settings], AbstractAsyncContextManager[Service]]
"""Opens a service that answers until the context ends."""

OpenAuthenticator = Callable[[Settings], AbstractAsyncContextManager[Authenticator]]
"""Opens the access tokens that count, which are kept up to date until the context ends."""

OnReady = Callable[[list[str], str | None], None]
"""Called when the server takes requests, with the ids of the preloaded models, and a code to sign in with if no access
token can be used for that."""


@dataclass(frozen=True, slots=True)
class AppHosting:
    """The differences between the hosts of the application."""

    open_service: OpenService
    open_authenticator: OpenAuthenticator
    metrics: Metrics
    on_ready: OnReady = lambda *_: None
    workers_folder: Path | None = None
    """A folder that the workers of this server share, where there are several."""
    is_behind_proxy: bool = False
    """Whether another server has the connections: then how slowly a body may arrive is bounded here, and the address of
    a request is a proxy's, which is nobody's share of anything."""
    answer_within: float | None = None
    """Seconds in which whoever is in front wants an answer: a request that takes longer gets one that says so."""
    starts_without: bool = False
    """Whether a server starts that could load only some of the models it was to start with."""


def open_tracer(tracing: Tracing) -> "Tracer | None":
    """What sends traces to the collector of the settings, if they name one; raises SettingsError."""
    if tracing.otlp_endpoint is None:
        return None
    try:
        from labeld.web.monitoring.tracing import Tracer  # noqa: PLC0415  # an extra, which takes 0.3 s to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise SettingsError("The setting otlp_endpoint needs OpenTelemetry: pip install 'labeld[otel]'.") from None
    return Tracer(tracing.otlp_endpoint)


@asynccontextmanager
async def open_site(
    settings: Settings, hosting: AppHosting, on_service: Callable[[Service], None]
) -> AsyncIterator[Site]:
    """A server with its models preloaded and what looks after it running, until the context ends.

    `on_service` is called before the models are loaded, which may take minutes. Raises LabeldError naming the setting
    or the model that is wrong.
    """
    async with AsyncExitStack() as stack:
        authenticator = await stack.enter_async_context(hosting.open_authenticator(settings))
        sessions = Sessions(authenticator)
        access = Access(settings.listen, authenticator, sessions)
        service = await stack.enter_async_context(hosting.open_service(settings))
        on_service(service)
        history = History(hosting.metrics.totals, service)
        status = Status(service, settings, hosting.metrics)
        workers = Workers(hosting.workers_folder, hosting.metrics, status, history)
        hosting.metrics.watch(status)
        await stack.enter_async_context(workers.answering())
        preloaded = await service.preload(some=hosting.starts_without)
        await service.load_roles()
        if access.is_open and not settings.listen.is_loopback:
            logger.warning("Anybody who reaches this address may use it: no access token was ever made here.")
        shadows = service.beside.shadows
        works = (watch(service), service.check_others(), service.watch_files(), history.keep(), shadows.run())
        background = [asyncio.create_task(one) for one in works]
        try:
            yield Site(service, settings, workers, access, sessions, LoginThrottle(), tuple(preloaded))
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)
