"""The limit of open files is raised without a look at how far it may be."""

import resource
from typing import Any

from labeld.server import run
from reliability.faults import Patches

REDDENS = "neither"


def plant(patches: Patches) -> None:
    """Plants it."""

    def allow_connections(connections: Any) -> None:
        count = connections.max_connections + run.OTHER_FILES
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    patches.replace(run, "allow_connections", lambda _: allow_connections)
