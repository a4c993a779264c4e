"""A replica: the whole server, in an actor of Ray."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import ray
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeld.config.load import proxy_timeout
from labeld.config.settings import Settings
from labeld.errors import LabeldError
from labeld.ray_serve.arguments import Arguments
from labeld.ray_serve.autoscaling import BUSY, QUEUED
from labeld.ray_serve.edge import Limits, without_id
from labeld.ray_serve.metrics import RayMetrics
from labeld.server import logs
from labeld.server.worker import COLLECT_AFTER
from labeld.service.build import Hosting, open_authenticator, open_service
from labeld.service.service import Service
from labeld.system import memory
from labeld.web.app import App
from labeld.web.hosting import AppHosting

NOWHERE = "/dev/null/tokens.sqlite3"
"""Where no access token can be: without tokens_db an application is open, whatever its nodes happen to have."""
TIMEOUT_MARGIN = 1.0
"""Seconds before the proxy gives up on an answer in which a reply of ours that says so must leave."""


class ReplicaError(Exception):
    """A replica cannot start; the sentence names the node, and Serve shows it."""


class Labeld:
    """The class of the deployment. Serve makes it in an actor, with the arguments of the application."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._seen = (time.monotonic(), 0.0)
        """When its load was last reported, and for how long it had computed by then."""

    async def __serve_build_asgi_app__(self) -> ASGIApp:  # the name is Serve's
        """The application, started; raises ReplicaError."""
        context = ray.get_runtime_context()
        [node] = [one for one in ray.nodes() if one["NodeID"] == context.get_node_id()]
        try:
            resources = shares(self._arguments, context.get_assigned_resources(), node["Resources"])
            settings = self._arguments.settings(**resources)
            logs.configure_in_background(settings.logs.log_format)
            memory.limit_arenas()
            gc.set_threshold(COLLECT_AFTER)
            Limits.connections, Limits.inputs = settings.connections, settings.inputs
            self._running = Running(settings)
            await self._running.start()
        except LabeldError as error:
            raise ReplicaError(f"The replica on the node {node['NodeManagerAddress']} cannot start: {error}") from None
        return self._running

    async def check_health(self) -> None:
        """Raises ReplicaError when the engine hangs; Serve then replaces the replica, as when nothing is answered.

        NOTE: on the event loop that answers requests, so that one that hangs fails it.
        """
        self._running.metrics.states(self._running.service)
        if not self._running.service.ready():
            raise ReplicaError("The engine hangs, or the server is stopping.")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the policy of `autoscaling` decides on."""
        usage = self._running.service.usage()
        (then, computed), self._seen = self._seen, (time.monotonic(), usage.busy_seconds)
        return {QUEUED: usage.queued_seconds, BUSY: (usage.busy_seconds - computed) / (self._seen[0] - then)}


class Running:
    """The application as Serve runs it, with a lifespan that has begun before Serve begins its own."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = RayMetrics()
        limit = proxy_timeout()
        self._app = App(
            settings,
            AppHosting(
                self._open_service,
                open_authenticator,
                self.metrics,
                is_behind_proxy=True,
                answer_within=None if limit is None else max(limit / 2, limit - TIMEOUT_MARGIN),
                starts_without=True,
            ),
        )
        self.service: Service
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._lifespan: asyncio.Task[None]

    @asynccontextmanager
    async def _open_service(self, settings: Settings) -> AsyncIterator[Service]:
        async with open_service(settings, Hosting(self.metrics)) as self.service:
            yield self.service

    async def start(self) -> None:
        """Starts the application; raises LabeldError with its own words when it cannot."""
        scope: Scope = {"type": "lifespan"}
        self._to_app.put_nowait({"type": "lifespan.startup"})
        self._lifespan = asyncio.create_task(self._app(scope, self._to_app.get, self._from_app.put))
        answer = asyncio.create_task(self._from_app.get())
        await asyncio.wait({self._lifespan, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await self._lifespan
        elif (said := answer.result())["type"] == "lifespan.startup.failed":
            raise LabeldError(said["message"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; or Serve's lifespan, of which only the end means something."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, without_id(scope, send))
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        self._to_app.put_nowait(await receive())
        await self._lifespan
        await send({"type": "lifespan.shutdown.complete"})


def shares(arguments: Arguments, assigned: Mapping[str, float], node: Mapping[str, float]) -> dict[str, Any]:
    """The settings that follow from the resources of the actor and of its node, as Ray has them.

    The threads are its cores, and the memory budget is a share of the memory that Ray reserves for it, or of as much of
    the node's memory as it has of the node's cores.
    """
    cores = assigned.get("CPU") or arguments.replicas.num_cpus
    whole = assigned.get("memory") or node.get("memory", 0.0) * min(1.0, cores / node.get("CPU", cores))
    free, asked = memory.available(), arguments.settings().residency.memory_budget
    budget = asked.of(int(min(whole or free, free)))
    return {"threads": max(1, round(cores)), "tokens_db": NOWHERE, **arguments.given, "memory_budget": str(budget)}
