"""The ASGI application that a worker serves, made from the settings."""

import sys
from functools import partial
from importlib.metadata import version
from typing import Any

from labeld.settings import Settings
from labeld.web.worker import Address


def application(settings: Settings, address: Address) -> Any:
    """The application; made in the worker process, so that the supervisor never loads an engine."""
    from labeld.metrics import Metrics  # noqa: PLC0415
    from labeld.web.app import App  # noqa: PLC0415
    from labeld.wiring import open_service  # noqa: PLC0415

    def on_ready(models: list[str]) -> None:
        print(f"labeld {version('labeld')} answers at {address.url} with {', '.join(models)}", flush=True)  # noqa: T201
        if not settings.listen.is_loopback:
            print("Anybody who reaches this address may use it (--allow-anonymous).", file=sys.stderr)  # noqa: T201

    metrics = Metrics()
    return App(settings, partial(open_service, observer=metrics), on_ready, metrics)
