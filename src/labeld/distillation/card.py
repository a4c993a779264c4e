"""The card of a student: what it was made of, what it answers, and what it cost."""

from collections.abc import Sequence

from labeld.distillation.plan import Plan
from labeld.distillation.result import Result


def card(result: Result, plan: Plan, history: Sequence[float]) -> list[str]:
    """The lines of README.md; `history` is the agreement after each epoch."""
    student, teacher = result.tokens_per_second
    width = "" if plan.intermediate_size is None else f", feed-forward networks of {plan.intermediate_size} neurons"
    return [
        "---",
        "pipeline_tag: text-classification",
        "library_name: transformers",
        f"base_model: {result.teacher}",
        "tags:",
        "- distillation",
        "- labeld",
        "---",
        "",
        f"# A student of {result.teacher}",
        "",
        f"`labeld distill` made it of {result.teacher} (revision {result.revision}).",
        "It learned from what that model answers to texts without labels, and has its labels and its tokenizer.",
        "What the licence of that model says of models made of it holds for this one.",
        "",
        "| | student | teacher |",
        "|---|--:|--:|",
        f"| layers | {result.layers[0]} | {result.layers[1]} |",
        f"| parameters | {result.parameters[0]:,} | {result.parameters[1]:,} |",
        f"| tokens/s in float32, on the machine that made it | {student:,.0f} | {teacher:,.0f} |",
        "",
        f"It computes {result.speed:.2f} times the tokens a second.",
        f"On {result.held_out:,} texts held out, the share of {result.agreement_of} is {result.agreement:.4f}.",
        "That is agreement with the teacher; `labeld evaluate` measures both against labels.",
        "",
        "## How it was made",
        "",
        f"- {result.taught:,} texts taught it, and {result.made:,} made of them by changing words and joining two;",
        f"  {result.unusable:,} rows could not be used.",
        f"- It began with the teacher's layers, evenly spaced{width}.",
        f"- {plan.epochs} epochs of batches of {plan.batch_size}, AdamW at {plan.learning_rate:g},",
        f"  up to {plan.max_length} tokens of a text, temperature {plan.temperature:g}, seed {plan.seed}.",
        f"- Agreement after each epoch: {', '.join(f'{one:.4f}' for one in history)}; the best one is kept.",
        f"- The last run took {result.seconds / 60:.1f} minutes.",
    ]
