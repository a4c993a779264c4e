"""Engine name -> lazy factory. Imports no engine itself: that would load its library for everyone."""

from pathlib import Path

from labeld.engines.base import Engine
from labeld.model_config import ModelConfig
from labeld.precision import Precision


def open_engine(
    folder: Path, config: ModelConfig, threads: int, lanes: int, precision: Precision = "float32"
) -> Engine:
    """Loads a model folder's weights into the engine for this machine.

    Raises FolderError naming a bad file, PrecisionError when the engine cannot compute in this precision here.
    """
    from labeld.engines.openvino import OpenVinoEngine  # noqa: PLC0415  # takes 0.3 s; only who loads a model pays

    return OpenVinoEngine(folder, config, threads, lanes, precision)
