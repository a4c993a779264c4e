"""The configuration file: its shape, how it is read, and what its parts say of each other.

Every mistake is found in one reading. What only the models themselves can tell is found where they are.
"""

import os
import stat
from dataclasses import Field, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from labeld.config import hypothesis
from labeld.config.fields import ByteSize, validate
from labeld.config.json_types import ANY_SCALAR, NUMERIC, ZERO_OR_ONE, any_case
from labeld.config.mistakes import ConfigFileError, Mistake, Place, shortened
from labeld.config.models_file import (
    MAX_TEMPERATURE,
    Candidate,
    ModelEntry,
    ModelsFile,
    Policy,
    PolicyModel,
    Windows,
    ZeroShotDefaults,
)
from labeld.config.names import every_setting, variable
from labeld.config.precision import CHOICES
from labeld.config.roles import Roles
from labeld.config.shapes import (
    LABEL,
    SWITCH,
    Choice,
    Member,
    Number,
    NumberOrTable,
    Reading,
    Record,
    Several,
    Switch,
    Table,
    Text,
    Whole,
    scalar,
)
from labeld.config.yaml_nodes import Node, Scalar, Sequence, UnreadableError, read_nodes
from labeld.errors import SettingsError
from labeld.literals import Aggregate
from labeld.model_id import MODEL_ID, valid_id, valid_name

MOST_BYTES = 128 * 1024
"""Bytes of a configuration file, at most; they are read in two seconds."""

ROLES = tuple(one.name for group, one, _ in every_setting() if group is Roles)
"""Settings that stand beside `settings` in the file."""

ALIAS = Text("a name like a model id, sentiment or team/sentiment", valid_id, {"pattern": f"^{MODEL_ID.pattern}$"})
MODEL = Text("a model id like org/name, or org/name@revision", valid_name)

TEMPLATE = Text(
    f"a text with {hypothesis.FORM}",
    lambda text: len(text) <= hypothesis.MOST_CHARACTERS and hypothesis.has_places(text),
)
CANDIDATE = Text(f"{LABEL.what}, not all of them white space", lambda text: LABEL.fits(text) and bool(text.strip()))


@dataclass(frozen=True, slots=True)
class Setting:
    """The shape of a setting: what its flag takes, or a list where that is comma-separated."""

    one: Field[Any]
    kind: Any

    def read(self, node: Node, path: tuple[str, ...], reading: Reading) -> Any:
        """The value of a node."""
        if get_origin(self.kind) is tuple and isinstance(node, Sequence):
            items = (scalar(item, path, reading, "a text") for item in node.items)
            return tuple(item.text for item in items if item)
        found = scalar(node, path, reading, "a value")
        if found is None:
            return None
        try:
            return validate(self.one, ".".join(path), found.text, self.kind)
        except SettingsError as error:
            reading.mistakes.append(Mistake(node.place, shortened(".".join(path)), shortened(str(error))))

    def schema(self) -> dict[str, Any]:
        """Its JSON schema: of what YAML makes numbers and booleans of, its text is what counts."""
        kind = next((part for part in get_args(self.kind) if part is not type(None)), self.kind)
        if get_origin(self.kind) is tuple:
            return {"oneOf": [{"type": "array", "items": {"type": list(ANY_SCALAR)}}, {"type": list(ANY_SCALAR)}]}
        if get_origin(self.kind) is Literal:
            return {"enum": list(get_args(self.kind))}
        bounds = {"minimum": self.one.metadata["minimum"], "maximum": self.one.metadata["maximum"]}
        said = {name: value for name, value in bounds.items() if value is not None}
        if kind is bool:
            words = any_case((*SWITCH, "1", "0", ""))
            return {"type": ["boolean", "string", "integer"], "pattern": words, **ZERO_OR_ONE}
        if kind in {int, float}:
            return {"type": ["integer" if kind is int else "number", "string"], "pattern": NUMERIC, **said}
        return {"type": ["string", "number"] if kind is ByteSize else list(ANY_SCALAR)}


