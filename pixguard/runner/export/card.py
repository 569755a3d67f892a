"""What is said of an export, in its README.md: what it holds, whose images, how to read it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pixguard import __version__
from pixguard.records import DatasetInfo
from pixguard.store.exports import exports


def card(
    infos: Sequence[DatasetInfo],
    rows: Mapping[str, int],
    form: str,
    images: str | None,
    *,
    embedded: bool,
) -> str:
    """Return the README of an export; ``embedded``: one that Hugging Face ``datasets`` loads."""
    lines = [*(_header(rows) if embedded else ()), *_text(infos, rows, form, images, embedded)]
    return "\n".join(lines) + "\n"


def _header(rows: Mapping[str, int]) -> Iterator[str]:
    """Yield the YAML from which the library knows the tables; JSON strings are YAML."""
    yield "---"
    yield "license: other"
    yield f"pretty_name: {json.dumps('Results of pixguard')}"
    yield from tables_of(rows, "parquet", "attempts")
    yield "---"


def tables_of(rows: Mapping[str, int], form: str, default: str) -> Iterator[str]:
    """Yield the YAML of tables that have rows: of none there is nothing to load."""
    yield "configs:"
    for name, count in rows.items():
        if count:
            yield f"- config_name: {name}"
            yield f"  data_files: {name}.{form}"
            if name == default:
                yield "  default: true"


def _text(
    infos: Sequence[DatasetInfo],
    rows: Mapping[str, int],
    form: str,
    images: str | None,
    embedded: bool,
) -> Iterator[str]:
    yield "# Results of pixguard"
    yield ""
    yield (
        f"Attacks that change a few pixels of medical images, as pixguard {__version__} made and "
        "kept them, and what became of the images."
    )
    yield ""
    yield f"| {'configuration' if embedded else 'file'} | rows | what a row is |"
    yield "| --- | ---: | --- |"
    about: dict[str, Any] = {name: one.about for name, one in exports().items()}
    about["images"] = "The clean and the attacked image of an attempt."
    about["restored"] = "What a denoiser made of an attacked image, rounded to 8 bits."
    for name, count in rows.items():
        yield f"| `{name if embedded else f'{name}.{form}'}` | {count:,} | {about[name]} |"
    yield ""
    yield (
        "Columns are those of the database (docs/schema.md of pixguard). A label set is its code, "
        "the ordinals of classes joined by commas, empty for none; times are milliseconds, since "
        "1970 (UTC) where they are moments. Attempts of a plan that was interrupted count in a "
        "rate only where `is_sampled` is 1: successes end early."
    )
    if images == "npz":
        yield ""
        yield (
            "`images/*.npz`: `attempt_id` int64 (n,), `clean` and `attacked` uint8 (n, H, W, C); "
            "`restored_N` float32 in [0, 1] by the denoiser N of `models`, of the attempts "
            "`restored_N_attempt_id`. An attempt without a success has its best candidate."
        )
    elif images == "png" and not embedded:
        yield ""
        yield (
            "`images/clean/IMAGE_ID.png`, `images/attacked/ATTEMPT_ID.png`, "
            "`images/restored-DENOISER_ID/ATTEMPT_ID.png`; restored ones are rounded to 8 bits. An "
            "attempt without a success has its best candidate."
        )
    yield ""
    yield from about_images(infos)


def about_images(infos: Sequence[DatasetInfo]) -> Iterator[str]:
    """Yield which datasets the images are of, with licence and source."""
    yield "## Images"
    for info in infos:
        yield ""
        size = "native sizes" if info.is_native else f"{info.size} x {info.size}"
        yield f"**{_words(info.name)}** ({_words(info.source)}, {size}, {_words(info.version)})"
        yield ""
        if info.is_synthetic:
            yield "Phantoms: drawn by pixguard from a seed; they say nothing about medicine."
            continue
        yield f"- licence: {_words(info.licence) or UNKNOWN}"
        yield f"- source, to be cited: {_words(info.citation) or 'not recorded'}"


UNKNOWN = "not recorded: ask whose images these are before you pass them on"


def _words(text: str) -> str:
    """Return a text on one line, without what Markdown would take for structure."""
    plain = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in plain)
