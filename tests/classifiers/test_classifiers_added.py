"""``pixguard models add``: each format added, judged and attacked; and what is refused."""

import json
import pickle
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from pixguard.progress import Silent
from support import run, run_json

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning"),
    pytest.mark.usefixtures("in_an_empty_folder"),
]

PHANTOMS = "--dataset oct --source phantom --images 60 --size 28"
CODE = """
from torch import nn
def network(outputs: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Dropout(), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(72, outputs),
    )
number = 7
"""


def network(channels: int = 1, outputs: int = 4) -> nn.Module:
    """The network of CODE, with weights of its own."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(5)
        made = nn.Sequential(
            nn.Conv2d(channels, 8, 3, stride=2), nn.ReLU(), nn.Dropout(), nn.AdaptiveAvgPool2d(3),
            nn.Flatten(), nn.Linear(72, outputs),
        )  # fmt: skip
    return made.eval()


def script(model: nn.Module, path: str = "mine.pt") -> str:
    torch.jit.script(model).save(path)
    return path


def trace(model: nn.Module, path: str = "mine.pt") -> str:
    torch.jit.trace(model, torch.zeros(2, 1, 28, 28), check_trace=False).save(path)
    return path


def export(model: nn.Module, path: str = "mine.pt2", *, batch: object = None) -> str:
    shapes = ({0: batch},) if batch is not None else None
    example = (torch.zeros(2, 1, 28, 28),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), path)
    return path


def build(model: nn.Module, weights: str = "weights.pt") -> str:
    module = f"their_{Path.cwd().name}".replace("-", "_")  # imported once a process, by name
    Path(f"{module}.py").write_text(CODE)
    if weights.endswith(".safetensors"):
        save_file(model.state_dict(), weights)
    else:
        torch.save(model.state_dict(), weights)
    return f"--builder {module}:network --weights {weights}"


def select(query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


FORMATS = {
    "scripted": script,
    "traced": trace,
    "exported": lambda model: export(model, batch=torch.export.Dim("batch")),
    "state dict": build,
    "safetensors": lambda model: build(model, "weights.safetensors"),
}


def stored(query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect("pixguard.db") as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_of_each_format_is_judged_and_attacked(form: str) -> None:
    model = network()
    added = run_json(f"models add --trust {FORMATS[form](model)} {PHANTOMS} --mean 0.4 --std 0.2")
    assert added["differentiable"] is True
    from pixguard.cli.common import open_session
    from pixguard.config import DatasetRequest
    from pixguard.runner.subject import open_subject

    with open_session("pixguard.db", "cpu") as session:
        dataset = open_subject(session, DatasetRequest("oct"), "latest").dataset
    tested = dataset.indices("test")
    images = torch.from_numpy(dataset.images(tested)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = model((images - 0.4) / 0.2).double().softmax(1)
    rows = stored(
        "SELECT i.dataset_index, p.predicted, p.confidence FROM prediction p "
        "JOIN image i ON i.id = p.image_id ORDER BY i.dataset_index"
    )
    assert [index for index, _, _ in rows] == tested.tolist()
    assert [int(str(code)) for _, code, _ in rows] == expected.argmax(1).tolist()
    torch.testing.assert_close(
        torch.tensor([c for *_, c in rows]).double(), expected.amax(1), rtol=1e-5, atol=1e-6
    )
    evolution = "differential-evolution --population 8 --generations 2"
    for attack in (evolution, "sigma-zero --queries 6", "corner --queries 40"):
        result = run_json(f"attack --dataset oct --model 1 --limit 2 --attack {attack}")
        assert result["made"] == result["planned"] == 2
        assert result["failed"] == 0


def test_adding_again_is_the_same_model_and_another_normalisation_is_another() -> None:
    path = script(network())
    first = run_json(f"models add --trust {path} {PHANTOMS}")
    assert run_json(f"models add --trust {path} {PHANTOMS}")["model"] == first["model"]
    other = run_json(f"models add --trust {path} {PHANTOMS} --mean 0.5 --std 0.5")
    assert other["model"] != first["model"]
    assert other["weights"] == first["weights"]


def test_a_model_is_found_and_listed_by_its_name_with_its_test_accuracy() -> None:
    added = run_json(f"models add {script(network())} --name clinic --trust {PHANTOMS}")
    assert stored("SELECT name FROM model") == [("clinic",)]
    assert run_json("models show clinic")["id"] == added["model"]
    assert run_json("attack --dataset oct --model clinic --limit 1 --pixels 1 --population 4 "
                    "--generations 1")["failed"] == 0  # fmt: skip
    right, judged = stored(
        "SELECT SUM(p.predicted = i.label_set), COUNT(*) FROM prediction p "
        "JOIN image i ON i.id = p.image_id WHERE i.split = 'test'"
    )[0]
    (listed,) = json.loads(run("models list --json").stdout)
    assert (listed["name"], listed["dataset_name"], listed["source"], listed["size"]) == (
        "clinic", "oct", "phantom", 28,
    )  # fmt: skip
    assert (listed["test_correct"], listed["test_images"]) == (right, judged)
    assert listed["test_accuracy"] == added["test_accuracy"]
    shown = run("models list").stdout
    assert "test accuracy" in shown and f"{added['test_accuracy']:.4f}" in shown
    assert "clinic" in shown


def test_a_model_of_several_labels_is_judged_label_by_label() -> None:
    path = export(network(outputs=14), batch=torch.export.Dim("batch"))
    run(f"models add --trust {path} {PHANTOMS.replace('oct', 'chest')}")
    codes = [str(code) for (code,) in stored("SELECT predicted FROM prediction")]
    assert len(codes) == 12 and any("," in code for code in codes)


def test_a_recorded_program_is_attacked_densely_also_through_a_denoiser() -> None:
    run(f"models add --trust {script(network())} {PHANTOMS}")
    told = run("attack --dataset oct --attack random --queries 4 --limit 2 --through median")
    assert "going dense (its operations were recorded elsewhere" in told.output
    rows = stored("SELECT evaluator FROM attempt")
    assert rows == [("dense",)] * 2


class Rounded(nn.Module):
    """Gives no gradient: the operations that it records have none."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images).detach()


