"""labeld on Ray Serve: `serve run labeld.ray_serve:app models=org/name num_replicas=4 num_cpus=8`.

Each replica of the one deployment is the whole server, with its own queues, memory budget and models.
"""

from labeld.ray_serve.application import app

__all__ = ["app"]
