"""The ASGI application that a worker serves, made from the settings."""

from functools import partial
from importlib.metadata import version
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

from labeld.config.settings import Settings
from labeld.server.worker import Address


def application(settings: Settings, first: Semaphore, workers_folder: Path | None, address: Address) -> Any:
    """The application, made in the worker process so that the supervisor never loads an engine.

    The worker that takes `first` is the one that prints the link to sign in with. `workers_folder` is what they share.
    """
    from labeld.metrics.prometheus import Metrics  # noqa: PLC0415
    from labeld.server.logs import announce  # noqa: PLC0415
    from labeld.service.build import Hosting, open_authenticator, open_service  # noqa: PLC0415
    from labeld.web.app import App  # noqa: PLC0415
    from labeld.web.hosting import AppHosting  # noqa: PLC0415
    from labeld.web.monitoring.log_lines import LogLines  # noqa: PLC0415

    def on_ready(models: list[str], code: str | None) -> None:
        sentence = f"labeld {version('labeld')} answers at {address.url} with {', '.join(models)}"
        announce(sentence, settings.logs.log_format)
        if code is not None and first.acquire(block=False):
            place = "" if address.uds else address.url  # of a Unix socket only the proxy in front knows it
            link = f"{place}{settings.sites.root_path}/sign-in?code={code}"
            announce(f"Make access tokens in a browser (once, within an hour): {link}", settings.logs.log_format)

    metrics = Metrics()
    metrics.watch(LogLines())
    opened = partial(open_service, hosting=Hosting(metrics, models_dir_was_checked=True))
    return App(settings, AppHosting(opened, open_authenticator, metrics, on_ready, workers_folder))