def test_a_search_by_gradient_says_why_it_cannot_work() -> None:
    added = run(f"models add --trust {script(Rounded())} {PHANTOMS}")
    assert "no gradient" in added.output
    assert "was added" in run("models show 1 --layers", code=2).output
    for attack in ("corner", "sigma-zero"):
        told = run(f"attack --dataset oct --attack {attack} --limit 1", code=2).output
        assert "no gradient" in told and "--order grid" in told
    run("attack --dataset oct --attack corner --order grid --queries 40 --limit 1")


def test_a_changed_file_or_changed_code_is_noticed() -> None:
    added = run_json(f"models add --trust {script(network())} {PHANTOMS}")
    Path(str(added["weights"])).write_bytes(b"other")
    assert "not what was registered" in run("attack --dataset oct --limit 1", code=1).output
    built = build(network())
    run(f"models add --trust {built} {PHANTOMS}")
    run("attack --dataset oct --model 2 --attack random --queries 4 --limit 1")
    source = Path(built.split()[1].partition(":")[0] + ".py")
    source.write_text(CODE.replace("ReLU", "Tanh"))
    assert "has changed" in run("attack --dataset oct --model 2 --limit 1 --resume", code=2).output


class Leaky(nn.Module):
    """Looks at the other images of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images - images.mean(dim=0, keepdim=True))


class Reshaping(nn.Module):
    """Has the batch of its example in its code."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(28 * 28, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.view(int(images.shape[0]), -1))


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.network(images), images


def flat(side: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(side**2, 4))


def infinite() -> nn.Module:
    model = network()
    model[-1].bias.data[0] = torch.inf
    return model


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("unpickled").touch, ())


def pickled() -> str:
    built = build(network())
    torch.save({"state": Code()}, "weights.pt")
    return built


