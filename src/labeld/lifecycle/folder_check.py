"""The check of all model folders at start, in a separate process: reading one may be slow, need memory, or crash.

As a script it reads `[id, folder]` pairs as JSON from standard input, and writes a line for each when it begins with it
and one when it has done with it: what is wrong, or null.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

from labeld.errors import FolderError
from labeld.repository.folders import BUNDLED
from labeld.system.printable import printable

TIME_LIMIT = 60.0
"""Seconds for one folder, the start of the process included."""
BROKEN_NAMED = 10
"""Folders that a warning is logged of, each; the others are counted."""

logger = logging.getLogger(__name__)


async def warn_of_broken(folders: Mapping[str, Path]) -> None:
    """Logs a warning for each of the operator's models that cannot be served."""
    own = {model_id: folder for model_id, folder in folders.items() if not folder.is_relative_to(BUNDLED)}
    broken = 0
    async for model_id, reason in _broken(own):
        broken += 1
        if broken <= BROKEN_NAMED:
            logger.warning("model %s cannot be served: %s", model_id, reason)
    if broken > BROKEN_NAMED:
        logger.warning(
            "%d other models cannot be served either: labeld models check ID says why", broken - BROKEN_NAMED
        )


async def _broken(folders: Mapping[str, Path]) -> AsyncIterator[tuple[str, str]]:
    """Id and reason of each folder that cannot be served, including one that crashes the checking process."""
    left = list(folders)
    while left:
        command = (sys.executable, "-P", "-m", __name__)
        pipe = asyncio.subprocess.PIPE
        # NOTE: stderr is dropped: it is what libraries write when they crash
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(OSError):
                process.stdin.write(json.dumps([[one, str(folders[one])] for one in left]).encode())
                process.stdin.write_eof()
            while left:
                reason = await _reason(process.stdout)
                if reason:
                    yield left[0], reason
                left.pop(0)
                if reason in {DIED, SLOW}:
                    break
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


DIED = "The process that reads its files crashes."
SLOW = f"Reading its files takes longer than {TIME_LIMIT:g} s."


async def _reason(output: asyncio.StreamReader) -> str | None:
    """The next reason from the process's output, or None where the folder can be served."""
    try:
        async with asyncio.timeout(TIME_LIMIT):
            line = await output.readline()
    except TimeoutError:
        return SLOW
    if not line.endswith(b"\n"):
        return DIED
    found: str | None = json.loads(line)
    return found


def main() -> None:
    """Checks the folders of standard input."""
    from labeld.lifecycle.model import check_folder  # noqa: PLC0415  # loads the engines, in this process only

    os.nice(10)
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    for model_id, folder in json.load(sys.stdin):
        reason = None
        try:
            check_folder(Path(folder))
        except FolderError as error:
            reason = printable(str(error))
        except Exception:  # noqa: BLE001  # a library's own, whose words nobody needs
            reason = f"The files of {model_id} are not as they should be."
        print(json.dumps(reason), file=out, flush=True)


if __name__ == "__main__":
    main()
