"""Ends this process when its engine or a tokenizer hangs, so that the supervisor starts another one."""

import asyncio
import logging
import os

from labeld.service.service import Service

logger = logging.getLogger(__name__)

PERIOD = 0.25
"""Seconds between two checks."""

FLUSH_SECONDS = 0.5
"""Seconds to write the replies to waiting clients before the process ends."""

EXIT_HUNG = 70
"""Exit code of a process that gave itself up (EX_SOFTWARE)."""


async def watch(service: Service) -> None:
    """Watches the engine until cancelled. A hung thread cannot be stopped, so its process is ended."""
    while not service.hung():
        await asyncio.sleep(PERIOD)
    logger.error("a batch has run, or texts have been tokenised, for longer than batch_timeout: this process gives up")
    service.give_up()
    await asyncio.sleep(FLUSH_SECONDS)
    os._exit(EXIT_HUNG)
