"""Finding models and attempts by what a user says."""

from dataclasses import replace
from pathlib import Path

import pytest

from pixguard.errors import UsageError
from pixguard.records import POLYPHASE_VOTE
from pixguard.store import outcomes, reader
from pixguard.store.engine import open_engine
from postgresql import SQLITE_ONLY
from store.store_samples import DATASET, Filled, attack, attempt, model, open_writer


def test_models_are_filtered(filled: Filled) -> None:
    engine = open_engine(filled.database)
    assert [m.id for m in reader.models(engine)] == [filled.model_id, filled.denoiser_id]
    assert [m.id for m in reader.models(engine, kind="denoiser")] == [filled.denoiser_id]
    assert [m.id for m in reader.models(engine, dataset_name="oct")] == [
        filled.model_id,
        filled.denoiser_id,
    ]
    assert reader.models(engine, dataset_name="chest") == []
    assert reader.models(engine, architecture="dae", dataset_id=99) == []


def test_find_model_by_id_architecture_and_latest(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        newer = writer.model(model("1" * 64), filled.dataset_id)
        chest = writer.dataset(replace(DATASET, name="chest"))
        dense = writer.model(model("2" * 64, "densenet121"), filled.dataset_id)
        elsewhere = writer.model(model("3" * 64), chest)
    engine = open_engine(filled.database)

    def find(selector: str, dataset_name: str | None = None) -> int:
        return reader.find_model(engine, selector, "classifier", dataset_name=dataset_name).id

    assert find(str(filled.model_id)) == filled.model_id
    assert find("resnet50", "oct") == newer
    assert find("resnet50", "chest") == elsewhere
    assert find("latest", "oct") == dense
    assert find("latest") == elsewhere
    with pytest.raises(UsageError, match="several datasets") as caught:
        find("resnet50")
    assert f"{elsewhere} (chest)" in caught.value.message
    for wrong in (str(filled.denoiser_id), "dae", "vgg"):
        with pytest.raises(UsageError, match=f"no classifier of dataset oct is called '{wrong}'"):
            find(wrong, "oct")


def test_latest_is_no_vote_and_no_added_model_unless_it_is_the_only_one(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        derma = writer.dataset(replace(DATASET, name="derma"))
        vote = model("1" * 64, POLYPHASE_VOTE)
        added = replace(model("2" * 64, "theirs"), hyperparameters={"added_from": "theirs.pt"})
        chest = writer.dataset(replace(DATASET, name="chest"))
        for record in (vote, added):
            writer.model(record, filled.dataset_id)
        only = writer.model(replace(added, weights_sha256="3" * 64), derma)
        for number, record in enumerate((vote, added)):
            writer.model(replace(record, weights_sha256=f"{number + 4}" * 64), chest)
    engine = open_engine(filled.database)

    def find(selector: str, dataset_name: str) -> int:
        return reader.find_model(engine, selector, "classifier", dataset_name=dataset_name).id

    assert find("latest", "oct") == filled.model_id
    assert find("theirs", "oct") > filled.model_id
    assert find("latest", "derma") == only
    with pytest.raises(UsageError, match=r"trained here, and there are only .*theirs"):
        find("latest", "chest")


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("classifier", "pixguard train --dataset derma"), ("denoiser", "pixguard denoise")],
)
def test_find_model_says_how_to_make_one(filled: Filled, kind: str, hint: str) -> None:
    engine = open_engine(filled.database)
    with pytest.raises(UsageError, match=f"no {kind} of dataset derma") as caught:
        reader.find_model(engine, "latest", kind, dataset_name="derma")
    assert caught.value.hint.startswith(hint)


def test_successes_are_those_of_the_undefended_classifier(filled: Filled) -> None:
    with open_writer(filled.path) as writer:
        one = writer.attack(attack(pixels=1))
        common = {"model_id": filled.model_id, "image_id": filled.images[1]}
        writer.attempt(attempt("one", 1, pixels=1), attack_id=one, **common)
        writer.attempt(
            attempt("through", 1),
            attack_id=filled.attack_id,
            through_model_id=filled.denoiser_id,
            **common,
        )
    engine = open_engine(filled.database)

    def keys(**filters: object) -> list[str]:
        found = outcomes.successes(engine, filled.model_id, **filters)
        return [one.attempt_key for one in found]

    assert keys() == ["key-0", "key-1", "key-2", "one"]
    assert keys(pixels=1) == ["one"]
    assert keys(pixels=2, attack_name="de") == ["key-0", "key-1", "key-2"]
    assert keys(attack_name="random") == []
    assert outcomes.successes(engine, filled.denoiser_id) == []
    first = outcomes.successes(engine, filled.model_id)[1]
    wanted = attempt("key-1", 1)
    assert (first.image_index, first.label_code) == (1, "1")
    assert (first.predicted_before, first.predicted_after) == ((1,), (0,))
    assert first.pixels == wanted.pixels
    assert (first.confidence_before, first.confidence_after) == (0.9, 0.6)


@SQLITE_ONLY
def test_reading_needs_no_right_to_write(filled: Filled) -> None:
    assert not Path(f"{filled.path}-wal").exists()  # the writer left a whole file behind
    before = filled.path.read_bytes()
    assert len(reader.datasets(open_engine(filled.database))) == 1
    assert filled.path.read_bytes() == before
