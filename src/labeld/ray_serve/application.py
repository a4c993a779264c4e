"""The application builder: arguments -> one deployment, whose replicas are whole servers."""

from typing import Any

import click
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from labeld.config.load import unknown_variables
from labeld.config.ray import Replicas
from labeld.errors import LabeldError
from labeld.ray_serve.arguments import Arguments, check, parse
from labeld.ray_serve.replica import Labeld

MIDDLEWARES = "labeld.ray_serve.edge:middlewares"
REPLICA_VARIABLES = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": MIDDLEWARES,
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_FREEZE_GC_ON_STARTUP": "1",
}
"""Environment of a replica: what stands in front of the application there, one event loop for Serve's part and ours,
and no search for garbage among what was imported (decision 16)."""
CONSTRUCTOR_RETRIES = 3
"""Replicas that fail to start before the deployment counts as failed."""
HEALTH_PERIOD, HEALTH_TIMEOUT = 2.0, 10.0
"""Seconds between two health checks, and for one to answer."""
UPSCALE_DELAY, DOWNSCALE_DELAY = 5.0, 300.0
"""Seconds for which a change of the number of replicas must be wanted."""
MOST_ONGOING = 1_000_000
"""Requests of one replica as far as Serve is concerned: labeld's own limits say when it is full, in its own words."""


class ArgumentError(click.ClickException):
    """An argument is wrong; `serve run` prints the sentence alone."""


def app(args: dict[str, Any]) -> Application:
    """The application; raises ArgumentError, before anything starts, for what no replica could be started with."""
    for sentence in unknown_variables():
        click.echo(sentence, err=True)
    try:
        arguments = parse(args)
        check(arguments)
    except LabeldError as error:
        raise ArgumentError(str(error)) from None
    return serve.deployment(serve.ingress()(Labeld)).options(**options(arguments)).bind(arguments)


def options(arguments: Arguments) -> dict[str, Any]:
    """The options of the deployment."""
    replicas = arguments.replicas
    resources: dict[str, Any] = {"num_cpus": replicas.num_cpus, "runtime_env": {"env_vars": REPLICA_VARIABLES}}
    if replicas.memory is not None:
        resources["memory"] = replicas.memory.of(0)
    return {
        "name": "labeld",
        "ray_actor_options": resources,
        "max_replicas_per_node": replicas.max_replicas_per_node,
        "max_ongoing_requests": MOST_ONGOING,
        "max_constructor_retry_count": CONSTRUCTOR_RETRIES,
        "health_check_period_s": HEALTH_PERIOD,
        "health_check_timeout_s": HEALTH_TIMEOUT,
        "logging_config": {"enable_access_log": False},
        **_number(replicas),
    }


def _number(replicas: Replicas) -> dict[str, Any]:
    if replicas.max_replicas is None:
        return {"num_replicas": replicas.num_replicas}
    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=replicas.min_replicas,
            max_replicas=replicas.max_replicas,
            upscale_delay_s=UPSCALE_DELAY,
            downscale_delay_s=DOWNSCALE_DELAY,
            policy=AutoscalingPolicy(
                policy_function="labeld.ray_serve.autoscaling:QueuePolicy",
                policy_kwargs={"target": replicas.target_queued_seconds},
            ),
        )
    }
