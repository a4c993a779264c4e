"""The status of a server out of what its workers say of themselves: sums, or facts of all of them. Pure."""

from collections import Counter
from typing import Any

from labeld.metrics.candidates import summed
from labeld.web.monitoring import figures

SUMS = ("counts", "memory", "requests", "cache")
"""Members that are sums over all workers; of the counts those that have ended count, too."""
OF_ALL = ("version", "workers", "default_model", "settings")
"""Members that are the same in every worker, and are left out of the list of workers."""
CANDIDATES = ("splits", "shadows")
"""Members that count by alias and second model; of those that have ended, too, where the alias still has it."""
MODEL_SUMS = ("bytes", "leases", "texts", "tokens", "tokens_per_second")
"""Members of a model that are sums over the workers that have loaded it."""
TOP_LABELS = 5
"""Best labels of a model that are shown, those of the most answers."""

Snapshot = dict[str, Any]
"""A worker's `families`, `status` and `intervals`; of those that have ended only what their status counts."""


def server_status(snapshots: list[Snapshot], silent: list[int], now: float) -> dict[str, Any]:
    """The JSON of `/status`: the first of the snapshots is of the worker that answers.

    `silent` has the process ids of those that did not answer, whose snapshots are older; `now` is the moment of the
    first one, on the monotonic clock.
    """
    living = [one for one in snapshots if "pid" in one["status"]]
    states = [one["status"] for one in living]
    facts: dict[str, Any] = {**states[0]}
    for name in SUMS:
        known = [one["status"][name] for one in snapshots if name in one["status"]]
        facts[name] = {key: _sum([one[key] for one in known]) for key in known[0]}
    intervals = figures.summed((one["intervals"] for one in snapshots), now)
    facts |= {
        "uptime": max(one["uptime"] for one in states),
        "ready": any(one["ready"] for one in states),
        "models": _models(states),
        "loading": _loading(states),
        "splits": _candidates("splits", states[0], snapshots),
        "shadows": [_differing(one) for one in _candidates("shadows", states[0], snapshots)],
        "recent": figures.recent(intervals),
        "history": figures.columns(intervals, now),
    }
    if facts["workers"]["count"] > 1:
        processes = sorted((_process(one, now) for one in living), key=lambda one: int(one["pid"]))
        facts["workers"] = {**facts["workers"], "silent": silent, "processes": processes}
    return facts


def _candidates(name: str, state: dict[str, Any], snapshots: list[Snapshot]) -> list[dict[str, Any]]:
    """The sums over all workers for each alias and second model that the answering one knows."""
    known = {(one["alias"], one["model"]) for one in state[name]}
    everybody = summed(one["status"][name] for one in snapshots if name in one["status"])
    return [one for one in everybody if (one["alias"], one["model"]) in known]


def _differing(shadow: dict[str, Any]) -> dict[str, Any]:
    """A shadow's counts with the share of flips and the mean score shift; None where nothing was compared."""
    counts = {name: value for name, value in shadow.items() if name not in {"scored", "shift"}}
    answers, scored = shadow["answers"], shadow["scored"]
    return {
        **counts,
        "flip_share": round(shadow["flips"] / answers, 4) if answers else None,
        "score_shift": round(shadow["shift"] / scored, 4) if scored else None,
    }


def _process(snapshot: Snapshot, now: float) -> dict[str, Any]:
    own = {name: value for name, value in snapshot["status"].items() if name not in OF_ALL}
    own["shadows"] = [_differing(one) for one in own["shadows"]]
    own["models"] = [{**one, "top_labels": _shares([one["top_labels"]])} for one in own["models"]]
    return {**own, "recent": figures.recent(figures.summed([snapshot["intervals"]], now))}


def _models(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each model once, the latest used first; one that is loaded in two revisions or precisions is two."""
    loaded: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for state in states:
        for model in state["models"]:
            key = model["model_id"], model["sha"], model["precision"]
            loaded.setdefault(key, []).append({**model, "workers": [state["pid"]]})
    return sorted(map(_model, loaded.values()), key=lambda model: float(model["idle"]))


def _model(copies: list[dict[str, Any]]) -> dict[str, Any]:
    """One model, as it is in each of the workers that have loaded it."""
    return {
        **min(copies, key=lambda one: float(one["idle"])),
        **{name: round(sum(one[name] for one in copies), 1) for name in MODEL_SUMS},
        "idle": min(one["idle"] for one in copies),
        "top_labels": _shares([one["top_labels"] for one in copies]),
        "waiting": {name: sum(one["waiting"][name] for one in copies) for name in copies[0]["waiting"]},
        "workers": sorted(pid for one in copies for pid in one["workers"]),
    }


def _shares(counts: list[dict[str, int]]) -> list[dict[str, Any]]:
    """The commonest best labels, each with the texts answered by it and their share of all; none where none was."""
    texts: Counter[str] = Counter()
    for one in counts:
        texts.update(one)
    whole = texts.total()
    commonest = texts.most_common(TOP_LABELS)
    return [{"label": label, "texts": count, "share": round(count / whole, 4)} for label, count in commonest if count]


def _loading(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each model that is being loaded once, with the longest time; None is one that waits for that."""
    longest: dict[str, float | None] = {}
    for one in (one for state in states for one in state["loading"]):
        known = longest.get(one["model_id"])
        longest[one["model_id"]] = known if one["seconds"] is None else max(known or 0.0, one["seconds"])
    return [{"model_id": model_id, "seconds": seconds} for model_id, seconds in longest.items()]


def _sum(values: list[Any]) -> Any:
    """Of numbers; of what is true or false whether any is true."""
    return any(values) if isinstance(values[0], bool) else sum(values)
