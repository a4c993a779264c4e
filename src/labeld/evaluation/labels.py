"""Labels of a file -> labels of a model: by name, by name in another case, by id, or by a mapping of the operator's."""

from collections.abc import Iterable, Mapping, Sequence

from labeld.autotune.label_index import LabelIndex, text_of
from labeld.errors import InvalidRequestError

MOST_NAMED = 20
"""Labels of a model that a sentence names, at most."""
MOST_CHARACTERS = 60
"""Characters of a file's label that a sentence shows, at most."""


class UnknownLabelError(InvalidRequestError):
    """A file has a label that the model does not have; `label` is the file's."""

    def __init__(self, label: str, model: str, labels: Sequence[str], where: str = "") -> None:
        shown = label if len(label) <= MOST_CHARACTERS else f"{label[:MOST_CHARACTERS]}…"
        super().__init__(
            f"{where or 'The file'} has the label {shown!r}, but those of {model} are {named(labels)}: "
            f"map it with --label-map {shown!r}=LABEL, or correct the file."
        )
        self.label, self.model, self.labels = label, model, labels


class LabelReader:
    """Finds the model's label that a label of a file means."""

    def __init__(self, model: str, labels: Sequence[str], mapped: Mapping[str, Sequence[str]] | None = None) -> None:
        """`mapped` has for labels of the file the model's, by name or id; of several the first that the model has.

        Raises InvalidRequestError for a mapping of which the model has no label.
        """
        self._model, self._labels, self._index = model, labels, LabelIndex(labels)
        self._mapped: dict[str, int] = {}
        for theirs, ours in (mapped or {}).items():
            known = [index for one in ours if (index := self._index.find(one)) is not None]
            if not known:
                raise InvalidRequestError(
                    f"--label-map names {ours[0]!r} for {theirs!r}, but the labels of {model} are {named(labels)}."
                )
            self._mapped[theirs] = known[0]
        self._index.by_id.clear()  # those of the operator are no labels of the file

    @property
    def note(self) -> str | None:
        """A sentence about the labels that were read as ids; None where none was."""
        found = [f"{index} = {self._labels[index]}" for index in sorted(self._index.by_id)[:MOST_NAMED]]
        if not found:
            return None
        more = ", …" if len(self._index.by_id) > MOST_NAMED else ""
        return f"Labels were read as ids of {self._model}: {', '.join(found)}{more}; --label-map says it otherwise."

    def read(self, value: object, where: str = "") -> int:
        """The id of a label; `where` names its row in the UnknownLabelError that is raised where there is none."""
        label = text_of(value)
        index = self._mapped.get(label, self._mapped.get(label.strip()))
        index = self._index.find(label) if index is None else index
        if index is None:
            raise UnknownLabelError(label, self._model, self._labels, where)
        return index


def read_mapping(given: Iterable[str]) -> dict[str, list[str]]:
    """`file-label=model-label` options as a mapping; raises InvalidRequestError for one without both."""
    mapped: dict[str, list[str]] = {}
    for one in given:
        theirs, equals, ours = one.rpartition("=")
        if not equals or not ours:
            raise InvalidRequestError(f"--label-map is {one!r}, but must be FILE-LABEL=LABEL, such as 1=POSITIVE.")
        mapped.setdefault(theirs, []).append(ours)
    return mapped


def named(labels: Sequence[str]) -> str:
    """The labels in a sentence, the first MOST_NAMED of them."""
    more = len(labels) - MOST_NAMED
    return ", ".join(labels[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
