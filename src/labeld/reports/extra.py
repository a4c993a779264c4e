"""The extra labeld[eval], without which nothing is measured or drawn."""

from importlib.util import find_spec

from labeld.errors import SettingsError


def require_eval(command: str) -> None:
    """Raises SettingsError where one of its packages is not installed; `command` is who needs them."""
    packages = {"matplotlib": "matplotlib", "pyarrow": "pyarrow", "sklearn": "scikit-learn"}
    missing = [name for module, name in packages.items() if find_spec(module) is None]
    if missing:
        raise SettingsError(f'{command} needs {" and ".join(missing)}: pip install "labeld[eval]".')
