"""Recommended models and use cases of text classification. Data only.

The models are the five open ones of contract section 9.3, and those of the use cases. `labeld models verify` checks
that their published weights give the published answers.
"""

from dataclasses import dataclass

from labeld.types import Text


@dataclass(frozen=True, slots=True)
class Recommended:
    """A recommended model, which need not be on this machine."""

    model_id: str
    summary: str
    languages: tuple[str, ...]
    examples: tuple[Text, ...]
    """Texts for the widget; pairs for a model that classifies pairs."""


@dataclass(frozen=True, slots=True)
class UseCase:
    """A use case of text classification."""

    name: str
    explanation: str
    example: Text
    answer: str
    """The label that a good model gives the example, in the words of `model_id`."""
    model_id: str


BUNDLED = (
    Recommended("labeld/sentiment-en", "Says whether an English text is positive or negative.", ("en",), ()),
    Recommended(
        "labeld/emotions-28", "Names the emotions of an English text, of which it may have several.", ("en",), ()
    ),
    Recommended("labeld/language-20", "Names the language of a text, out of twenty.", (), ()),
)
"""Models that come with labeld; their languages and examples are in their cards."""

LANGUAGES_OF_20 = tuple("ja nl ar pl de it pt tr es hi el ur bg en fr zh ru th sw vi".split())  # noqa: SIM905  # a list of strings would take twenty lines

RECOMMENDED = (
    Recommended(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "A robust model for the sentiment of English texts, and the one that most examples of the API use.",
        ("en",),
        (Text("I like you. I love you"), Text("I hate this so much!"), Text("Birds are a type of animal")),
    ),
    Recommended(
        "ProsusAI/finbert",
        "The sentiment of financial news: positive, negative or neutral.",
        ("en",),
        (
            Text("Stocks rallied and the British pound gained."),
            Text("The company's profit fell by a third in the last quarter."),
        ),
    ),
    Recommended(
        "cardiffnlp/twitter-roberta-base-sentiment-latest",
        "The sentiment of short messages, trained on tweets up to 2021.",
        ("en",),
        (Text("Covid cases are increasing fast!"), Text("Finally home, and the sun is out")),
    ),
    Recommended(
        "papluca/xlm-roberta-base-language-detection",
        "Names the language of a text, out of twenty.",
        LANGUAGES_OF_20,
        (Text("Guten Morgen, wie geht es dir?"), Text("Ça va très bien, merci."), Text("こんにちは")),
    ),
    Recommended(
        "mixedbread-ai/mxbai-rerank-base-v1",
        "Scores how well a passage answers a question, to put search results in order.",
        ("en",),
        (
            Text("How many people live in Berlin?", "Berlin has 3.7 million registered inhabitants."),
            Text("How many people live in Berlin?", "Berlin is well known for its museums."),
        ),
    ),
)

USE_CASES = (
    UseCase(
        "Sentiment",
        "Whether a review, a post or a letter is positive or negative, so that thousands can be sorted.",
        Text("I like you. I love you"),
        "POSITIVE",
        "labeld/sentiment-en",
    ),
    UseCase(
        "Emotions",
        "Which feelings a message shows, each with a score of its own, so that the angry are answered first.",
        Text("Thank you so much, this made my day!"),
        "gratitude",
        "labeld/emotions-28",
    ),
    UseCase(
        "Natural language inference",
        "Whether a second text follows from the first, contradicts it, or neither. The texts are sent as a pair.",
        Text("Soccer game with multiple males playing.", "Some men are playing a sport."),
        "ENTAILMENT",
        "FacebookAI/roberta-large-mnli",
    ),
    UseCase(
        "Grammar",
        "Whether a sentence is correct as it stands.",
        Text("I will walk to home when I went through the bus."),
        "unacceptable (LABEL_0)",
        "textattack/distilbert-base-uncased-CoLA",
    ),
    UseCase(
        "Language",
        "Which language a text is in, before it is routed or translated.",
        Text("Das ist ein schöner Tag."),
        "de",
        "labeld/language-20",
    ),
)

KNOWN = {
    **{one.model_id: one for one in RECOMMENDED},
    "facebook/bart-large-mnli": Recommended(
        "facebook/bart-large-mnli",
        "Whether a second text follows from the first; zero-shot classification takes it by default.",
        ("en",),
        (USE_CASES[1].example,),
    ),
    "FacebookAI/roberta-large-mnli": Recommended(
        "FacebookAI/roberta-large-mnli",
        "Whether a second text follows from the first, contradicts it, or neither.",
        ("en",),
        (USE_CASES[1].example, Text("A man inspects a uniform.", "The man is sleeping.")),
    ),
    "textattack/distilbert-base-uncased-CoLA": Recommended(
        "textattack/distilbert-base-uncased-CoLA",
        "Whether an English sentence is grammatical.",
        ("en",),
        (USE_CASES[2].example, Text("The book was written by my sister.")),
    ),
}
"""Models by id that are listed even if they are not on this machine."""

LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian",
    "multilingual": "Multilingual", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish",
    "sw": "Swahili", "ta": "Tamil", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""English names of common codes; any other code is shown as it is."""
