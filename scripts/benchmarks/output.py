"""The result of a benchmark: a Markdown table, JSON, a plot."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixguard.provenance import environment

_ENVIRONMENT = ("git_sha", "git_dirty", "python_version", "torch_version", "cuda_version")
_MACHINE = ("cpu", "cpu_threads", "memory_mib", "gpu", "driver")


def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return a Markdown table of the columns ``{field: title}`` that any row has a value for."""
    shown = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    lines = [[columns[name] for name in shown], ["---"] * len(shown)]
    lines += [[_text(row.get(name)) for name in shown] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value).replace("|", "/").replace("\n", " ")


def result(command: str, settings: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    """Return what the JSON file holds: how it was made, and the parts of the result."""
    machine = environment()
    return {
        "command": command,
        "settings": {
            # A file's name says what it is; its folder is nobody's business.
            name: value.name if isinstance(value, Path) else value
            for name, value in settings.items()
        },
        "environment": {name: machine[name] for name in (*_ENVIRONMENT, *_MACHINE)},
        **parts,
    }


def write(path: Path, value: Mapping[str, Any], text: str) -> None:
    """Write the JSON file, and the Markdown beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


def plot(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    x: tuple[str, str],
    lines: Mapping[str, str],
    title: str,
) -> None:
    """Draw fields of the rows, ``{field: label}``, against ``x`` (field, label), both axes log."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    places = [row[x[0]] for row in rows]
    for name, label in lines.items():
        heights = [math.nan if row.get(name) is None else row[name] for row in rows]
        axes.plot(places, heights, marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel=x[1], ylabel="candidates per second", title=title)
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
