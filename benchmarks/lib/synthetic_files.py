"""The files of a synthetic model: its tokenizer, and weights that are scaled until they tell texts apart.

With weights as they are usually initialised every text gets nearly the same answer, and a wrong GELU or a wrong epsilon
passes a bar of 1e-5. So the blocks' weights are made larger by half, and the head's until the probabilities of two
texts differ by 0.8 and more. NOTE: blocks that are scaled until they do it alone are ill-conditioned: for RoBERTa's
shape torch itself is then 1e-4 away from its own float64.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from benchmarks.lib.reference import library
from benchmarks.lib.synthetic_models import EDITION, SyntheticModel
from benchmarks.lib.texts import english, sentences
from labeld.repository.folders import BUNDLED, DEFAULT_MODEL
from labeld.tokenization.loader import read_tokenizer

SAMPLE = 48
"""Texts on which the spread is measured."""
BLOCKS = 1.5
"""How much larger than initialised the weights of the transformer blocks are."""
SPREAD = 0.8
"""How much the probability of one label differs between two of them."""
FAIRSEQ_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]
TRAINED_PIECES = 8000


def write(place: Path, model: SyntheticModel, data: Path | None) -> None:
    """Writes a model folder as it would come from the Hub."""
    config = json.dumps(model.config, indent=2) + "\n"
    (place / "config.json").write_text(config)
    _TOKENIZERS[model.tokenizer](place, model, data)
    network = _network(place, english(data)[:SAMPLE])
    if model.weights == "safetensors":
        network.save_pretrained(place)
        (place / "config.json").write_text(config)
    else:
        new_format = model.weights == "zip"
        torch.save(network.state_dict(), place / "pytorch_model.bin", _use_new_zipfile_serialization=new_format)


def _network(place: Path, texts: list[str]) -> Any:
    transformers = library()
    tokenizer = read_tokenizer(place).tokenizer
    encodings = tokenizer.encode_batch([text[:600] for text in texts])
    rows = [torch.tensor([encoding.ids]) for encoding in encodings]
    torch.manual_seed(EDITION)
    config = transformers.AutoConfig.from_pretrained(place)
    network = transformers.AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        _randomise(network.named_parameters())
        head = network.classification_head if config.model_type == "bart" else network.classifier
        head = getattr(head, "out_proj", head)
        head.bias.zero_()
        logits = torch.cat([network(input_ids=row).logits for row in rows])
        for factor in (1.1**step for step in range(60)):
            scaled = factor * (logits - logits.mean(0))  # so that no label wins everywhere
            probabilities = scaled.sigmoid() if scaled.shape[1] == 1 else scaled.softmax(-1)
            if (probabilities.amax(0) - probabilities.amin(0)).amax() >= SPREAD:
                head.weight.mul_(factor)
                head.bias.copy_(-factor * logits.mean(0))
                return network
    raise RuntimeError("the weights could not be scaled to a spread of probabilities")


def _randomise(parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> None:
    """Biases and norms too: as initialised, 0 and 1, they would hide being left out or mixed up."""
    for name, parameter in parameters:
        if parameter.ndim == 2 and "embed" not in name:
            parameter.mul_(BLOCKS)
        if parameter.ndim == 1:
            centre = 1.0 if name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.05 * torch.randn(parameter.shape))


def _word_piece(place: Path, model: SyntheticModel, data: Path | None) -> None:
    source = data / "checkpoints" / model.checkpoint if data else BUNDLED / DEFAULT_MODEL
    shutil.copyfile(source / "vocab.txt", place / "vocab.txt")
    _tokenizer_config(place, tokenizer_class="BertTokenizer", do_lower_case=True)


def _byte_bpe(place: Path, model: SyntheticModel, data: Path | None) -> None:
    assert data is not None, "available() asks for data"
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
        shutil.copyfile(data / "checkpoints" / model.checkpoint / name, place / name)


def _bpe(place: Path, model: SyntheticModel, data: Path | None) -> None:
    """tokenizer.json alone, as ModernBERT has it."""
    assert data is not None, "available() asks for data"
    tokenizer = library().RobertaTokenizer.from_pretrained(data / "checkpoints" / model.checkpoint)
    tokenizer.backend_tokenizer.save(str(place / "tokenizer.json"))
    _tokenizer_config(place, tokenizer_class="PreTrainedTokenizerFast", pad_token="<pad>")


def _unigram(place: Path, model: SyntheticModel, data: Path | None) -> None:
    """tokenizer.json of XLM-R's form and size: a small trained vocabulary, and pieces that no text has behind it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=TRAINED_PIECES, special_tokens=FAIRSEQ_TOKENS, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(sentences(data), trainer)
    trained = [tuple(piece) for piece in json.loads(tokenizer.to_str())["model"]["vocab"]]
    pieces = [*trained, *_filler(model.config["vocab_size"] - 1 - len(trained))]
    tokenizer.model = models.Unigram(pieces, unk_id=FAIRSEQ_TOKENS.index("<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*FAIRSEQ_TOKENS, "<mask>")])
    tokenizer.save(str(place / "tokenizer.json"))
    _tokenizer_config(place, tokenizer_class="PreTrainedTokenizerFast", pad_token="<pad>")


def _filler(count: int) -> Iterator[tuple[str, float]]:
    """Pieces of characters for private use."""
    return ((f"\ue000{index:x}", -30.0) for index in range(count))


def _sentencepiece(place: Path, model: SyntheticModel, data: Path | None) -> None:
    """tokenizer.json beside spm.model, as mxbai-rerank has them."""
    assert data is not None, "available() asks for data"
    shutil.copyfile(data / "checkpoints" / model.checkpoint / "spm.model", place / "spm.model")
    _tokenizer_config(place, tokenizer_class="DebertaV2Tokenizer")
    library().AutoTokenizer.from_pretrained(place).backend_tokenizer.save(str(place / "tokenizer.json"))


def _tokenizer_config(place: Path, **values: Any) -> None:
    (place / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512, **values}) + "\n")


_TOKENIZERS = {
    "vocab.txt": _word_piece,
    "vocab.json": _byte_bpe,
    "bpe": _bpe,
    "unigram": _unigram,
    "spm.model": _sentencepiece,
}
