"""Model folders that were read without harm, by what `load_marks.digest` gives of their files; kept over restarts."""

import threading
from pathlib import Path

from labeld.system.json_file import read_object, replace_object

KNOWN_FILE = "known-folders.json"
MAX_FOLDERS = 1000


class KnownFolders:
    """The folders of one cache folder; losing them costs time only. For several threads."""

    def __init__(self, cache_dir: Path) -> None:
        self._path = cache_dir / KNOWN_FILE
        self._known = {str(state): True for state in read_object(self._path)}
        self._lock = threading.Lock()

    def __contains__(self, state: str) -> bool:
        """Whether a folder in this state was added."""
        return state in self._known

    def add(self, state: str) -> None:
        """Adds a folder as it was before it was read, on disk too."""
        with self._lock:
            if state in self._known:
                return
            self._known[state] = True
            for oldest in list(self._known)[:-MAX_FOLDERS]:
                del self._known[oldest]
            replace_object(self._path, self._known)
