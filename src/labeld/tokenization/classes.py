"""Which of transformers' tokenizer classes a folder's tokenizer is of, by AutoTokenizer's rules (version 5)."""

from collections.abc import Mapping
from typing import Any

from labeld.errors import FolderError

BERT_CLASSES = frozenset(
    {
        "BertTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "LxmertTokenizer",
        "MobileBertTokenizer",
        "SqueezeBertTokenizer",
    }
)
ROBERTA_CLASSES = frozenset({"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer"})

AS_IT_IS = "TokenizersBackend"
"""The class that takes tokenizer.json as it is."""

BY_MODEL_TYPE = {
    "bert": "BertTokenizer",
    "camembert": "CamembertTokenizer",
    "data2vec-text": "RobertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "distilbert": "BertTokenizer",
    "electra": "BertTokenizer",
    "ernie": "BertTokenizer",
    "ibert": "RobertaTokenizer",
    "longformer": "RobertaTokenizer",
    "megatron-bert": "BertTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "modernbert": AS_IT_IS,
    "nezha": "BertTokenizer",
    "nomic_bert": "BertTokenizer",
    "roberta": "RobertaTokenizer",
    "roberta-prelayernorm": "RobertaTokenizer",
    "squeezebert": "BertTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "xmod": "XLMRobertaTokenizer",
}
"""What a folder has that names no class (TOKENIZER_MAPPING_NAMES)."""

CODE_ONLY = frozenset(
    {
        "BertJapaneseTokenizer",
        "BertweetTokenizer",
        "CanineTokenizer",
        "EsmTokenizer",
        "FlaubertTokenizer",
        "PhobertTokenizer",
        "RoCBertTokenizer",
        "TapasTokenizer",
        "XLMTokenizer",
    }
)
"""Classes that split texts in Python, whatever files lie beside them."""

WITH_TOKEN_TYPES = BERT_CLASSES - {"DistilBertTokenizer"} | {
    "ConvBertTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "FNetTokenizer",
    "LayoutLMv2Tokenizer",
}
"""Classes whose model_input_names have token_type_ids."""


def tokenizer_class(model_config: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The class that config.json and tokenizer_config.json lead to, or AS_IT_IS.

    Raises FolderError when they name a class that cannot be read without its Python code.
    """
    model_type = model_config.get("model_type")
    registered = BY_MODEL_TYPE.get(model_type, AS_IT_IS) if isinstance(model_type, str) else AS_IT_IS
    declared = config.get("tokenizer_class") or model_config.get("tokenizer_class")
    if model_type == "modernbert" or not isinstance(declared, str):
        return registered
    name = declared.removesuffix("Fast")
    if name in CODE_ONLY:
        raise FolderError(f"The tokenizer is a {name}, which only its own Python code can be: labeld cannot serve it.")
    return AS_IT_IS if name == "PreTrainedTokenizer" else name


def has_token_types(class_name: str, config: Mapping[str, Any]) -> bool:
    """Whether the model gets token types from this tokenizer; without them they are all 0."""
    names = config.get("model_input_names")
    if isinstance(names, list):
        return "token_type_ids" in names
    return class_name in WITH_TOKEN_TYPES
