"""What an export can be made of; light to import."""

from typing import Literal

TableFormat = Literal["parquet", "csv"]
ImageFormat = Literal["npz", "png"]
