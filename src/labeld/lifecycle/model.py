"""One loaded model: its labels, its tokenizer and its engine, of one revision."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Encoding

from labeld.autotune.judge import Judge, judge_of
from labeld.autotune.results import ChoiceFile
from labeld.autotune.texts import digest, shipped_evaluation_texts
from labeld.autotune.trial import PrecisionChoice, Step, TrialTarget, try_precisions
from labeld.cache.keys import Identity
from labeld.checkpoint.checkpoint import open_checkpoint
from labeld.checkpoint.config import ModelConfig, read_config
from labeld.checkpoint.revision import FolderState, folder_revision, folder_state
from labeld.config.models_file import ModelEntry
from labeld.config.precision import AskedPrecisions
from labeld.config.settings import Precisions
from labeld.engines import open_engine, require_engine
from labeld.engines.base import Engine, EngineOptions
from labeld.errors import FolderError, UnavailableError
from labeld.literals import Precision
from labeld.repository.folders import BUNDLED
from labeld.system.disk import out_of_files
from labeld.tokenization.encoder import CHARACTERS_PER_TOKEN, TextEncoder
from labeld.tokenization.errors import UnknownTokenIdError
from labeld.tokenization.loader import TokenizerFiles, read_tokenizer
from labeld.types import EncodedText, Logits, Parameters, Text

logger = logging.getLogger(__name__)

ID_GAP = 1000
"""Ids without a token that are looked past for tokens beyond the embeddings."""


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model: labels, tokenizer and engine."""

    model_id: str
    revision: str
    """40 hex digits."""
    config: ModelConfig
    encoder: TextEncoder
    engine: Engine
    files: FolderState
    """State of its folder when it was loaded."""
    choice: PrecisionChoice | None
    """The result of the precision trial, where `auto` was requested."""
    changed: str = ""
    """As JSON what an alias changes of every answer, as `config` then has it; empty for a model by its id."""

    @property
    def identity(self) -> Identity:
        """Its identity in the answer cache."""
        encoder, precision = self.encoder, self.engine.precision
        return Identity(self.revision, precision, encoder.max_tokens, encoder.max_characters, self.changed)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The part of the settings and of the machine that loading needs."""

    threads: int
    streams: int
    max_text_characters: int
    max_tokens_per_text: int
    cache_dir: Path
    precisions: AskedPrecisions = field(default_factory=AskedPrecisions)
    tolerances: Precisions = field(default_factory=Precisions)
    evaluation_texts: tuple[Text, ...] | None = None
    """The operator's texts; by default those that come with labeld."""
    evaluation_labels: tuple[tuple[str, ...], ...] | None = None
    """The labels of each of them, where the operator gave any."""
    aliases: Mapping[str, ModelEntry] = field(default_factory=dict)
    """By model id, the alias by whose names of labels, thresholds and temperature a trial is judged."""
    max_windows: int = sys.maxsize
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process stops: a trial of precisions, which may take a minute, then ends."""


class ModelFolder:
    """A model folder without its weights. Raises FolderError naming the file that is missing or wrong."""

    def __init__(self, folder: Path, options: LoadOptions, commit: str | None = None, model_id: str = "") -> None:
        """`commit` is its revision, if it has one; by its id the alias is found by which a trial is judged."""
        self._options = options
        self.state = _state(folder)
        self.config = read_config(folder)
        self._files = _read_tokenizer(folder, self.config)
        self.revision = commit or folder_revision(folder, options.cache_dir)
        self._evaluation_texts = options.evaluation_texts or shipped_evaluation_texts(len(self.config.labels))
        self._folder = folder
        self._may_change = commit is None and not folder.is_relative_to(BUNDLED)
        self._readable: list[int] = []
        labels, entry = options.evaluation_labels, options.aliases.get(model_id)
        self.judge = None if labels is None else judge_of(self.config, entry, labels)
        """By the labels of the evaluation texts; None without, and a sentence where they are not this model's."""

    def open(self, precision: Precision) -> Engine:
        """The engine in this precision; raises FolderError, PrecisionError among them."""
        options = self._options
        opened = EngineOptions(options.threads, options.streams, precision, options.cache_dir, self._may_change)
        return open_engine(self._folder, self.config, opened)

    def encoder(self, max_tokens: int) -> TextEncoder:
        """The encoder of its texts, each of at most so many tokens, and of those that the settings allow."""
        max_tokens = min(max_tokens, self._options.max_tokens_per_text)
        characters = min(self._options.max_text_characters, CHARACTERS_PER_TOKEN * max_tokens)
        return TextEncoder(
            self._files.tokenizer,
            max_tokens,
            characters,
            self._files.truncation_side,
            self._files.token_types,
            cut_at=self._files.max_length,
            vocabulary=self.config.vocabulary or sys.maxsize,
            type_count=self.config.token_types or sys.maxsize,
            max_windows=self._options.max_windows,
        )

    def remarks(self) -> Iterator[str]:
        """Warnings about parts of the folder that its author may have meant otherwise."""
        yield from (f"config.json: {remark}" for remark in self.config.remarks)
        vocabulary, tokenizer = self.config.vocabulary, self._files.tokenizer
        if vocabulary is None:
            return
        # NOTE: not get_vocab(), which makes a dict of all tokens, 80 MB for XLM-R; and not every id, which takes 60 ms
        last = max(vocabulary, tokenizer.get_vocab_size()) + ID_GAP
        suspects = {*tokenizer.get_added_tokens_decoder(), *range(vocabulary, last)}
        if beyond := sum(one >= vocabulary and tokenizer.id_to_token(one) is not None for one in suspects):
            yield f"{beyond} tokens have ids beyond its {vocabulary} embeddings: a text that uses one is refused."

    def choice(self) -> PrecisionChoice | None:
        """The choice of an earlier trial; None where there was none that counts on this machine."""
        return self._choice_file().read()

    def try_precisions(
        self, step: Step, found: Callable[[Precision, Logits, Sequence[int]], object] = lambda *_: None
    ) -> PrecisionChoice:
        """A new trial, whose choice is kept; raises what `step` raises.

        `found` is called with the logits of each precision and the positions of the texts that they are of.
        """
        judge = self.judge
        target = TrialTarget(
            self.open,
            self._read_evaluation_texts,
            self.config.default_function,
            (lambda logits: judge.right(logits, self._readable)) if isinstance(judge, Judge) else None,
            lambda precision, logits: found(precision, logits, self._readable),
        )
        choice = try_precisions(target, self._options.tolerances, step)
        self._choice_file().write(choice)
        return choice

    def _read_evaluation_texts(self, engine: Engine) -> list[EncodedText]:
        """The evaluation texts that the model can read, of pairs only the first text where it reads no pairs."""
        encoder, parameters = self.encoder(engine.max_tokens), Parameters(truncation="longest_first")
        pairs = encoder.type_count > 1 or not encoder.token_types
        read = []
        self._readable = []
        for index, text in enumerate(self._evaluation_texts):
            with suppress(UnknownTokenIdError):
                read += encoder.encode([text if pairs else Text(text.text)], parameters)
                self._readable.append(index)
        return read

    def _choice_file(self) -> ChoiceFile:
        texts = digest(self._evaluation_texts)
        if isinstance(self.judge, Judge):
            texts += f" {self.judge.digest()}"
        return ChoiceFile(self._options.cache_dir, self.revision, texts, self._options.tolerances)


