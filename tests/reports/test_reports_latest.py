"""Which classifier tables show, where several could be: one rule for all of them."""

import pytest

from pixguard.records import POLYPHASE_VOTE
from pixguard.reports.build import build_table
from pixguard.reports.specs import table_spec
from reports.reports_miniature import Miniature


@pytest.fixture
def several(empty: Miniature) -> Miniature:
    """An attacked classifier, and after it another, an added one and a vote, with predictions."""
    oct_ = empty.dataset("oct", [(0, "Normal", "Normal"), (1, "Drusen", "Other")])
    images = [empty.image(oct_, "0"), empty.image(oct_, "1")]
    attacked = empty.model("classifier", "small-cnn", oct_)
    models = (
        attacked,
        empty.model("classifier", "small-cnn", oct_),
        empty.model("classifier", "theirs", oct_, hyperparameters='{"added_from": "theirs.pt"}'),
        empty.model("classifier", POLYPHASE_VOTE, oct_),
    )
    for model in models:
        for image, label in zip(images, "01", strict=True):
            empty.prediction(model, image, label)
    empty.attempt(empty.attack(1), attacked, images[0], 1)
    return empty


@pytest.mark.parametrize("number", [12, 15, 17, 19, 32, "truth", "cost", "seeds"])
def test_all_tables_are_about_the_classifier_that_was_attacked(
    several: Miniature, number: int | str
) -> None:
    table = build_table(several.engine, table_spec(number), dataset="oct")
    if number == 19:  # two pixels: never attacked so
        assert not table.has_data
        return
    assert "classifier small-cnn #1 " in "\n".join(table.caption)
    (rule,) = (note for note in table.notes if "--model" in note and "not run" not in note)
    assert "2, 3, 4" in rule or "#2" not in rule


def test_another_is_shown_when_it_is_asked_for(several: Miniature) -> None:
    table = build_table(several.engine, table_spec(12), dataset="oct", model=4)
    assert f"classifier {POLYPHASE_VOTE} #4 " in "\n".join(table.caption)
    assert not any("certified vote" in note for note in table.notes)
