"""The configuration file: what it may say, and every mistake with its line."""

import json
import os
import threading
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from labeld.config.file import CANDIDATE, MOST_BYTES, read_file
from labeld.config.hypothesis import FORM
from labeld.config.load import load
from labeld.config.mistakes import ConfigFileError
from labeld.config.models_file import Candidate, ModelEntry, Policy, PolicyModel, Windows, ZeroShotDefaults
from labeld.config.names import every_setting, variable
from labeld.config.schema import file_schema
from labeld.errors import SettingsError
from tests.support.paths import ROOT

SCHEMA = Draft202012Validator(file_schema())
FULL = """\
settings:
  port: 8081
  memory_budget: 4GiB
  origins: [https://a.example, https://b.example]
  hub: off
models:
  sentiment:
    model: org/name@main
    precision: int8
    pin: true
    windows: {stride: 32, aggregate: max, max_length: 256}
    rename: {LABEL_0: no, LABEL_1: yes}
    thresholds: {no: 0.6}
    zero_shot: {hypothesis_template: "{} it is.", multi_label: yes, candidate_labels: [no, "a, b"]}
    temperature: 1.7
    shadow: {model: org/other, share: 0.1}
    split: {model: org/third, share: 1}
  team/plain: {model: name, thresholds: .5}
reranker: org/reranker
zero_shot: sentiment
policies:
  default:
    models:
      toxicity: {threshold: {toxic: 0.5}, categories: {toxic: harassment}}
      org/name@main: {safe_labels: [neutral, other]}
      plain: {}
"""


def written(folder: Path, text: str | bytes) -> Path:
    """A configuration file with this text."""
    path = folder / "labeld.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def mistakes(folder: Path, text: str | bytes) -> list[str]:
    """`line:column: sentence` of each mistake of this text."""
    with pytest.raises(ConfigFileError) as refused:
        read_file(written(folder, text))
    return [f"{one.place.line}:{one.place.column}: {one.sentence}" for one in refused.value.mistakes]


def test_every_part_is_read(tmp_path: Path) -> None:
    """Settings keep their types, labels are the text that the file has, and what is left out has its default."""
    path = written(tmp_path, FULL)
    settings = load({"config": path}, {})

    assert (8081, 4 * 1024**3) == (settings.listen.port, settings.residency.memory_budget.of(0))
    assert (("https://a.example", "https://b.example"), "off") == (settings.sites.origins, settings.hub.hub)
    assert ("org/reranker", "sentiment") == (settings.roles.reranker, settings.roles.zero_shot)
    assert ("sentiment",) == settings.residency.pin
    assert {
        "sentiment": ModelEntry(
            "sentiment",
            "org/name@main",
            "int8",
            pin=True,
            windows=Windows(32, "max", 256),
            rename={"LABEL_0": "no", "LABEL_1": "yes"},
            thresholds={"no": 0.6},
            zero_shot=ZeroShotDefaults("{} it is.", multi_label=True, candidate_labels=("no", "a, b")),
            temperature=1.7,
            shadow=Candidate("org/other", 0.1),
            split=Candidate("org/third", 1.0),
        ),
        "team/plain": ModelEntry("team/plain", "name", thresholds=0.5),
    } == settings.file.models
    checked_by = {
        "toxicity": PolicyModel({"toxic": 0.5}, {"toxic": "harassment"}),
        "org/name@main": PolicyModel(0.5, {}, ("neutral", "other")),
        "plain": PolicyModel(),
    }
    assert {"default": Policy(checked_by)} == settings.file.policies
    assert f"{path}:10:5" == settings.file.where("models", "sentiment", "pin")


def test_a_flag_wins_over_a_variable_and_that_over_the_file(tmp_path: Path) -> None:
    """The file wins over the default alone."""
    path = written(tmp_path, "settings: {port: 1, threads: 2, streams: 3}")
    loaded = load({"port": 7}, {"LABELD_CONFIG": str(path), "LABELD_PORT": "5", "LABELD_THREADS": "6"})

    assert (7, 6, 3) == (loaded.listen.port, loaded.compute.threads, loaded.compute.streams)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeffsettings: {}\n"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    """All settings have their defaults."""
    assert 8080 == load({"config": written(tmp_path, text)}, {}).listen.port


def test_all_mistakes_are_found_at_once(tmp_path: Path) -> None:
    """In the order of the file, with the nearest known name, and without the text of a secret."""
    found = mistakes(
        tmp_path,
        """\
