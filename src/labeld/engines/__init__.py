"""Engine name -> lazy factory. Imports no engine itself: that would load its library for everyone."""

from pathlib import Path

from labeld.engines.base import Engine
from labeld.model_config import ModelConfig


def open_engine(folder: Path, config: ModelConfig, threads: int, lanes: int) -> Engine:
    """Loads a model folder's weights into the engine for this machine; raises FolderError naming a bad file."""
    from labeld.engines.openvino import OpenVinoEngine  # noqa: PLC0415  # takes 0.3 s; only who loads a model pays

    return OpenVinoEngine(folder, config, threads, lanes)
