"""The transformers tokenizer class of a folder, by the rules of AutoTokenizer (version 5)."""

from collections.abc import Callable, Mapping
from typing import Any

from labeld.errors import FolderError

AS_IT_IS = "TokenizersBackend"
"""The class that takes tokenizer.json as it is."""

ALIASES = {
    **dict.fromkeys(
        ("ElectraTokenizer", "LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer"),
        "BertTokenizer",
    ),
    **dict.fromkeys(("BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "MvpTokenizer"), "RobertaTokenizer"),
    "Phi3Tokenizer": "LlamaTokenizer",
}
"""Names that transformers 5 keeps for other classes."""

BUILT_ANEW = frozenset(
    {
        "AlbertTokenizer",
        "BarthezTokenizer",
        "BertTokenizer",
        "BigBirdTokenizer",
        "CamembertTokenizer",
        "CodeGenTokenizer",
        "CohereTokenizer",
        "DebertaTokenizer",
        "DebertaV2Tokenizer",
        "DistilBertTokenizer",
        "FunnelTokenizer",
        "GPT2Tokenizer",
        "GPTNeoXTokenizer",
        "GemmaTokenizer",
        "HerbertTokenizer",
        "LlamaTokenizer",
        "MBartTokenizer",
        "MPNetTokenizer",
        "OpenAIGPTTokenizer",
        "Qwen2Tokenizer",
        "Qwen3_5Tokenizer",
        "ReformerTokenizer",
        "RemBertTokenizer",
        "RobertaTokenizer",
        "T5Tokenizer",
        "XLMRobertaTokenizer",
        "XLNetTokenizer",
    }
)
"""Classes that take only the vocabulary of tokenizer.json, and the rest from tokenizer_config.json."""

BUILT_WITHOUT_FILE = frozenset({"ConvBertTokenizer", "FNetTokenizer"})
"""Subclasses without an __init__ of their own, which take tokenizer.json as it is where there is one."""

SERVED = BUILT_ANEW | BUILT_WITHOUT_FILE | ALIASES.keys() | {AS_IT_IS, "BloomTokenizer", "PreTrainedTokenizer"}
"""Names of transformers' classes that can be read, as tokenizer_config.json writes them."""

NOT_SUPPORTED = frozenset(
    f"{name}Tokenizer"
    for name in (
        *("Bartpho", "BertGeneration", "BertJapanese", "Bertweet", "BioGpt", "Blenderbot", "BlenderbotSmall", "ByT5"),
        *("CLIP", "CTRL", "Canine", "Clvp", "CodeLlama", "Cpm", "CpmAnt", "DPRContextEncoder", "DPRQuestionEncoder"),
        *("DPRReader", "Dia", "Esm", "Esmc", "FSMT", "FastSpeech2Conformer", "Flaubert", "GPTNeoXJapanese", "GPTSw3"),
        *("Lasr", "LayoutLMv2", "LayoutLMv3", "LayoutXLM", "Luke", "M2M100", "MBart50", "MLuke", "Marian", "MarkupLM"),
        *("Mgpstr", "MyT5", "Nllb", "Nougat", "PLBart", "Parakeet", "Pegasus", "Perceiver", "Phobert", "ProphetNet"),
        *("Rag", "RoCBert", "RoFormer", "SeamlessM4T", "Siglip", "Siglip2", "Speech2Text", "SpeechT5", "Splinter"),
        *("Tapas", "Tipsv2", "Udop", "VideoPrism", "Vits", "Wav2Vec2", "Wav2Vec2CTC", "Wav2Vec2PhonemeCTC", "Whisper"),
        *("XGLM", "XLM"),
    )
) | {"MistralCommonBackend", "SentencePieceBackend"}
"""transformers' classes that split texts in Python, need more than a text, or belong to models that classify none."""

_TYPES = {
    AS_IT_IS: "bigbird_pegasus glm glm4 gpt_bigcode jamba minicpm3 ministral ministral3 mistral mixtral modernbert "
    "modernbert-decoder nemotron nystromformer olmo2 olmo3 persimmon phi3 phimoe stablelm umt5 xlm-roberta-xl",
    "AlbertTokenizer": "albert yoso",
    "BertTokenizer": "bert convbert distilbert electra ernie layoutlm megatron-bert nezha nomic_bert qdqbert "
    "squeezebert",
    "BigBirdTokenizer": "big_bird",
    "BioGptTokenizer": "biogpt",
    "CTRLTokenizer": "ctrl",
    "CamembertTokenizer": "camembert",
    "CanineTokenizer": "canine",
    "DebertaTokenizer": "deberta",
    "DebertaV2Tokenizer": "deberta-v2",
    "EsmTokenizer": "esm",
    "EsmcTokenizer": "esmc",
    "FNetTokenizer": "fnet",
    "FlaubertTokenizer": "flaubert",
    "FunnelTokenizer": "funnel",
    "GPT2Tokenizer": "gpt2 gpt_neo gptj opt phi starcoder2",
    "GPTNeoXTokenizer": "gpt_neox mpt olmo",
    "GPTSw3Tokenizer": "gpt-sw3",
    "GemmaTokenizer": "gemma gemma2 gemma3 gemma3_text t5gemma",
    "LayoutLMv2Tokenizer": "layoutlmv2",
    "LayoutLMv3Tokenizer": "layoutlmv3",
    "LEDTokenizer": "led",
    "LukeTokenizer": "luke",
    "MBartTokenizer": "mbart",
    "MPNetTokenizer": "mpnet",
    "MarkupLMTokenizer": "markuplm",
    "MobileBertTokenizer": "mobilebert",
    "MvpTokenizer": "mvp",
    "OpenAIGPTTokenizer": "openai-gpt",
    "PLBartTokenizer": "plbart",
    "PerceiverTokenizer": "perceiver",
    "Qwen2Tokenizer": "qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next",
    "Qwen3_5Tokenizer": "qwen3_5 qwen3_5_text",
    "ReformerTokenizer": "reformer",
    "RemBertTokenizer": "rembert",
    "RoCBertTokenizer": "roc_bert",
    "RoFormerTokenizer": "roformer",
    "RobertaTokenizer": "bart data2vec-text ibert lilt longformer mra roberta roberta-prelayernorm",
    "T5Tokenizer": "mt5 t5",
    "TapasTokenizer": "tapas",
    "XLMRobertaTokenizer": "gte jina_embeddings_v3 xlm-roberta xmod",
    "XLMTokenizer": "xlm",
    "XLNetTokenizer": "xlnet",
}
BY_MODEL_TYPE = {model_type: name for name, types in _TYPES.items() for model_type in types.split()}
"""The class of a folder that names none (TOKENIZER_MAPPING_NAMES), of every model_type with a text classifier."""

WRONG_ON_THE_HUB = frozenset({"qwen2", "qwen3_5", "camembertv2-base"})
"""model_type or model_name whose declared class does not count (MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS)."""

WITH_TOKEN_TYPES = frozenset(
    {"BertTokenizer", "ConvBertTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer", "FNetTokenizer"}
)
"""Classes whose model_input_names have token_type_ids."""


def tokenizer_class(
    model_config: Mapping[str, Any], config: Mapping[str, Any], byte_level: Callable[[], bool] = lambda: False
) -> str:
    """The class that config.json and tokenizer_config.json lead to: one of BUILT_ANEW, BUILT_WITHOUT_FILE, or AS_IT_IS.

    `byte_level` says whether tokenizer.json speaks of "ByteLevel". Raises FolderError when they name a class that
    labeld does not have.
    """
    model_type = model_config.get("model_type")
    registered = BY_MODEL_TYPE.get(model_type) if isinstance(model_type, str) else None
    own, others = (_without_fast(one.get("tokenizer_class")) for one in (config, model_config))
    declared = own or others
    if _has_own_code(config):
        if registered is None and own not in SERVED and model_type not in WRONG_ON_THE_HUB:
            raise FolderError("The tokenizer is Python code of the folder (auto_map), which labeld never runs.")
    elif declared and registered and declared != registered:
        if registered == AS_IT_IS:
            return AS_IT_IS
        if WRONG_ON_THE_HUB & {model_type, model_config.get("model_name")}:
            return _supported(registered)
    if declared == "LlamaTokenizer" and not _has_own_code(config) and byte_level():
        return AS_IT_IS
    return _supported(declared or registered or AS_IT_IS)


def has_token_types(class_name: str, config: Mapping[str, Any]) -> bool:
    """True when the model gets token types from this tokenizer; without them they are all 0."""
    names = config.get("model_input_names")
    if isinstance(names, list):
        return "token_type_ids" in names
    return class_name in WITH_TOKEN_TYPES


def _has_own_code(config: Mapping[str, Any]) -> bool:
    code = config.get("auto_map")
    return bool(code.get("AutoTokenizer") if isinstance(code, dict) else code)


def _without_fast(name: Any) -> str | None:
    return name.removesuffix("Fast") if isinstance(name, str) and name else None


def _supported(name: str) -> str:
    """Transformers' own name of a class; AS_IT_IS when it has no such class, or one that takes files as they are."""
    if name in NOT_SUPPORTED:
        raise FolderError(
            f"The tokenizer is a {name}, which labeld does not have: serve a model whose tokenizer reads plain text "
            "from tokenizer.json."
        )
    name = ALIASES.get(name, name)
    return name if name in BUILT_ANEW | BUILT_WITHOUT_FILE else AS_IT_IS