def pickled_in_an_exported_program() -> str:
    import zipfile

    path = export(network(), batch=torch.export.Dim("batch"))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            torch.save(Code(), "code.pt")
            inputs = "/sample_inputs/" in name
            archive.writestr(name, Path("code.pt").read_bytes() if inputs else content)
    return path


def not_a_model() -> str:
    Path("mine.pt").write_bytes(pickle.dumps({"a": 1}))
    return "mine.pt"


BAD = {
    "classes": (lambda: script(network(outputs=5)), 2, "5 outputs; 'oct' has 4 classes"),
    "channels": (lambda: script(network(channels=3)), 2, "expand(-1, 3, -1, -1)"),
    "channels of code": (lambda: build(network(channels=3)), 1, "does not fit the model"),
    "size": (lambda: script(flat(64)), 2, "--size 64"),
    "fixed batch": (lambda: export(network()), 2, "torch.export.Dim"),
    "fixed batch, traced": (lambda: trace(Reshaping()), 2, "flatten(1)"),
    "other images": (lambda: script(Leaky()), 2, "the images beside it"),
    "dropout": (lambda: trace(network().train()), 2, "model.eval()"),
    "two results": (lambda: script(Pair()), 2, "returned tuple"),
    "no logits": (lambda: script(nn.Sequential(nn.Conv2d(1, 4, 3))), 2, "(5, 4, 26, 26)"),
    "infinite": (lambda: script(infinite()), 2, "not finite"),
    "pickled": (pickled, 1, "cannot be read"),
    "pickled, exported": (pickled_in_an_exported_program, 1, "cannot be read"),
    "weights only": (lambda: build(network()).split()[-1], 2, "--builder"),
    "no model": (not_a_model, 2, "no model"),
    "no file": (lambda: "missing.pt", 1, "missing.pt"),
    "no function": (lambda: build(network()).replace(":network", ":net"), 2, "no function 'net'"),
    "no callable": (lambda: build(network()).replace(":network", ":number"), 2, "no function"),
    "no module": (lambda: build(network()).replace("their_", "your_"), 2, "PYTHONPATH"),
    "no colon": (lambda: build(network()).replace(":", "."), 2, "module:function"),
    "bad arguments": (lambda: build(network()) + ' --arguments {"labels":4}', 2, "failed"),
    "arguments": (lambda: build(network()) + " --arguments 4", 2, "JSON object"),
    "normalisation": (lambda: script(network()) + " --mean 0.1,0.2,0.3", 2, "3 values"),
    "no deviation": (lambda: script(network()) + " --std 0", 2, "above 0"),
    "no number": (lambda: script(network()) + " --mean half", 2, "no list of numbers"),
    "name": (lambda: script(network()) + " --name 7", 2, "--name"),
    "both": (lambda: "mine.pt --weights x.pt", 2, "FILE, or a --builder"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_and_nothing_is_registered(case: str) -> None:
    make, code, told = BAD[case]
    result = run(f"models add --trust {make()} {PHANTOMS} --json", code=code)
    error = json.loads(result.stdout)["error"]
    assert told in f"{error['message']} {error['hint']}"
    assert not Path("unpickled").exists()
    assert not Path("pixguard.db").exists() or stored("SELECT * FROM model") == []
    assert not list(Path().glob("pixguard-files/weights/*"))


def test_arguments_reach_the_function() -> None:
    built = build(network())
    assert (
        run_json(f'models add --trust {built} --arguments {{"outputs":4}} {PHANTOMS}')["model"] == 1
    )


def test_probabilities_are_refused_until_they_are_named_and_then_inverted() -> None:
    """Taken for logits, they hid most of what attacks find: 7 of 58 instead of 45."""
    path = script(nn.Sequential(network(), nn.Softmax(1)))
    refused = run(f"models add --trust {path} {PHANTOMS}", code=2).output
    assert "look like probabilities" in refused
    assert "--outputs probabilities" in refused
    inverted = run_json(f"models add --trust {path} --outputs probabilities {PHANTOMS}")
    plain = run_json(f"models add --trust {script(network(), 'logits.pt')} {PHANTOMS}")
    assert (inverted["outputs"], plain["outputs"]) == ("probabilities", "logits")
    found = {
        model: select(
            "SELECT image_id, predicted, ROUND(confidence, 4) FROM prediction "
            f"WHERE model_id = {model} ORDER BY image_id"
        )
        for model in (inverted["model"], plain["model"])
    }
    assert found[inverted["model"]] == found[plain["model"]]
    attack = f"attack --dataset oct --model {inverted['model']} --limit 2 --generations 2"
    attacked = run_json(attack)
    assert attacked["made"] == 2


def test_outputs_that_are_not_what_they_are_said_to_be_are_refused() -> None:
    plain = run(
        f"models add --trust {script(network())} --outputs probabilities {PHANTOMS}", code=2
    )
    assert "are no probabilities: they do not lie between 0 and 1" in plain.output
    alone = script(nn.Sequential(network(), nn.Sigmoid()), "sigmoid.pt")
    for named in ("", "--outputs probabilities"):
        assert (
            "do not sum to 1"
            in run(f"models add --trust {alone} {named} {PHANTOMS}", code=2).output
        )
    assert run_json(f"models add --trust {alone} --outputs logits {PHANTOMS}")["model"] == 1


class Saturated(nn.Module):
    """Probabilities of 0 and 1, whatever image is given."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (
            images.mean((1, 2, 3))[:, None] * 1e5 * torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        ).softmax(1)


def test_probabilities_at_the_limit_of_float32_are_told_and_stored_with_the_plan() -> None:
    added = run(
        f"models add --trust {script(Saturated())} --outputs probabilities {PHANTOMS}"
    ).output
    assert "0 or 1 to float32 on 5 of 5 images" in added
    attacked = run_json("attack --dataset oct --model 1 --attack random --queries 4 --limit 2")
    assert "0 or 1 to float32 on 2 of 2 images" in attacked["remark"]
    assert attacked["remark"] in select("SELECT remarks FROM plan")[0][0]


def test_one_output_is_two_classes(tmp_path: Path) -> None:
    for number in range(60):
        name, level = ("dark", 40) if number % 2 else ("light", 200)
        (tmp_path / "two" / name).mkdir(parents=True, exist_ok=True)
        Image.new("L", (28, 28), level).save(tmp_path / "two" / name / f"{number}.png")
    two = f"--dataset two --source folder --data-dir {tmp_path / 'two'}"

    class Level(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 20 * (images.mean((1, 2, 3)) - 0.5)[:, None]

    class Chance(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(20 * (images.mean((1, 2, 3)) - 0.5)[:, None])

    class Swapped(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            light = 20 * (images.mean((1, 2, 3)) - 0.5)[:, None]
            return torch.cat([light, -light], 1)  # dark is the first class

    one = run_json(f"models add --trust {script(Level())} {two}")
    assert one["test_accuracy"] == 1
    given = f"{script(Chance(), 'p.pt')} --outputs probabilities"
    assert run_json(f"models add --trust {given} {two}")["test_accuracy"] == 1
    swapped = run_json(f"models add --trust {script(Swapped(), 's.pt')} {two}")
    assert swapped["test_accuracy"] == 0
    assert swapped["warning"].endswith("another order, light, dark")


def test_a_classifier_at_chance_is_told_what_may_be_wrong() -> None:
    added = run(f"models add --trust {script(network())} {PHANTOMS}").output
    assert "no better than always answering" in added
    assert "--mean" in added
    assert "--std" in added


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {"state_dict": {f"model.{name}": t for name, t in state.items()}},
        lambda state: {f"_orig_mod.{name}": t for name, t in state.items()},
        lambda state: {f"module._orig_mod.{name}": t for name, t in state.items()},
    ],
)
def test_checkpoints_of_training_frameworks_are_read(wrap: Any) -> None:
    built = build(network())
    torch.save(wrap(network().state_dict()), "weights.pt")
    assert run_json(f"models add --trust {built} {PHANTOMS}")["format"] == "builder"


def test_a_frozen_program_with_folded_weights_has_no_parameters_and_works() -> None:
    torch.jit.freeze(torch.jit.script(network())).save("mine.pt")
    added = run_json(f"models add --trust mine.pt {PHANTOMS}")
    assert run_json("attack --dataset oct --attack random --queries 4 --limit 1")["made"] == 1
    assert added["test_images"] == 12


def test_the_options_of_a_training_are_part_of_what_identifies_it() -> None:
    plain = f"train {PHANTOMS} --model small-cnn --epochs 1"
    first = run_json(plain)
    assert run_json(f"{plain} --loss ce --resume")["model"] == first["model"]  # the default
    for option in ("--loss focal --balance weights", "--augment --adversarial 2"):
        other = run_json(f"{plain} {option}")
        assert other["already_trained"] is False and other["model"] != first["model"]
        assert run_json(f"{plain} {option} --resume")["already_trained"] is True
    assert "resnet" in run(f"{plain} --pretrained torchvision", code=2).output


class Undefined(nn.Module):
    """Answers every image but one that is brighter than those that a model is tried on."""

    def __init__(self, brightest: float) -> None:
        super().__init__()
        self.network = network()
        self.brightest = brightest

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left = (self.brightest - images.mean((1, 2, 3))).relu()[:, None]
        return self.network(images) + 0 * left / left


def test_a_model_without_an_answer_to_a_later_image_is_not_left_as_the_newest() -> None:
    first = run_json(f"models add --trust {script(network())} {PHANTOMS}")
    from pixguard.config import DatasetSettings
    from pixguard.datasets.opening import open_dataset

    settings = DatasetSettings("oct", "phantom", 28, phantom_images=60)
    dataset = open_dataset(settings, Silent())
    brightness = dataset.images(dataset.indices("test")).mean((1, 2, 3)) / 255
    level = (brightness[:5].max() + brightness.max()) / 2
    assert brightness[:5].max() < level < brightness.max()
    path = script(Undefined(float(level)), "undefined.pt")
    told = run(f"models add --trust {path} {PHANTOMS}", code=1).output
    assert "is not finite" in told
    assert stored("SELECT id FROM model") == [(first["model"],)]
    assert len(list(Path().glob("pixguard-files/weights/*"))) == 1
    assert run_json("attack --dataset oct --attack random --queries 4 --limit 1")["made"] == 1


def test_a_model_without_results_can_be_removed() -> None:
    for name in ("one", "two"):
        run(f"models add --trust {script(network())} --name {name} {PHANTOMS}")
    run("attack --dataset oct --model one --attack random --queries 4 --limit 1")
    assert run_json("models remove two")["removed"] == 2
    assert stored("SELECT id FROM model") == [(1,)]
    assert len(list(Path().glob("pixguard-files/weights/*"))) == 1, "model 1 has the same file"
    refused = run("models remove 1", code=2).output
    assert "has results" in refused and "1 attempt" in refused
    assert "is sound" in run("db check").stdout


@pytest.mark.parametrize("what", ["answer", "weights"])
def test_a_training_that_diverges_in_its_last_step_registers_nothing(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(optimiser: torch.optim.Optimizer, closure: object = None) -> None:
        for parameter in optimiser.param_groups[0]["params"]:
            parameter.data.fill_(torch.nan if what == "weights" else 3e38)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    told = run(f"train {PHANTOMS} --model small-cnn --epochs 1", code=1).output
    assert what in told and "not finite" in told and "--learning-rate" in told
    assert stored("SELECT * FROM model") == []


def test_a_model_whose_weights_were_deleted_is_trained_again() -> None:
    train = f"train {PHANTOMS} --model small-cnn --epochs 1"
    first = run_json(train)
    Path(str(first["weights"])).unlink()
    assert "the weights of model 1 are missing" in run("db check", code=1).stdout
    again = run_json(train)
    assert again["model"] == first["model"] and Path(str(first["weights"])).is_file()
    assert run_json(f"{train} --resume")["already_trained"] is True
