"""Flag, then environment, then default."""

from pathlib import Path

import pytest

from labeld.config.load import load
from labeld.config.names import every_setting, variable
from labeld.config.settings import Listen, Settings
from labeld.errors import SettingsError


def test_defaults_are_those_written_in_the_class() -> None:
    """Nothing set gives the defaults."""
    assert Settings() == load({}, {})


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    """Precedence, for one setting in each place."""
    loaded = load({"port": 1, "threads": None}, {"LABELD_PORT": "2", "LABELD_THREADS": "3"})

    assert (1, 3, 0) == (loaded.listen.port, loaded.compute.threads, loaded.compute.streams)


def test_values_get_the_type_of_their_setting() -> None:
    """Text from the environment becomes a path, a number, a boolean or a list."""
    loaded = load(
        {},
        {
            "LABELD_MODELS_DIR": "/models",
            "LABELD_DRAIN_TIMEOUT": "1.5",
            "LABELD_ALLOW_ANONYMOUS": "true",
            "LABELD_MODELS": "a/b,c",
        },
    )

    assert (Path("/models"), ("a/b", "c")) == (loaded.folders.models_dir, loaded.folders.models)
    assert (1.5, True) == (loaded.queue.drain_timeout, loaded.listen.allow_anonymous)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LABELD_PORT", "eighty", "LABELD_PORT is 'eighty', but must be a whole number."),
        ("LABELD_PORT", "-1", "LABELD_PORT is '-1', but must be at least 0."),
        ("LABELD_PORT", "65536", "LABELD_PORT is '65536', but must be at most 65535."),
        ("LABELD_DRAIN_TIMEOUT", "nan", "LABELD_DRAIN_TIMEOUT is 'nan', but must be a finite number."),
        ("LABELD_DRAIN_TIMEOUT", "1e10", "LABELD_DRAIN_TIMEOUT is '1e10', but must be at most 1e+09."),
        (
            "LABELD_MAX_DOWNLOAD",
            "9" * 400,
            f"LABELD_MAX_DOWNLOAD is '{'9' * 400}', but must be bytes like 4GiB or a share like 70%.",
        ),
        ("LABELD_ALLOW_ANONYMOUS", "maybe", "LABELD_ALLOW_ANONYMOUS is 'maybe', but must be true or false."),
    ],
)
def test_an_impossible_value_is_refused_by_name(name: str, value: str, expected: str) -> None:
    """The sentence names where the value came from and what is allowed."""
    with pytest.raises(SettingsError) as refused:
        load({}, {name: value})

    assert expected == str(refused.value)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300"])
def test_no_setting_takes_what_is_no_time(value: str) -> None:
    """Every setting with a fraction refuses what no timer takes, at the start and not when it is first used."""
    names = [one.name for _, one, kind in every_setting() if kind is float]
    for name in names:
        with pytest.raises(SettingsError, match=f"^LABELD_{name.upper()} is "):
            load({}, {f"LABELD_{name.upper()}": value})

    assert "drain_timeout" in names


def test_an_impossible_flag_is_refused_by_its_flag() -> None:
    """A flag is named as it is typed."""
    with pytest.raises(SettingsError, match=r"^--max-inputs is 0, but must be at least 1\.$"):
        load({"max_inputs": 0}, {})


def test_names_are_unique_and_every_setting_explains_itself() -> None:
    """One name space of flags and variables."""
    names = [one.name for _, one, _ in every_setting()]

    assert len(set(names)) == len(names)
    assert all(
        one.metadata["help"].endswith((".", "429.", ")")) or one.metadata["help"] for _, one, _ in every_setting()
    )
    assert "LABELD_MAX_INPUTS" == variable("max_inputs")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_recognised(host: str, expected: bool) -> None:
    """Only addresses that no other machine can reach count."""
    assert expected is Listen(host=host).is_loopback
