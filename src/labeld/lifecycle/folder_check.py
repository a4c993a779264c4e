"""What of a model folder is read before the worker reads it, by a process of its own: folder_reader.py."""

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

from labeld.checkpoint.file_names import CONFIG, SENTENCEPIECE, TOKENIZER
from labeld.checkpoint.plain_file import read_plain
from labeld.errors import FolderError, UnavailableError
from labeld.lifecycle.errors import DeadlyFolderError
from labeld.lifecycle.folder_reader import BUSY_NICE, FolderReader
from labeld.lifecycle.known_folders import KnownFolders
from labeld.lifecycle.load_marks import LoadMarks, digest
from labeld.lifecycle.model import check_without_weights
from labeld.repository.folders import BUNDLED

PLAIN_BYTES = 6 * 1024 * 1024
"""Bytes of config and tokenizer files up to which a list of words or of merges takes 0.7 s (decision 25)."""
COSTLY = re.compile(rb'\\u|"(?:Regex|String)"\s*:|"vocab"\s*:\s*\[')
"""What a small tokenizer.json may take seconds or gigabytes for: patterns, which are compiled, and pieces, of which
each byte may become a table. An escaped letter may hide one of them."""
BROKEN_NAMED = 10
"""Folders that a warning is logged of, each; the others are counted."""

logger = logging.getLogger(__name__)


class FolderCheck:
    """Has a folder read by another process first, where that may do harm and was not done before. For several threads.

    What harms that process is not read again for a while (load_marks.py).
    """

    def __init__(self, cache_dir: Path, stopping: threading.Event, *, serves: bool) -> None:
        """`stopping` ends readings early. A process that does not serve reads by itself: it holds up nobody else."""
        self.marks, self._known = LoadMarks(cache_dir), KnownFolders(cache_dir)
        self._stopping, self._serves = stopping, serves

    def require_harmless(self, folder: Path) -> None:
        """Returns once the folder may be read in this process.

        Raises FolderError where it may not, UnavailableError when the process stops.
        """
        if (state := self._doubtful(folder)) is not None:
            self._read_apart(folder, weights=True)
            self._known.add(state)

    def check_without_weights(self, folder: Path) -> None:
        """Reads config and tokenizer of a folder whose weights are still to come; raises FolderError."""
        if self._doubtful(folder) is not None:
            self._read_apart(folder, weights=False)
        else:
            self.marks.guarded(check_without_weights)(folder)

    async def warn_of_broken(self, folders: Mapping[str, Path]) -> None:
        """Logs a warning for each model of the operator's whose files cannot be served."""
        own = {model_id: folder for model_id, folder in folders.items() if not folder.is_relative_to(BUNDLED)}
        broken = 0
        with suppress(UnavailableError):  # the server stops, or cannot start a process
            async for model_id, reason in self._broken(own):
                broken += 1
                if broken <= BROKEN_NAMED:
                    logger.warning("model %s cannot be served: %s", model_id, reason)
        if broken > BROKEN_NAMED:
            logger.warning(
                "%d other models cannot be served either: labeld models check ID says why", broken - BROKEN_NAMED
            )

    def _doubtful(self, folder: Path) -> str | None:
        """The state of a folder that may do harm and is not known; None of all others, and where nobody is held up."""
        if not self._serves or is_plain(folder):
            return None
        state = digest(folder)
        return None if state in self._known else state

    def _read_apart(self, folder: Path, *, weights: bool) -> None:
        with self.marks.reading(folder), FolderReader(self._stopping) as reader:
            reader.read(folder, weights=weights)

    async def _broken(self, folders: Mapping[str, Path]) -> AsyncIterator[tuple[str, str]]:
        """The id and the reason of each that cannot be served. One that ends the reading process is one of them."""
        left = list(folders)
        while left:
            with FolderReader(self._stopping, nice=BUSY_NICE) as reader:
                while left:
                    model_id = left.pop(0)
                    state = await asyncio.to_thread(digest, folders[model_id])
                    try:
                        await asyncio.to_thread(reader.read, folders[model_id])
                    except DeadlyFolderError as error:
                        yield model_id, str(error)
                        break
                    except FolderError as error:
                        yield model_id, str(error)
                    else:
                        await asyncio.to_thread(self._known.add, state)


def is_plain(folder: Path) -> bool:
    """Whether its config and its tokenizer are small, and of a kind of which a small one does no harm."""
    if folder.is_relative_to(BUNDLED):
        return True
    size = 0
    for name in (CONFIG, *TOKENIZER):
        path = folder / name
        if path.is_file():
            size += path.stat().st_size
            if name in SENTENCEPIECE or size > PLAIN_BYTES:
                return False
    tokenizer = folder / "tokenizer.json"
    return not tokenizer.is_file() or COSTLY.search(read_plain(tokenizer, PLAIN_BYTES)) is None
