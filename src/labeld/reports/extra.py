"""The extras of the package, without which some commands do nothing."""

from collections.abc import Mapping
from importlib.util import find_spec

from labeld.errors import SettingsError


def require_eval(command: str) -> None:
    """Raises SettingsError where a package of labeld[eval] is not installed; `command` is who needs them."""
    require_extra(command, "eval", {"matplotlib": "matplotlib", "pyarrow": "pyarrow", "sklearn": "scikit-learn"})


def require_extra(command: str, extra: str, packages: Mapping[str, str]) -> None:
    """Raises SettingsError where one of these modules is not installed; their packages are of labeld[`extra`]."""
    missing = [name for module, name in packages.items() if find_spec(module) is None]
    if missing:
        raise SettingsError(f'{command} needs {" and ".join(missing)}: pip install "labeld[{extra}]".')
