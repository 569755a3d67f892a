"""Panels of images: clean, attacked, and what each denoiser makes of it (Figures 9 to 24)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

TILE_INCHES = 1.55
WRONG, RIGHT = "#b3261e", "#1b6e3c"


class PanelTile(Protocol):
    """One image with the classifier's decision on it."""

    @property
    def image(self) -> Any:
        """The image, uint8 (H, W, C)."""

    @property
    def decision(self) -> str:
        """What the classifier says."""

    @property
    def confidence(self) -> float:
        """How sure it is, in [0, 1]."""

    @property
    def right(self) -> bool:
        """Whether that is the image's true label."""


class PanelRow(Protocol):
    """One attempt."""

    @property
    def tiles(self) -> Mapping[str, PanelTile]:
        """The tiles by column name."""

    @property
    def pixels(self) -> Sequence[tuple[int, int]]:
        """(row, col) of the changed pixels."""


def draw_panel(rows: Sequence[PanelRow], title: str, path: Path) -> None:
    """Write a panel as PNG or SVG (by the path's ending).

    A red circle marks each changed pixel of the attacked image; the decision under each tile is
    green where it is right and red where it is not.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    columns = list(rows[0].tiles)
    figure = Figure(
        figsize=(TILE_INCHES * len(columns), (TILE_INCHES + 0.35) * len(rows) + 0.5),
        layout="constrained",
    )
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        for name, axis in zip(columns, line, strict=True):
            tile = row.tiles[name]
            gray = tile.image.shape[2] == 1
            axis.imshow(tile.image[..., 0] if gray else tile.image, cmap="gray", vmin=0, vmax=255)
            axis.set_xticks([])
            axis.set_yticks([])
            if row is rows[0]:
                axis.set_title(name, fontsize=8)
            label = tile.decision if len(tile.decision) <= 24 else tile.decision[:22] + "…"
            axis.set_xlabel(
                f"{label}\n{tile.confidence:.0%}",
                fontsize=6.5,
                color=RIGHT if tile.right else WRONG,
            )
            if name == "attacked":
                radius = max(1.5, tile.image.shape[0] / 18)
                for pixel_row, pixel_col in row.pixels:
                    axis.add_patch(
                        Circle((pixel_col, pixel_row), radius, fill=False, color="red", lw=1.2)
                    )
    figure.savefig(path, dpi=150)
