"""Names that settings and parameters choose from; apart from types.py, since a supervisor does without numpy."""

from typing import Literal

FunctionName = Literal["sigmoid", "softmax", "none"]
"""Names of the functions from logits to scores (`function_to_apply`)."""

Precision = Literal["float32", "bfloat16", "int8"]
"""Number format of a model's computation; int8: the matrices of its blocks in 8 bits, the rest in float32."""

TruncationStrategy = Literal["longest_first", "only_first", "only_second"]
"""The text of a pair that is shortened, by the names of transformers' tokenizers."""

Side = Literal["left", "right"]
"""The side of a text: its beginning or its end."""

Aggregate = Literal["max", "mean"]
"""Names of the functions from a label's scores in the windows of a text to its score in the whole text."""