def _settings() -> Record:
    members, refused = {}, {"config": "is the file itself: leave it out."}
    for _, one, kind in every_setting():
        if one.metadata["secret"]:
            refused[one.name] = f"is a secret, which no file should have: give it as the variable {variable(one.name)}."
        elif one.name not in refused:
            members[one.name] = Member(Setting(one, kind), one.metadata["help"])
    return Record(members, refused=refused)


THRESHOLDS = "The least score that an answer keeps, for all labels or by label."
SHARE = Member(Number(above=True), "Share of the requests, above 0 up to 1.")
SPLIT = {"model": Member(MODEL, "An alias, or a model id.", required=True), "share": SHARE._replace(required=True)}
ENTRY = {
    "model": Member(MODEL, "Model id, or id@revision.", required=True),
    "precision": Member(Choice(CHOICES), "Its precision; then it is loaded apart from the model by its id."),
    "pin": Member(Switch(), "Never evict it once it is loaded."),
    "windows": Member(
        Record(
            {
                "stride": Member(Whole(0), "Tokens that two windows of a text share.", required=True),
                "aggregate": Member(Choice(get_args(Aggregate)), "How the scores of windows become one."),
                "max_length": Member(Whole(1), "Tokens of a window, special tokens included."),
            },
            Windows,
        ),
        "Defaults for requests that say nothing of long texts.",
    ),
    "rename": Member(Table(LABEL, LABEL), "Name in answers of each label that is to be called otherwise."),
    "thresholds": Member(NumberOrTable(), f"{THRESHOLDS} By the names in answers."),
    "rerank_label": Member(LABEL, "The label by whose score documents are ranked; by its name in answers."),
    "zero_shot": Member(
        Record(
            {
                "hypothesis_template": Member(TEMPLATE, "The text of which a label makes a hypothesis."),
                "multi_label": Member(Switch(), "Several labels may hold, so each is scored by itself."),
                "candidate_labels": Member(Several(CANDIDATE), "Labels of requests that name none."),
            },
            ZeroShotDefaults,
        ),
        "Defaults of zero-shot classification, for an NLI model.",
    ),
    "temperature": Member(
        Number(above=True, maximum=MAX_TEMPERATURE),
        "The logits are divided by it before softmax or sigmoid; 1 leaves the model's own scores.",
    ),
    "shadow": Member(Record({**SPLIT, "share": SHARE}, Candidate), "A model that is asked beside, and never answers."),
    "split": Member(Record(SPLIT, Candidate), "A model that answers a share of the requests."),
}
POLICY_MODEL = {
    "threshold": Member(NumberOrTable(), "The score from which a label is flagged, for all labels or by label."),
    "categories": Member(Table(LABEL, LABEL), "Category of each label that is not its own."),
    "safe_labels": Member(Several(LABEL), "Labels that do not count, where no others are named."),
}


def _entry(alias: str, given: dict[str, Any] | None) -> ModelEntry | None:
    return None if given is None else ModelEntry(alias, **given)