settings:
  port: 8o80
  port: 1
  memory-budget: 4GiB
  hf_token: hf_something
  uds:
  origins: [https://a.example, {}]
  config: other.yaml
  hub: sometimes
models:
  sentiment:
    model: org/name
    precison: int8
    precision: int4
    pin: maybe
    pin: true
    thresholds: {a: .nan, b: 1.4, c: -0.1, d: "0.5", e: [], f: 1e999}
    rename: {LABEL_0: }
    windows: {stride: -1, max_length: 2.5}
    shadow: {model: org/other, share: 0}
    split: {share: 0.1}
    zero_shot: {hypothesis_template: "it is", candidate_labels: [a, " "], multi_label: 2, multi_lable: no}
  chain: 5
  "bad id": {model: ../x}
reranker: [a]
policy: {}
""",
    )

    zero_shot = "models.sentiment.zero_shot"
    assert [
        "2:9: settings.port is '8o80', but must be a whole number.",
        "3:3: settings.port is there twice, first in line 2.",
        "4:3: settings.memory-budget is not known in settings: is it memory_budget?",
        "5:3: settings.hf_token is a secret, which no file should have: give it as the variable HF_TOKEN.",
        "6:7: settings.uds has no value: give a value, or leave it out.",
        "7:32: settings.origins is a mapping, but must be a text.",
        "8:3: settings.config is the file itself: leave it out.",
        "9:8: settings.hub is 'sometimes', but must be auto or any or allowlist or off.",
        "13:5: models.sentiment.precison is not known in models.sentiment: is it precision?",
        "14:16: models.sentiment.precision is 'int4', but must be one of float32, bfloat16, int8, auto: is it int8?",
        "15:10: models.sentiment.pin is 'maybe', but must be true or false.",
        "16:5: models.sentiment.pin is there twice, first in line 15.",
        "17:21: models.sentiment.thresholds.a is '.nan', but must be a number from 0 to 1.",
        "17:30: models.sentiment.thresholds.b is '1.4', but must be a number from 0 to 1.",
        "17:38: models.sentiment.thresholds.c is '-0.1', but must be a number from 0 to 1.",
        "17:47: models.sentiment.thresholds.d is '0.5', but must be a number from 0 to 1.",
        "17:57: models.sentiment.thresholds.e is a list, but must be a number from 0 to 1.",
        "17:64: models.sentiment.thresholds.f is '1e999', but must be a number from 0 to 1.",
        "18:22: models.sentiment.rename.LABEL_0 has no value: give a label of 1 to 200 characters, or leave it out.",
        "19:23: models.sentiment.windows.stride is '-1', but must be a whole number from 0.",
        "19:39: models.sentiment.windows.max_length is '2.5', but must be a whole number from 1.",
        "20:39: models.sentiment.shadow.share is '0', but must be a number above 0 up to 1.",
        "21:5: models.sentiment.split has no model: add it.",
        f"22:38: {zero_shot}.hypothesis_template is 'it is', but must be a text with {FORM}.",
        f"22:69: {zero_shot}.candidate_labels is ' ', but must be {CANDIDATE.what}.",
        f"22:88: {zero_shot}.multi_label is '2', but must be true or false.",
        f"22:91: {zero_shot}.multi_lable is not known in {zero_shot}: is it multi_label?",
        "23:10: models.chain is '5', but must be a mapping, with `key: value` on each line.",
        "24:3: models.bad id is 'bad id', but must be a name like a model id, sentiment or team/sentiment.",
        "24:21: models.bad id.model is '../x', but must be a model id like org/name, or org/name@revision.",
        "25:11: reranker is a list, but must be a model id like org/name, or org/name@revision.",
        "26:1: policy is not known here: is it policies?",
    ] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "models:\n  a: {model: b}\n  b: {model: a}\n",
            ["2:7: models.a.model is 'b', which is an alias", "3:7: models.b.model is 'a', which is an alias"],
        ),
        ("models: {a: {model: a}}", ["1:14: models.a.model is 'a', which is an alias"]),
        ("models: {a: {model: o/b, split: {model: a, share: 1}}}", ["1:34: models.a.split.model is 'a', the model"]),
        (
            "models: {a: {model: b, rename: {x: z, y: z}, thresholds: {x: 1}}}",
            ["1:39: models.a.rename.y is 'z', as x is", "1:59: models.a.thresholds.x is a label that is called 'z'"],
        ),
        ("models: {a: {model: b, windows: {stride: 9, max_length: 9}}}", ["1:34: models.a.windows.stride is 9, but"]),
        ("models: {a: {model: b, windows: {max_length: 9}}}", ["1:24: models.a.windows has no stride: add it."]),
        ("models: {a: {model: b, windows: {aggregate: mean}}}", ["1:24: models.a.windows has no stride: add it."]),
        ("policies: {a: {models: {}}}\n", ["1:24: policies.a.models is empty: name one at least"]),
        ("policies: {a: {models: {b: {safe_labels: no}}}}\n", ["1:42: policies.a.models.b.safe_labels must be a list"]),
        (
            "policies: {a: {models: {b: {threshold: {x: 1}, safe_labels: [y, x]}}}}\n",
            ["1:48: policies.a.models.b.safe_labels has 'x', which has a threshold or a category too."],
        ),
        ("settings: {zero_shot: a}\nzero_shot: a\n", ["1:12: settings.zero_shot is there twice"]),
    ],
)
def test_parts_that_contradict_each_other(tmp_path: Path, text: str, expected: list[str]) -> None:
    """An alias of an alias, of itself, two labels of one name, and a setting in two places."""
    found = mistakes(tmp_path, text)

    assert len(expected) == len(found)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("settings:\n\tport: 1\n", "2:1: This is no YAML that can be read: a tab"),
        ("a: b: c\n", "1:5: This is no YAML that can be read: a colon is not expected here"),
        ("settings: {port: 1\n", "2:1: This is no YAML that can be read: "),
        ('a: "b\n', "2:1: This is no YAML that can be read: a quote is opened and never closed"),
        ("--- {}\n--- {}\n", "2:1: This is no YAML that can be read: a second document"),
        ("a: " + "[" * 100_000, "1:19: This is no YAML that can be read: this is nested more than 16 deep"),
        ("{" * 100_000, "1:17: This is no YAML that can be read: this is nested more than 16 deep"),
        ("a: \x01\n", "1:4: This is no YAML that can be read: a control character"),
        (b"a: b\nc: \xff\n", "2:4: The file is not UTF-8 here"),
        ("[]", "1:1: The file is a list, but must be a mapping"),
        ("? [a]\n: b\n", "1:3: The file has a key that is no text"),
        (
            "zero_shot: !!python/object/apply:os.system [id]\n",
            "1:12: tag:yaml.org,2002:python/object/apply:os.system is",
        ),
        ("#" * (MOST_BYTES + 1), f"1:1: The file is larger than {MOST_BYTES} bytes"),
        ("x" * 10_000_000, f"1:1: The file is larger than {MOST_BYTES} bytes"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """Broken YAML, YAML without an end, and what YAML can do that no configuration needs."""
    assert mistakes(tmp_path, text)[0].startswith(expected)


def test_a_yaml_bomb_does_nothing(tmp_path: Path) -> None:
    """Anchors and aliases are refused where they stand; nothing is multiplied."""
    levels = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    found = mistakes(tmp_path, "\n".join(levels))

    assert "1:5: &a0 is an anchor, which is not read: leave it out." in found
    assert "2:10: *a0 is an alias, which is not read: write its value out." in found


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("models: {a: *x}", "1:13"),
        ("models: *x", "1:9"),
        ("models: {*x : {model: org/name}}", "1:10"),
        ("models: {a: {model: org/name, windows: *x}}", "1:40"),
        ("models: {a: {model: org/name, shadow: *x}}", "1:39"),
        ("models: {a: {model: *x}}", "1:21"),
        ("models: {a: {<<: *x}}", "1:18"),
        ("models: {a: &x {model: org/name, split: {model: *x, share: *x}}}", "1:49"),
        ("policies: {default: *x}", "1:21"),
        ("policies: {default: {models: *x}}", "1:30"),
        ("policies: {default: {models: {org/name: *x}}}", "1:41"),
        ("settings: {origins: [*x]}", "1:22"),
        ("settings: *x", "1:11"),
        ("reranker: *x", "1:11"),
        ("*x", "1:1"),
    ],
)
def test_an_alias_is_a_mistake_wherever_it_stands(tmp_path: Path, text: str, place: str) -> None:
    """In place of a mapping too, from which something would be built."""
    assert f"{place}: *x is an alias, which is not read: write its value out." in mistakes(tmp_path, text)


def test_very_many_mistakes_make_a_short_sentence(tmp_path: Path) -> None:
    """Those beyond fifty are counted, and long values are shortened."""
    text = "".join(f"x{number}: {'y' * 1000}\n" for number in range(100)) + f"zero_shot: {'-' * 20_000}\n"
    with pytest.raises(ConfigFileError) as refused:
        read_file(written(tmp_path, text))

    assert 101 == len(refused.value.mistakes)
    assert str(refused.value).endswith("and 51 more mistakes.")
    assert len(str(refused.value)) < 30_000


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to is not waited for."""
    path = tmp_path / "labeld.yaml"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    raised: list[SettingsError] = []

    def read() -> None:
        try:
            read_file(path)
        except SettingsError as error:
            raised.append(error)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(5)

    assert [f"config is {str(path)!r}"] == [str(error).partition(", which")[0] for error in raised]


def test_every_setting_but_secrets_may_be_in_the_file(tmp_path: Path) -> None:
    """Each is read by its name, or refused with its variable."""
    for _, one, _ in every_setting():
        if one.metadata["secret"]:
            found = mistakes(tmp_path, f"settings: {{{one.name}: s3cr3t}}")
            assert variable(one.name) in found[0]
            assert "s3cr3t" not in found[0]
        elif one.name != "config":
            read_file(written(tmp_path, f"settings: {{{one.name}: {json.dumps(str(one.default or 1))}}}"))


def test_the_schema_is_the_checked_in_one() -> None:
    """docs/reference/labeld.schema.json is what `labeld config schema` prints, and a schema."""
    Draft202012Validator.check_schema(file_schema())

    assert file_schema() == json.loads((ROOT / "docs/reference/labeld.schema.json").read_text())


def test_the_schema_takes_what_labeld_takes() -> None:
    """The whole example; `no` and `off` are texts in YAML 1.2, which editors read."""
    quoted = FULL.replace("no,", "'no',").replace("yes}", "'yes'}").replace("{no:", "{'no':").replace("off", "'off'")

    assert [] == [error.message for error in SCHEMA.iter_errors(yaml.safe_load(quoted))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("models: {a: {model: b, pin: yes}}", {"models": {"a": {"model": "b", "pin": "yes"}}}),
        ("models: {a: {model: b, pin: Off}}", {"models": {"a": {"model": "b", "pin": "Off"}}}),
        (
            "models: {a: {model: b, rename: {x: 1, y: true}}}",
            {"models": {"a": {"model": "b", "rename": {"x": 1, "y": True}}}},
        ),
        ("models: {a: {model: 7}}", {"models": {"a": {"model": 7}}}),
        ("settings: {port: '8080', batch_timeout: '1.5'}", {"settings": {"port": "8080", "batch_timeout": "1.5"}}),
        ("settings: {allow_anonymous: 1, log_texts: 'No'}", {"settings": {"allow_anonymous": 1, "log_texts": "No"}}),
        ("settings: {max_download: 1.5, origins: [1, x]}", {"settings": {"max_download": 1.5, "origins": [1, "x"]}}),
        ("settings: {models_dir: 2026, models: 7}", {"settings": {"models_dir": 2026, "models": 7}}),
        (
            "policies: {a: {models: {b: {safe_labels: [1], categories: {x: 2}}}}}",
            {"policies": {"a": {"models": {"b": {"safe_labels": [1], "categories": {"x": 2}}}}}},
        ),
    ],
)
def test_the_schema_takes_what_yaml_makes_of_texts(tmp_path: Path, text: str, value: object) -> None:
    """As editors read it, by YAML 1.2: a label may be called 1, and a switch be `yes`."""
    read_file(written(tmp_path, text))

    assert [] == [error.message for error in SCHEMA.iter_errors(value)]


def test_a_temperature_is_above_zero(tmp_path: Path) -> None:
    """The sentence has both bounds."""
    assert [
        "1:37: models.a.temperature is '0', but must be a number above 0 up to 100.",
    ] == mistakes(tmp_path, "models: {a: {model: b, temperature: 0}}")


@pytest.mark.parametrize(
    "text",
    [
        "settings: {prot: 1}",
        "settings: {port: eighty}",
        "settings: {hf_token: x}",
        "models: {a: {}}",
        "models: {a: {model: b, thresholds: 2}}",
        "models: {a: {model: b, temperature: 101}}",
        "models: {a: {model: b, split: {model: c}}}",
        "policies: {a: {models: {}}}",
        "policies: {a: {models: {b: {safe_labels: neutral}}}}",
        "other: 1",
    ],
)
def test_the_schema_refuses_what_labeld_refuses(tmp_path: Path, text: str) -> None:
    """Editors mark the mistakes that the server would."""
    assert mistakes(tmp_path, text)
    assert list(SCHEMA.iter_errors(yaml.safe_load(text)))
