"""The size of a folder that others change."""

import threading
from pathlib import Path

from labeld.system.disk import tree_size


def test_folders_that_others_rename_meanwhile_are_no_error(tmp_path: Path) -> None:
    """As a download is renamed when it is finished, while another one asks whether there is room for it."""
    first, second = tmp_path / "org--name/1.partial", tmp_path / "org--name/1"
    first.mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"12345")
    stop = threading.Event()

    def rename() -> None:
        while not stop.is_set():
            first.rename(second)
            second.rename(first)

    thread = threading.Thread(target=rename)
    thread.start()
    try:
        sizes = {tree_size(tmp_path) for _ in range(3000)}
    finally:
        stop.set()
        thread.join()

    assert {5} == sizes