def shape() -> Record:
    """The shape of the whole file."""
    checked_by = Table(MODEL, Record(POLICY_MODEL, PolicyModel), least=1)
    policy = Record({"models": Member(checked_by, "By alias or id.", required=True)}, Policy)
    settings = _settings()
    return Record(
        {
            "settings": Member(settings, "Settings by their names; a flag or a variable wins over them."),
            "models": Member(Table(ALIAS, Record(ENTRY), _entry), "Models by alias."),
            **{name: Member(MODEL, settings.members[name].text) for name in ROLES},
            "policies": Member(Table(LABEL, policy), "Models that texts are checked with, by the policy's name."),
        }
    )


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A configuration file without mistakes."""

    settings: dict[str, Any]
    """Values by the names of their settings."""
    models: ModelsFile


NO_FILE = ReadFile({}, ModelsFile())


def read_file(path: Path) -> ReadFile:
    """Reads a configuration file; raises ConfigFileError with all its mistakes, SettingsError where it is no file."""
    reading = Reading()
    try:
        node = read_nodes(_text(path), reading.mistakes)
    except UnreadableError as error:
        raise ConfigFileError(str(path), [*reading.mistakes, error.mistake]) from None
    is_empty = isinstance(node, Scalar) and node.is_null
    said = {} if is_empty else shape().read(node, (), reading)
    if not reading.mistakes:
        _compare(said, reading)
    if reading.mistakes:
        raise ConfigFileError(str(path), reading.mistakes)
    settings = said.pop("settings", {}) | {name: said.pop(name) for name in ROLES if name in said}
    return ReadFile(settings, replace(ModelsFile(**said), path=path, places=reading.places))


def _text(path: Path) -> str:
    """The text of the file; it is never waited for, as a pipe would be."""
    try:
        with os.fdopen(os.open(path.expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SettingsError(f"config is {str(path)!r}, which is no regular file.")
            data = file.read(MOST_BYTES + 1)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no home folder"
        raise SettingsError(f"config is {str(path)!r}, which cannot be read: {reason}.") from None
    if len(data) > MOST_BYTES:
        sentence = f"The file is larger than {MOST_BYTES} bytes, the limit: keep what labeld reads, and nothing else."
        raise UnreadableError(Mistake(Place(1, 1), "", sentence))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = Place(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise UnreadableError(Mistake(place, "", "The file is not UTF-8 here: save it as UTF-8.")) from None


def _compare(said: dict[str, Any], reading: Reading) -> None:
    """Finds the mistakes of parts that contradict each other."""
    for name in ROLES:
        if name in said and name in said.get("settings", {}):
            path = "settings", name
            reading.wrong(reading.places[path], path, f"is there twice, also as {name}: leave one out.")
    models: dict[str, ModelEntry] = said.get("models", {})
    for alias, entry in models.items():
        path = "models", alias
        if entry.model.partition("@")[0] in models:
            sentence = f"is {entry.model!r}, which is an alias: name the model itself, by its id."
            reading.wrong(reading.places[*path, "model"], (*path, "model"), sentence)
        stride, length = entry.windows.stride, entry.windows.max_length
        if stride is not None and length is not None and stride >= length:
            its = (*path, "windows", "stride")
            reading.wrong(reading.places[its], its, f"is {stride}, but must be less than max_length, {length}.")
        for part, other in entry.candidates.items():
            if other.model in {alias, entry.model}:
                its = (*path, part, "model")
                reading.wrong(reading.places[its], its, f"is {other.model!r}, the model itself: name another one.")
        _compare_names(entry, path, reading)
    for name, policy in said.get("policies", {}).items():
        _compare_policy(policy, ("policies", name, "models"), reading)


def _compare_policy(policy: Policy, path: tuple[str, ...], reading: Reading) -> None:
    """Finds labels that are safe and count."""
    for model, said in policy.models.items():
        counted = {*said.categories, *(said.threshold if isinstance(said.threshold, dict) else ())}
        for label in said.safe_labels:
            if label in counted:
                its = (*path, model, "safe_labels")
                reading.wrong(reading.places[its], its, f"has {label!r}, which has a threshold or a category too.")


def _compare_names(entry: ModelEntry, path: tuple[str, ...], reading: Reading) -> None:
    """Finds labels that would have one name, and thresholds of names that are replaced."""
    seen: dict[str, str] = {}
    for label, name in entry.rename.items():
        its = (*path, "rename", label)
        if name in seen:
            reading.wrong(reading.places[its], its, f"is {name!r}, as {seen[name]} is: give each label its own name.")
        seen[name] = label
    for name in entry.thresholds if isinstance(entry.thresholds, dict) else ():
        its = (*path, "thresholds", name)
        if name in entry.rename and name not in seen:
            new = entry.rename[name]
            reading.wrong(reading.places[its], its, f"is a label that is called {new!r} in answers: name it so here.")
