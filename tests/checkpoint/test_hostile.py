"""Weight files that mean harm: each is refused in one sentence, and nothing in them is executed."""

import json
import os
import pickle
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

import labeld
from labeld.checkpoint import torch_file  # noqa: F401  # imported before an import would be seen
from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.errors import FolderError
from tests.support.hostile_files import CANARY, STORAGE, archive, hostile_files, legacy, state, tensor
from tests.support.paths import TESTS

pytestmark = pytest.mark.slow

FILES = hostile_files()


def test_the_honest_versions_of_these_files_are_read(tmp_path: Path) -> None:
    """Otherwise the refusals below would prove nothing; torch reads them as well."""
    for file in (archive(state(tensor())), legacy(state(tensor(storage=STORAGE[:-2] + b"NtQ")))):
        (tmp_path / "pytorch_model.bin").write_bytes(file)
        assert [0.0, 0.0] == open_checkpoint(tmp_path).take("w", 2).tolist()
        assert [0.0, 0.0] == torch.load(tmp_path / "pytorch_model.bin", weights_only=False)["w"].tolist()


def test_the_canary_sings_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its silence below would prove nothing: Python's own unpickler makes the file."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(FILES["plain pickle"][0])

    assert Path(CANARY).exists()


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In one printable sentence that names the file and no path, and without running anything."""
    monkeypatch.chdir(tmp_path)
    content, expected = FILES[name]
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(FolderError) as refused:
        open_checkpoint(tmp_path)
    sentence = str(refused.value)

    assert expected in sentence
    assert sentence.startswith("pytorch_model.bin ")
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert len(sentence) < 250
    assert str(tmp_path) not in sentence
    assert ["pytorch_model.bin"] == os.listdir(tmp_path)  # noqa: PTH208


def test_nothing_in_a_hostile_file_happens(tmp_path: Path) -> None:
    """An audit hook sees no import, no compile, no exec, no process: nothing but files being opened and mapped."""
    for number, name in enumerate(FILES):
        folder = tmp_path / "files" / f"{number:03d}"
        folder.mkdir(parents=True)
        (folder / "pytorch_model.bin").write_bytes(FILES[name][0])
    script = TESTS / "support" / "hostile_files.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path / "files"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(labeld.__file__).parents[1]), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    noticed = {"of_eval": ["compile", "exec"]}
    assert {"files": len(FILES), "refused": len(FILES), "events": []} | noticed == json.loads(done.stdout)
    assert ["files"] == os.listdir(tmp_path)  # noqa: PTH208


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """Many names for one storage are no more than a few times the file."""
    shared = b"q\x01" + b"".join(b"U\x04%04dh\x01s" % number for number in range(5000))
    pickled = b"\x80\x02}" + b"U\x01w" + tensor((10_000,), count=10_000) + shared.replace(b"q\x01", b"q\x01s", 1) + b"."
    (tmp_path / "pytorch_model.bin").write_bytes(legacy(pickled, floats=10_000))

    with pytest.raises(FolderError, match="but its tensors would be 200040000"):
        open_checkpoint(tmp_path)


def watched_events() -> set[str]:
    """Every audit event of this process from now on; a hook cannot be taken away again."""
    events: set[str] = set()
    sys.addaudithook(lambda event, _: events.add(event))
    return events


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_damaged_files_are_refused_or_read(tmp_path: Path, zipped: bool) -> None:
    """Whatever bytes are flipped or cut off: FolderError, or tensors inside the file; never anything else."""
    path = tmp_path / "pytorch_model.bin"
    original = {
        "w": torch.arange(12.0).reshape(3, 4).t(),
        "v": torch.ones(3).half(),
        "u": torch.nn.Parameter(torch.ones(2)),
    }
    torch.save(original, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    described = len(whole) if zipped else whole.index(np.arange(12, dtype="<f4").tobytes())
    rng = random.Random(11)
    read = 0
    events = watched_events()
    for _ in range(4000):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 5])):
            damaged[rng.randrange(described)] = rng.choice([0, 1, 0x7F, 0xFF, rng.randrange(256)])
        if rng.random() < 0.1:
            del damaged[rng.randrange(1, len(damaged)) :]
        path.unlink()  # NOTE: never rewritten in place: an earlier mapping may still look at it
        path.write_bytes(damaged)
        with suppress(FolderError):
            checkpoint = open_checkpoint(tmp_path)
            for name, stored in original.items():
                checkpoint.take(name, *stored.shape)
            read += 1

    assert 200 < read < 3800
    assert not events & {"compile", "exec", "import", "os.system", "os.posix_spawn", "os.fork", "subprocess.Popen"}
