"""`labeld config check` and `schema`, and the file as a source of settings of every command."""

import json
from pathlib import Path

import pytest

from tests.support.command_line import labeld
from tests.support.paths import ROOT


def written(folder: Path, text: str) -> str:
    """The path of a configuration file with this text."""
    path = folder / "labeld.yaml"
    path.write_text(text)
    return str(path)


def test_a_good_file_is_said_to_be_right(tmp_path: Path) -> None:
    """With the number of its parts, and exit code 0."""
    path = written(
        tmp_path,
        "models: {sentiment: {model: labeld/sentiment-en, rename: {NEGATIVE: bad}, thresholds: {bad: 0.5}}}\n"
        "policies: {default: {models: {sentiment: {threshold: 0.5}}}}\n",
    )
    done = labeld("config", "check", path)

    assert (0, f"{path} is right: 1 alias, 1 policy.\n", "") == (done.returncode, done.stdout, done.stderr)


def test_mistakes_have_their_lines(tmp_path: Path) -> None:
    """Of the form, one line each, on stderr."""
    path = written(tmp_path, "settings:\n  port: 0x\nmodel: {}\n")
    done = labeld("config", "check", path)

    assert 1 == done.returncode
    assert [
        f"{path}:2:9: settings.port is '0x', but must be a whole number.",
        f"{path}:3:1: model is not known here: is it models?",
    ] == done.stderr.splitlines()


def test_mistakes_that_only_the_models_and_the_settings_together_show(tmp_path: Path) -> None:
    """Labels that a model does not have, models that are not there, and settings that do not fit, as JSON."""
    path = written(
        tmp_path,
        """\
settings:
  precision: fast
  hub: any
  host: 192.0.2.1
models:
  sentiment:
    model: labeld/sentiment-en
    rename: {NEGATIV: bad}
    thresholds: {neutral: 0.5}
    rerank_label: NEGATIV
    shadow: {model: org/none}
  other: {model: org/none}
reranker: nobody
policies:
  default: {models: {everything: {threshold: 1}}}
  other: {models: {labeld/sentiment-en: {threshold: {toxic: 1}, categories: {NEGATIVE: bad}, safe_labels: [good]}}}
""",
    )
    done = labeld("config", "check", path, "--json", LABELD_HUB="off")
    said = json.loads(done.stdout)

    assert (1, False, path) == (done.returncode, said["valid"], said["file"])
    assert {
        (2, "precision"),
        (8, "models.sentiment.rename.NEGATIV"),
        (9, "models.sentiment.thresholds.neutral"),
        (10, "models.sentiment.rerank_label"),
        (11, "models.sentiment.shadow.model"),
        (12, "models.other.model"),
        (13, "reranker"),
        (15, "policies.default.models.everything"),
        (16, "policies.other.models.labeld/sentiment-en.threshold.toxic"),
        (16, "policies.other.models.labeld/sentiment-en.safe_labels"),
    } == {(one["line"], one["path"]) for one in said["mistakes"]}
    assert "only NEGATIVE, POSITIVE" in next(one["message"] for one in said["mistakes"] if one["line"] == 8)


