"""The folder of a run that is not complete, beside the one it makes: `OUTPUT.unfinished`.

It has what the run was asked for, the teacher's answers, and the last checkpoint, so that another run can go on.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from labeld.checkpoint.file_names import CONFIG, TOKENIZER
from labeld.distillation.folder import CARD, WEIGHTS
from labeld.files.errors import FileError
from labeld.files.journal import ended_early, lock, require_one, require_same, writing
from labeld.system.disk import entries
from labeld.types import Logits

WRITTEN = frozenset({CONFIG, WEIGHTS, CARD, *TOKENIZER})
"""Files of a folder that `labeld distill` has made."""


class Unfinished:
    """The unfinished run of an output folder. Raises FileError where the disk or another run is in the way."""

    def __init__(self, output: Path) -> None:
        if output.name in {"", ".."}:
            raise FileError(f"{output} has no name of its own: name a folder for the student, such as student.")
        self.output = output
        self._folder = output.with_name(f"{output.name}.unfinished")
        self.checkpoint = self._folder / "checkpoint.pt"
        self.made = self._folder / "model"
        """Where the new model is written before it becomes the output."""
        self._run, self._targets = self._folder / "run.json", self._folder / "teacher.npz"

    def prepare(self, *, overwrite: bool, resume: bool) -> bool:
        """Makes way for a run; False if there is nothing left to do. Without `overwrite` it removes nothing."""
        require_one(overwrite=overwrite, resume=resume)
        if file := next((one for one in (self.output, *self.output.parents) if one.is_file()), None):
            raise FileError(f"{file} is a file: name a folder for the student.")
        with writing(self.output):
            if overwrite:
                self._require_own()
                shutil.rmtree(self._folder, ignore_errors=True)
            elif self._folder.exists():
                if not resume:
                    raise ended_early(self.output)
            elif self.output.exists():
                if resume:
                    return False
                raise FileError(f"{self.output} exists: name another folder, or replace it with --overwrite.")
        return True

    def _require_own(self) -> None:
        """Raises FileError where something else than a run of this command would be removed."""
        foreign = [one for one in sorted(entries(self.output)) if one.name not in WRITTEN or one.is_dir()]
        if not self._run.exists():
            foreign += sorted(entries(self._folder))
        if foreign:
            raise FileError(
                f"{foreign[0]} is nothing that labeld distill has made, and --overwrite would remove it: name another "
                "folder."
            )

    @contextmanager
    def begin(self, run: dict[str, Any]) -> Iterator[None]:
        """Holds it for this run, which goes on only with what was asked for in the same way before."""
        with writing(self.output):
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._run.open("a+", encoding="utf-8")
        with file:
            lock(file, self._folder)
            file.seek(0)
            if text := file.read():
                require_same(self.output, run, json.loads(text))
            else:
                with writing(self.output):
                    file.write(json.dumps(run))
                    file.flush()
            yield

    def targets(self) -> tuple[Logits, Logits] | None:
        """The teacher's answers to what is taught and to what is held out; None where they are not there yet."""
        if not self._targets.exists():
            return None
        with np.load(self._targets) as kept:
            return kept["taught"], kept["held_out"]

    def keep_targets(self, taught: Logits, held_out: Logits) -> None:
        """Keeps the teacher's answers, each float32 [texts, labels]."""
        fresh = self._folder / "teacher.new.npz"
        with writing(self.output):
            np.savez(fresh, taught=taught, held_out=held_out)
            fresh.replace(self._targets)

    def finish(self) -> None:
        """Makes the model that was written the output, in the place of one that was there, and removes the rest."""
        with writing(self.output):
            if self.output.exists():
                replaced = self._folder / "replaced"
                shutil.rmtree(replaced, ignore_errors=True)  # of a run that was killed here
                self.output.replace(replaced)
            self.made.replace(self.output)
            shutil.rmtree(self._folder)
