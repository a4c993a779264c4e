"""The options of labeld on Ray Serve beside its settings: replicas and their resources."""

from dataclasses import dataclass

from labeld.config.fields import ByteSize, setting


@dataclass(frozen=True, slots=True)
class Replicas:
    """Replicas, each of which is a whole server with its own copy of the models."""

    num_replicas: int = setting(1, "Replicas, where max_replicas does not let their number change.", minimum=1)
    num_cpus: float = setting(1.0, "Cores of a replica: so many threads compute.", minimum=0.1)
    memory: ByteSize | None = setting(
        None,
        "Memory of a replica, such as 16GiB, which Ray reserves on its node; memory_budget is a share of it. Default: "
        "a share of the node's, by num_cpus.",
    )
    max_replicas_per_node: int | None = setting(None, "Replicas on one node, at most.", minimum=1)
    min_replicas: int = setting(1, "Replicas that are kept when nothing is asked; never 0.", minimum=1)
    max_replicas: int | None = setting(
        None, "Replicas at most; from min_replicas to so many run as the queues need.", minimum=1
    )
    target_queued_seconds: float = setting(
        0.3, "Seconds of work that wait in a replica beyond which another one is started.", minimum=0.01
    )
