"""The embedded default: procedural images of the paper's four modalities. All synthetic.

Image ``i`` is a function of the dataset's name, the generation seed, ``i`` and the size alone; how
many images are made changes none of them.
"""

from pixguard.datasets.phantom.source import open_phantom

__all__ = ["open_phantom"]
