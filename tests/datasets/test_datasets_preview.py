import io

import numpy as np
import pytest
from PIL import Image

from pixguard.config import DatasetSettings
from pixguard.datasets.opening import open_dataset
from pixguard.datasets.png import encode_png
from pixguard.datasets.preview import contact_sheet
from pixguard.progress import Silent


@pytest.mark.parametrize("name", ["oct", "chest"])
def test_a_sheet_shows_the_first_images_of_each_class_unchanged(name):
    dataset = open_dataset(DatasetSettings(name, source="phantom", phantom_images=200), Silent())
    sheet = contact_sheet(dataset, per_class=3)
    tile, height = 112, 112 + 14
    classes = dataset.info.classes
    assert sheet.shape == (len(classes) * height, 3 * tile, 3)
    for row, info in enumerate(classes):
        sets = [dataset.label_set(i) for i in range(200)]
        wanted = () if info.ordinal < 0 else (info.ordinal,)
        (first, *_) = [i for i in range(200) if sets[i] == wanted]
        shown = sheet[row * height + 14 : (row + 1) * height : 4, :tile:4]
        assert (shown == dataset.images([first])[0]).all()
    decoded = np.asarray(Image.open(io.BytesIO(encode_png(sheet))))
    assert (decoded == sheet).all()
