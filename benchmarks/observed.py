"""`labeld serve` with one more route, GET /observed: what has become of its models and its memory.

Run as `python -m benchmarks.observed serve …`.
"""

import os
import threading
import time
from typing import Any
from unittest.mock import patch

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

import labeld.web.application
from benchmarks.server import peak, resident
from labeld import cli, memory
from labeld.settings import Settings
from labeld.web.app import App
from labeld.web.worker import Address
from labeld.wiring import open_service

EVERY = 0.01
"""Seconds between two looks at the memory."""


class ObservedApp(App):
    """The application, which also says what it does."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, open_service, lambda _: None)
        self._peak = 0
        threading.Thread(target=self._watch_memory, daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or runs the lifespan."""
        if scope["type"] == "http" and scope["path"] == "/observed":
            await JSONResponse(self._observed())(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _observed(self) -> dict[str, Any]:
        service = self._service
        return {
            "pid": os.getpid(),
            "loads": service.counts.loads,
            "evictions": service.counts.evictions,
            "failures": service.counts.failures,
            "waiting": service.waiting,
            "leases": {one.key: one.leases for one in service.residents()},
            "used": memory.used(),
            "peak_used": self._peak,
            "resident": resident("self"),
            "peak_resident": peak("self"),
        }

    def _watch_memory(self) -> None:
        while True:
            self._peak = max(self._peak, memory.used())
            time.sleep(EVERY)


def observed_application(settings: Settings, _: Address) -> ObservedApp:
    """The application; made in the worker process."""
    return ObservedApp(settings)


if __name__ == "__main__":
    with patch.object(labeld.web.application, "application", observed_application):
        cli.run()
