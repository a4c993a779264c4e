"""Settings checked as `labeld config check` does it, by a process of its own: the supervisor never loads an engine."""

import logging
import signal
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection

from labeld.config.mistakes import Mistake
from labeld.config.settings import Settings
from labeld.errors import SettingsError
from labeld.server.worker import SIGNALS

LIMIT = 60.0
"""Seconds that a check may take; the first one on a busy machine imports the engine from a slow disk."""


def mistakes_apart(settings: Settings) -> list[Mistake]:
    """The mistakes of settings whose form is right; raises SettingsError where they could not be looked for.

    Call it in a process with one thread.
    """
    receiving, sending = Pipe(duplex=False)
    process = get_context("fork").Process(target=_check, args=(settings, sending), daemon=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the fork must not handle one as the supervisor does
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sending.close()
    try:
        if not receiving.poll(LIMIT):
            raise SettingsError(
                f"config is {str(settings.source.config)!r}, and checking it took longer than {LIMIT:g} s: "
                "look whether models_dir can be read, and try again."
            )
        found: list[Mistake] = receiving.recv()
    except EOFError:
        raise SettingsError(
            f"config is {str(settings.source.config)!r}, and the process that checked it has failed: "
            "run `labeld config check` with it."
        ) from None
    finally:
        receiving.close()
        process.kill()
        process.join()
    return found


def _check(settings: Settings, sending: Connection) -> None:
    """The main function of the process: sends the mistakes."""
    signal.set_wakeup_fd(-1)
    for sig in SIGNALS:
        signal.signal(sig, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    logging.disable()  # the mistakes say it all
    from labeld.cli.config_check import check_settings  # noqa: PLC0415  # loads the engine

    mistakes, _ = check_settings(settings)
    sending.send(mistakes)
