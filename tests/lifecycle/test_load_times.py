"""How long a load will take, from how long loads took."""

from pathlib import Path

import pytest

from labeld.lifecycle.load_times import FIRST_GUESS, HISTORY_FILE, MAX_MODELS, LoadTimes


def test_nothing_known_is_what_the_service_said(tmp_path: Path) -> None:
    """20 seconds, with and without the bytes."""
    history = LoadTimes(tmp_path)

    assert (FIRST_GUESS, FIRST_GUESS) == (history.expected_seconds("a", 100), history.expected_seconds("a", None))


def test_a_model_takes_what_it_took_last_time(tmp_path: Path) -> None:
    """Its latest load counts, in this process and in the next."""
    LoadTimes(tmp_path / "new").add("a", 100, 9.0)
    LoadTimes(tmp_path / "new").add("a", 100, 4.5)
    history = LoadTimes(tmp_path / "new")

    assert (4.5, 4.5) == (history.expected_seconds("a", 100), history.expected_seconds("a", None))


def test_a_new_model_takes_as_long_as_its_bytes_say(tmp_path: Path) -> None:
    """At the speed of all loads; so does a model that has other weights than last time."""
    history = LoadTimes(tmp_path)
    history.add("a", 100, 1.0)
    history.add("b", 300, 7.0)

    assert [1.0, 4.0, 10.0] == [history.expected_seconds(*one) for one in (("new", 50), ("b", 200), ("a", 500))]
    assert FIRST_GUESS == history.expected_seconds("new", None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"a": 3}',
        b'{"a": {"bytes": 1}}',
        b'{"a": {"bytes": 1, "seconds": null}}',
        b'{"a": {"bytes": 1, "seconds": -1}}',
        b'{"a": {"bytes": 1, "seconds": NaN}}',
        b'{"a": {"bytes": 1e300, "seconds": 1}}',
        b"[" * 100_000,
    ],
)
def test_a_spoilt_file_is_forgotten(tmp_path: Path, content: bytes) -> None:
    """It costs an estimate, and the next load writes it anew."""
    (tmp_path / HISTORY_FILE).write_bytes(content)
    history = LoadTimes(tmp_path)
    assert FIRST_GUESS == history.expected_seconds("a", 1)
    history.add("b", 10, 2.0)

    assert 2.0 == LoadTimes(tmp_path).expected_seconds("b", None)


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """The memory lasts as long as the process."""
    (tmp_path / "file").write_text("")
    history = LoadTimes(tmp_path / "file")
    history.add("a", 10, 2.0)

    assert 2.0 == history.expected_seconds("a", 10)


def test_only_so_many_models_are_remembered(tmp_path: Path) -> None:
    """The one that was loaded longest ago is forgotten."""
    loads = {f"model-{index}": {"bytes": 1, "seconds": 5.0} for index in range(MAX_MODELS)}
    (tmp_path / HISTORY_FILE).write_text(str(loads).replace("'", '"'))
    history = LoadTimes(tmp_path)
    history.add("one-more", 1, 5.0)

    assert FIRST_GUESS == history.expected_seconds("model-0", None)
    assert [5.0, 5.0] == [history.expected_seconds(one, None) for one in ("model-1", "one-more")]
