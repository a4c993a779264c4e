"""One loaded model: its labels, its tokenizer and its engine, of one revision."""

from dataclasses import dataclass
from pathlib import Path

from labeld.checkpoint import open_checkpoint
from labeld.engines import open_engine, require_engine
from labeld.engines.base import Engine
from labeld.errors import FolderError
from labeld.model_config import ModelConfig, read_config
from labeld.revision import folder_revision
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


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What loading needs to know of the machine and of the limits."""

    threads: int
    lanes: int
    max_text_characters: int
    max_tokens_per_text: int
    cache_dir: Path


def load_model(model_id: str, folder: Path, options: LoadOptions) -> Model:
    """Opens a model folder; takes about a second. Raises FolderError naming the file that is missing or wrong."""
    config = read_config(folder)
    files = read_tokenizer(folder)
    _require_same_vocabulary(files, config)
    engine = open_engine(folder, config, options.threads, options.lanes)
    max_tokens = min(engine.max_tokens, files.max_length or engine.max_tokens, options.max_tokens_per_text)
    characters = min(options.max_text_characters, CHARACTERS_PER_TOKEN * max_tokens)
    encoder = TextEncoder(files.tokenizer, max_tokens, characters, files.truncation_side, files.token_types)
    return Model(model_id, folder_revision(folder, options.cache_dir), config, encoder, engine)


def weight_bytes(folder: Path) -> int:
    """Bytes of a model's weights in float32; raises FolderError when config or weights say that it cannot be served."""
    require_engine(read_config(folder))
    return open_checkpoint(folder).nbytes


def check_folder(folder: Path) -> None:
    """Reads all that can be read quickly of a model folder; raises FolderError naming the file that is wrong."""
    config = read_config(folder)
    require_engine(config)
    _require_same_vocabulary(read_tokenizer(folder), config)
    open_checkpoint(folder)


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
