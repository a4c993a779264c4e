"""The peer's names of labels -> the model's: equal, but for the case, by their ids, or as the operator says."""

import re
from collections.abc import Mapping, Sequence

from labeld.comparison.answers import PeerRanking, PeerScore
from labeld.comparison.errors import OtherLabelsError
from labeld.errors import InvalidRequestError
from labeld.system.printable import printable

SHOWN = 12
"""Labels that a sentence shows, at most."""
_BY_ID = re.compile(r"(?:LABEL_)?([0-9]{1,6})", re.ASCII)


def read_label_map(given: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """The model's label of each of the peer's in options such as `LABEL_0=negative,LABEL_1=positive`.

    Raises InvalidRequestError for what is none, and for labels that the model does not have.
    """
    found: dict[str, str] = {}
    for one in (part for option in given for part in option.split(",") if part):
        theirs, equals, ours = one.partition("=")
        if not equals or not theirs:
            raise InvalidRequestError(f"--label-map has {one!r}, but must be like LABEL_0=negative,LABEL_1=positive.")
        require_label("--label-map", ours, labels)
        if found.setdefault(theirs, ours) != ours:
            raise InvalidRequestError(f"--label-map names {theirs!r} twice: name each of the peer's labels once.")
    return found


def require_label(option: str, label: str, labels: Sequence[str]) -> None:
    """Raises InvalidRequestError where the model has no such label."""
    if label not in labels:
        raise InvalidRequestError(f"{option} names the label {label!r}, but the model has {_listed(labels)}.")


class LabelMatch:
    """Matches the labels of one peer with those of the model."""

    def __init__(self, labels: Sequence[str], given: Mapping[str, str]) -> None:
        """`labels` are the model's in the order of their ids, `given` those that the operator has matched."""
        self._labels = list(labels)
        self._matched = dict(given)
        folded = [one.casefold() for one in labels]
        self._folded = {one: label for one, label in zip(folded, labels, strict=True) if folded.count(one) == 1}
        self.by_case: dict[str, str] = {}
        """The labels that were matched but for their case."""
        self.by_id: dict[str, str] = {}
        """The labels that were matched by their ids."""

    def ranking(self, theirs: PeerRanking) -> PeerRanking:
        """The ranking with the model's labels; raises OtherLabelsError where they do not fit."""
        if len(theirs) > len(self._labels):
            raise self._other(theirs)
        found = tuple([PeerScore(self._ours(one.label, theirs), one.score) for one in theirs])
        by_id = any(one.label in self.by_id for one in theirs)
        if len({one.label for one in found}) != len(found) or (by_id and 1 < len(found) < len(self._labels)):
            raise self._other(theirs)  # ids of a model with other labels
        return found

    @property
    def notes(self) -> list[str]:
        """A sentence for each way of matching that was more than equality."""
        by_case = f"Labels were matched without regard to case: {_pairs(self.by_case)}."
        by_id = f"Labels were matched by the order of their ids: {_pairs(self.by_id)}; --label-map says it otherwise."
        return [*([by_case] if self.by_case else []), *([by_id] if self.by_id else [])]

    def _ours(self, label: str, theirs: PeerRanking) -> str:
        known = self._matched.get(label)
        if known is None:
            known = self._matched[label] = self._match(label, theirs)
        return known

    def _match(self, label: str, theirs: PeerRanking) -> str:
        if label in self._labels:
            return label
        by_case = self._folded.get(label.casefold())
        if by_case is not None:
            self.by_case[label] = by_case
            return by_case
        number = _BY_ID.fullmatch(label)
        if number and int(number[1]) < len(self._labels):
            self.by_id[label] = self._labels[int(number[1])]
            return self.by_id[label]
        raise self._other(theirs)

    def _other(self, theirs: PeerRanking) -> OtherLabelsError:
        return OtherLabelsError(
            f"The peer has the labels {_listed([one.label for one in theirs])}, but the model has "
            f"{_listed(self._labels)}: compare it with a model that has its labels, or say which is which by "
            "--label-map THEIRS=OURS,THEIRS=OURS."
        )


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(printable(one[:60]) for one in labels[:SHOWN])
    return shown + (f", … ({len(labels)} in all)" if len(labels) > SHOWN else "")


def _pairs(matched: Mapping[str, str]) -> str:
    shown = [f"{printable(theirs[:60])} = {printable(ours[:60])}" for theirs, ours in list(matched.items())[:SHOWN]]
    return ", ".join(shown) + (", …" if len(matched) > SHOWN else "")
