"""Ray Data: texts of a data set classified in actors, by `Dataset.map_batches`. Importing it does not import Ray."""

import sys

from labeld.tables.classifier import TableClassifier


class Classifier(TableClassifier):
    """Classifies the texts of a data set's batches, in any `batch_format`.

    Give the class to `map_batches` with its options in `fn_constructor_kwargs`; each actor opens the model with its
    first batch. Unless `threads` says otherwise it computes on the `num_cpus` that Ray has given to its actor or task,
    on one thread if that is less, and on every core outside of Ray.
    """

    def default_threads(self) -> int:
        """The processors of this actor or task."""
        ray = sys.modules.get("ray")  # which a worker of Ray has imported
        if ray is None or not ray.is_initialized() or ray.get_runtime_context().worker.mode != ray.WORKER_MODE:
            return 0
        return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 0)))
