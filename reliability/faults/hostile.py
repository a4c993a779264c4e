"""A pickle in the weights is run by Python's own reader before ours looks at it."""

import pickle
from contextlib import suppress
from typing import Any

from labeld.checkpoint import torch_file
from reliability.faults import Patches

REDDENS = "code run"


def plant(patches: Patches) -> None:
    """Plants it."""

    def faulty(real: Any) -> Any:
        def read_pickle(data: Any, begin: int, end: int) -> Any:
            with suppress(Exception):
                pickle.loads(data[begin:end])
            return real(data, begin, end)

        return read_pickle

    patches.replace(torch_file, "read_pickle", faulty)