def load_model(model_id: str, folder: Path, options: LoadOptions, commit: str | None = None) -> Model:
    """Opens a model folder; takes about a second, and a trial the first time that precision `auto` is asked for.

    `commit` is its revision, if it has one. Raises FolderError naming the file that is missing or wrong,
    UnavailableError when the process stops meanwhile.
    """
    read = ModelFolder(folder, options, commit, model_id)
    asked, choice = options.precisions.of(model_id), None
    if asked == "auto":
        choice = _choice(model_id, read, options.stopping)
        precision = choice.precision
    else:
        precision = asked
    for remark in read.remarks():
        logger.warning("model %s: %s", model_id, remark)
    engine = read.open(precision)
    if _state(folder) != read.state:  # the revision would not be that of the weights, and the answer cache wrong
        raise FolderError("A file has changed while the model was loaded: replace a model by rename.")
    return Model(model_id, read.revision, read.config, read.encoder(engine.max_tokens), engine, read.state, choice)


def _state(folder: Path) -> FolderState:
    """The state of a folder; raises OSError where it is unknown for want of file descriptors."""
    state = folder_state(folder)
    if not state:
        try:
            os.scandir(folder).close()
        except OSError as error:
            if out_of_files(error):
                raise
    return state


def _choice(model_id: str, folder: ModelFolder, stopping: threading.Event) -> PrecisionChoice:
    """The choice of an earlier trial, or of a new one. NOTE: logged as a warning, because it changes answers."""

    def go_on(*_: object) -> None:
        if stopping.is_set():
            raise UnavailableError("The server is stopping: try again in a moment.")

    choice = folder.choice()
    if isinstance(folder.judge, str):
        logger.warning("%s is not judged by the labels of evaluation_texts: %s", model_id, folder.judge)
    if choice is None:
        logger.warning("%s: trying its precisions, once for this revision and machine", model_id)
        choice = folder.try_precisions(go_on)
    logger.warning("%s answers in %s", model_id, choice.sentence())
    return choice


def weight_bytes(folder: Path) -> int:
    """Bytes of a model's weights in float32; raises FolderError when config or weights say that it cannot be served."""
    require_engine(read_config(folder))
    return open_checkpoint(folder).nbytes


def check_folder(folder: Path) -> None:
    """Reads everything but the tensors of a model folder; raises FolderError naming the file that is wrong."""
    check_without_weights(folder)
    open_checkpoint(folder)


def check_without_weights(folder: Path) -> None:
    """Reads config and tokenizer of a folder whose weights are still to come; raises FolderError."""
    config = read_config(folder)
    require_engine(config)
    _read_tokenizer(folder, config)


def _read_tokenizer(folder: Path, config: ModelConfig) -> TokenizerFiles:
    """The tokenizer; raises FolderError where its texts lack the token at which the model reads its answer."""
    files, end = read_tokenizer(folder), config.end_token
    for empty in ((Encoding(),), (Encoding(), Encoding())):
        if end is not None and end not in files.tokenizer.post_process(*empty).ids:
            raise FolderError(
                f"The tokenizer gives a text no token {end}, which is the eos_token_id of config.json and where a "
                f"{config.model_type} classifier reads its answer: save the tokenizer of this model with transformers."
            )
    return files
