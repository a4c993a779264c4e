"""Ends this process when its engine hangs, so that the supervisor starts another one."""

import asyncio
import logging
import os

from labeld.service.service import Service

logger = logging.getLogger(__name__)

PERIOD = 0.25
"""Seconds between two looks."""

FLUSH_SECONDS = 0.5
"""Seconds that the answers to those who waited get to leave."""

EXIT_HUNG = 70
"""Exit code of a process that gave itself up (EX_SOFTWARE)."""


async def watch(service: Service) -> None:
    """Looks after the engine until cancelled. A hung thread cannot be stopped, only left behind with its process."""
    while not service.hung():
        await asyncio.sleep(PERIOD)
    logger.error("a batch has run for longer than batch_timeout: this process gives up")
    service.give_up()
    await asyncio.sleep(FLUSH_SECONDS)
    os._exit(EXIT_HUNG)
