"""One loaded model: its labels, its tokenizer and its engine, of one revision."""

from dataclasses import dataclass
from pathlib import Path

from labeld.cache.keys import Identity
from labeld.checkpoint import open_checkpoint
from labeld.engines import open_engine, require_engine
from labeld.engines.base import Engine
from labeld.errors import FolderError
from labeld.model_config import ModelConfig, read_config
from labeld.revision import FolderState, folder_revision, folder_state
from labeld.text import CHARACTERS_PER_TOKEN, TextEncoder
from labeld.tokenizer_files import TokenizerFiles, read_tokenizer


@dataclass(frozen=True, slots=True)
class Model:
    """What answers for one model id."""

    model_id: str
    revision: str
    """40 hex digits."""
    config: ModelConfig
    encoder: TextEncoder
    engine: Engine
    files: FolderState
    """Of its folder when it was loaded."""
    precision: str = "float32"

    @property
    def identity(self) -> Identity:
        """What decides its answers, for the answer cache."""
        return Identity(self.revision, self.precision, self.encoder.max_tokens, self.encoder.max_characters)


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What loading needs to know of the machine and of the limits."""

    threads: int
    lanes: int
    max_text_characters: int
    max_tokens_per_text: int
    cache_dir: Path


def load_model(model_id: str, folder: Path, options: LoadOptions, commit: str | None = None) -> Model:
    """Opens a model folder; takes about a second. `commit` is its revision, if it has one.

    Raises FolderError naming the file that is missing or wrong.
    """
    before = folder_state(folder)
    config = read_config(folder)
    files = read_tokenizer(folder)
    _require_same_vocabulary(files, config)
    engine = open_engine(folder, config, options.threads, options.lanes)
    max_tokens = min(engine.max_tokens, files.max_length or engine.max_tokens, options.max_tokens_per_text)
    characters = min(options.max_text_characters, CHARACTERS_PER_TOKEN * max_tokens)
    encoder = TextEncoder(files.tokenizer, max_tokens, characters, files.truncation_side, files.token_types)
    revision = commit or folder_revision(folder, options.cache_dir)
    if folder_state(folder) != before:  # the revision would not be that of the weights, and the answer cache wrong
        raise FolderError("A file has changed while the model was loaded: replace a model by rename.")
    return Model(model_id, revision, config, encoder, engine, before)


def weight_bytes(folder: Path) -> int:
    """Bytes of a model's weights in float32; raises FolderError when config or weights say that it cannot be served."""
    require_engine(read_config(folder))
    return open_checkpoint(folder).nbytes


def check_folder(folder: Path) -> None:
    """Reads all that can be read quickly of a model folder; raises FolderError naming the file that is wrong."""
    check_without_weights(folder)
    open_checkpoint(folder)


def check_without_weights(folder: Path) -> None:
    """The same of a folder whose weights are still to come: its config and its tokenizer."""
    config = read_config(folder)
    require_engine(config)
    _require_same_vocabulary(read_tokenizer(folder), config)


def _require_same_vocabulary(files: TokenizerFiles, config: ModelConfig) -> None:
    vocabulary = config.integer("vocab_size", "n_words")
    tokens = files.tokenizer.get_vocab_size(with_added_tokens=True)
    # NOTE: get_vocab() would make a dict of all tokens, 80 MB for XLM-R
    known = sum(files.tokenizer.id_to_token(index) is not None for index in range(vocabulary))
    if known < tokens:
        raise FolderError(
            f"The tokenizer has {tokens} tokens, but only {known} of them have an id below config.json's vocab_size "
            f"{vocabulary}: they do not belong together."
        )