def test_a_second_model_with_other_labels_is_a_mistake(tmp_path: Path) -> None:
    """With the line of its name; an alias of it may make them equal, which one that renames too few does not."""
    path = written(
        tmp_path,
        """\
models:
  plain: {model: labeld/sentiment-en, split: {model: same, share: 0.5}, shadow: {model: int8}}
  same: {model: labeld/sentiment-en, rename: {NEGATIVE: bad}}
  int8: {model: labeld/sentiment-en, precision: int8}
  fine: {model: labeld/sentiment-en, rename: {NEGATIVE: bad}, split: {model: same, share: 0.5}}
""",
    )
    done = labeld("config", "check", path)

    assert (1, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert (
        f"{path}:2:47: The answers of labeld/sentiment-en have the labels bad, POSITIVE, but those of plain "
        in done.stderr
    )


def test_windows_that_a_model_cannot_be_read_in_are_a_mistake(tmp_path: Path) -> None:
    """A stride of more tokens than it reads; one that leaves little room is none."""
    path = written(
        tmp_path,
        """\
models:
  wide: {model: labeld/sentiment-en, windows: {stride: 512}}
  wider: {model: labeld/sentiment-en, windows: {stride: 600, max_length: 700}}
  fine: {model: labeld/sentiment-en, windows: {stride: 500}}
""",
    )
    done = labeld("config", "check", path)

    limit = "labeld/sentiment-en reads at most 512 tokens: give fewer, such as 128."
    assert [
        f"{path}:2:48: models.wide.windows.stride is 512, but {limit}",
        f"{path}:3:49: models.wider.windows.stride is 600, but {limit}",
    ] == done.stderr.splitlines()


def test_zero_shot_defaults_of_a_model_without_entailment_are_a_mistake(tmp_path: Path) -> None:
    """With the labels that it has; names that the alias gives them count."""
    path = written(
        tmp_path,
        """\
models:
  topics: {model: labeld/sentiment-en, zero_shot: {candidate_labels: [sports]}}
  named: {model: labeld/sentiment-en, rename: {POSITIVE: entailment}, zero_shot: {multi_label: true}}
""",
    )
    done = labeld("config", "check", path)

    way_out = "name an NLI model, or leave zero_shot out"
    assert [
        f"{path}:2:40: The answers of topics have no label of entailment, only NEGATIVE, POSITIVE: {way_out}."
    ] == done.stderr.splitlines()


def test_a_model_that_is_not_here_yet_is_a_note(tmp_path: Path) -> None:
    """It may be downloaded, so nothing is wrong, and nothing was checked."""
    path = written(
        tmp_path, "models: {a: {model: org/name, rename: {x: y}}}\npolicies: {p: {models: {org/other: {}}}}\n"
    )
    done = labeld("config", "check", path, LABELD_HUB="any")

    assert 0 == done.returncode
    assert f"{path}:1:14: org/name is not here yet" in done.stdout
    assert f"{path}:2:25: org/other is not here yet, so what p says of it is not checked." in done.stdout


def test_an_alias_that_is_a_model_of_models_dir_is_a_mistake(tmp_path: Path) -> None:
    """Nobody could say which of both is meant."""
    (tmp_path / "models/org/name").mkdir(parents=True)
    (tmp_path / "models/org/name/config.json").write_text("{}")
    path = written(
        tmp_path, f"settings: {{models_dir: {tmp_path}/models}}\nmodels: {{org/name: {{model: labeld/sentiment-en}}}}\n"
    )
    checked, served = labeld("config", "check", path), labeld("models", "pull", "a", "--config", path)

    assert (1, 1) == (checked.returncode, served.returncode)
    assert f"{path}:2:10: org/name is a model's own id: take another alias." in checked.stderr
    assert f"{path}:2:10: org/name is a model's own id: take another alias." in served.stderr


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path, more: tuple[str, ...]) -> None:
    """With the reason, and no traceback."""
    done = labeld("config", "check", str(tmp_path / "none.yaml"), *more)

    assert 1 == done.returncode
    assert "cannot be read: No such file or directory" in done.stdout + done.stderr


def test_the_schema_is_printed() -> None:
    """As it is checked in."""
    assert labeld("config", "schema").stdout == (ROOT / "docs/reference/labeld.schema.json").read_text()


def test_other_commands_read_the_file_too(tmp_path: Path) -> None:
    """By --config or LABELD_CONFIG: access tokens are made where the server looks for them."""
    path = written(tmp_path, f"settings: {{tokens_db: {tmp_path}/here.sqlite3}}\n")
    done = labeld("tokens", "create", "app", "--config", path, LABELD_TOKENS_DB=f"{tmp_path}/variable.sqlite3")

    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "variable.sqlite3").exists()  # the variable wins
    assert labeld("models", "list", LABELD_CONFIG=str(tmp_path / "none.yaml")).returncode == 1


def test_a_server_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    """All mistakes are printed, each on a line."""
    path = written(tmp_path, "settings: {port: x, host: 1, workers: 0}\n")
    done = labeld("serve", "--config", path)

    assert 1 == done.returncode
    assert f"labeld: {path} cannot be used, because of 2 mistakes:" in done.stderr
    assert f"\n{path}:1:18: settings.port is 'x'" in done.stderr
    assert f"\n{path}:1:39: settings.workers is '0'" in done.stderr
