"""Downloaded files are not compared with the hashes of the Hub."""

from labeld.repository.files import ModelFile
from reliability.faults import Patches

REDDENS = "other bytes"


def plant(patches: Patches) -> None:
    """Plants it."""
    patches.replace(ModelFile, "is_content_of", lambda _: lambda *_: True)
