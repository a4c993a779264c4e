"""The engine for a model. Engines are imported when one is opened: importing one loads its whole library."""

import logging
from importlib.util import find_spec
from pathlib import Path

from labeld.checkpoint.config import ModelConfig
from labeld.engines.base import Engine, EngineOptions
from labeld.errors import FolderError, PrecisionError, UnsupportedArchitectureError

_log = logging.getLogger(__name__)

TORCH_EXTRA = ("torch", "transformers", "safetensors")
"""Packages that `labeld[torch]` installs."""


def open_engine(folder: Path, config: ModelConfig, options: EngineOptions) -> Engine:
    """The engine of a model folder, with its weights loaded: OpenVINO if there is a packed graph for it, else torch.

    Raises FolderError naming a bad file, UnsupportedArchitectureError when the torch engine is needed and not
    installed, PrecisionError when the engine cannot compute in this precision on this machine.
    """
    try:
        from labeld.engines.openvino.engine import OpenVinoEngine  # noqa: PLC0415  # takes 0.3 s

        return OpenVinoEngine(folder, config, options)
    except UnsupportedArchitectureError as error:
        _require_torch(config, error)
        if options.precision != "float32":
            raise PrecisionError(options.precision, "the torch engine does not choose its precision") from None
        try:
            from labeld.engines.torch.engine import TorchEngine  # noqa: PLC0415  # takes seconds
        except ImportError as failure:
            _log.warning("The torch extra is installed, but cannot be imported: %s", failure)
            raise error from None
    return TorchEngine(folder, config, options)


def require_engine(config: ModelConfig) -> None:
    """Raises FolderError when config.json alone shows that no engine runs this model; does not import torch."""
    from labeld.engines.openvino import architectures  # noqa: PLC0415  # imports openvino

    try:
        architectures.require_supported(config)
    except UnsupportedArchitectureError as error:
        _require_torch(config, error)


def _require_torch(config: ModelConfig, reason: UnsupportedArchitectureError) -> None:
    """Raises FolderError when the torch engine may not run this model, or is not installed."""
    if "auto_map" in config.raw:
        raise FolderError(
            f"config.json: {reason.what} comes with code of its own (auto_map), which labeld never runs."
        ) from None
    if any(find_spec(name) is None for name in TORCH_EXTRA):
        raise reason from None
