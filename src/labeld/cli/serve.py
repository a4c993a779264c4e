"""`labeld serve`: the settings checked, the server run, and both again on SIGHUP."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

from labeld.auth.tokens_in_use import any_made
from labeld.cli.checked_apart import mistakes_apart
from labeld.config.load import load, unknown_variables
from labeld.config.mistakes import ConfigFileError
from labeld.config.settings import Settings
from labeld.errors import LabeldError, SettingsError
from labeld.interface import Interface
from labeld.repository.folders import require_readable
from labeld.repository.url_policy import require_other_address
from labeld.server import logs
from labeld.server.run import allow_connections
from labeld.server.run import serve as run_server
from labeld.server.worker import ProcessOptions, WorkerOptions
from labeld.system.cpu import require_few
from labeld.web.factory import application

UNCHANGEABLE = {"listen": ("host", "port", "uds", "workers"), "logs": ("log_format",)}
"""Settings of the supervisor itself, which a running server keeps, by their group."""

logger = logging.getLogger("labeld")


def serve_until_stopped(flags: Mapping[str, Any]) -> int:
    """Runs a server with the settings of the flags, the environment and the file; returns its exit code.

    Raises SettingsError naming what is wrong.
    """
    chosen = checked_settings(flags)
    logs.configure(chosen.logs.log_format)
    for sentence in unknown_variables():
        logger.warning(sentence)
    first = get_context("fork").Semaphore(1)
    with _workers_folder(chosen.listen.workers) as folder:
        reload = partial(_reload, flags, chosen, first, folder)
        app_factory = partial(application, chosen, first, folder)
        return run_server(app_factory, chosen.listen, chosen.connections, _process(chosen), reload)


def checked_settings(flags: Mapping[str, Any]) -> Settings:
    """The settings of a server. Raises SettingsError where they are impossible, or nobody safe could ask."""
    chosen = load(flags)
    require_few("workers", chosen.listen.workers)
    if not (
        chosen.listen.is_loopback
        or chosen.listen.allow_anonymous
        or any_made(chosen.access.tokens_db, chosen.access.tokens_secret)
    ):
        raise SettingsError(
            f"host is {chosen.listen.host}, where others reach it, and there is no access token yet: make one with "
            "`labeld tokens create NAME`, listen on 127.0.0.1, or say --allow-anonymous."
        )
    chosen.hub_policy()
    if chosen.folders.models_dir is not None:
        require_readable(chosen.folders.models_dir)
    if not chosen.listen.uds:
        require_other_address(chosen.hub.hf_endpoint, chosen.listen.host, chosen.listen.port)
    return chosen


def _reload(
    flags: Mapping[str, Any], started: Settings, first: Semaphore, folder: Path | None, options: WorkerOptions
) -> WorkerOptions | None:
    """The workers' options by the configuration file as it is now; None, and log lines, where it cannot be used."""
    if started.source.config is None:
        return options
    try:
        chosen = checked_settings(flags)
        if mistakes := mistakes_apart(chosen):
            raise ConfigFileError(str(started.source.config), mistakes)
    except LabeldError as error:
        reasons = error.lines() if isinstance(error, ConfigFileError) else [error.sentence(Interface.COMMAND_LINE)]
        for reason in reasons:
            logger.error("%s", reason)  # noqa: TRY400  # its sentence says all
        logger.error("%s is not taken over: everything stays as it is", started.source.config)  # noqa: TRY400
        return None
    chosen = _keep(started, chosen)
    allow_connections(chosen.connections)
    logger.warning("%s is taken over: the workers are replaced", started.source.config)
    return replace(
        options,
        app_factory=partial(application, chosen, first, folder),
        limits=chosen.connections,
        process=_process(chosen),
    )


def _keep(started: Settings, chosen: Settings) -> Settings:
    """The new settings, but for those that only a restart can change, which are logged where they differ."""
    kept = {}
    for group, names in UNCHANGEABLE.items():
        before, after = getattr(started, group), getattr(chosen, group)
        for name in names:
            if getattr(before, name) != getattr(after, name):
                logger.warning("%s counts after a restart of the server: it stays %s", name, getattr(before, name))
        kept[group] = replace(after, **{name: getattr(before, name) for name in names})
    return replace(chosen, **kept)


def _process(chosen: Settings) -> ProcessOptions:
    return ProcessOptions(chosen.queue.drain_timeout, chosen.queue.drain_delay, chosen.logs.log_format)


@contextmanager
def _workers_folder(workers: int) -> Iterator[Path | None]:
    """A folder that several workers share until the server ends; None for a single worker."""
    if workers == 1:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="labeld-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
