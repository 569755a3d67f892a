import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import Normalize

from inference.inference_networks import Network, candidates, classifier, clean_images, dense_logits
from pixguard.inference.choice import choose_evaluator
from pixguard.inference.delta import DeltaEvaluator, NotTraceableError

CPU = torch.device("cpu")


def depends_on_data(net, x):
    x = net.conv(x)
    return net.last((F.relu(x) if x.mean() > 0 else x).mean((2, 3)))


def depends_on_the_batch(net, x):
    """Its logits are no function of one image alone: no evaluator of single changes is right."""
    return net.last(net.norm(net.conv(x)).mean((2, 3)))


def calls_a_function_with_weights(net, x):
    return net.last(F.conv2d(net.conv(x), net.other.weight).mean((2, 3)))


def keeps_count(net, x):
    net.calls += 1
    return net.last(net.conv(x).mean((2, 3))) * net.calls


def plain(net, x):
    return net.last(F.relu(net.conv(x)).mean((2, 3)))


def model(body):
    torch.manual_seed(4)
    return classifier(
        Network(
            body,
            conv=nn.Conv2d(3, 8, 3, padding=1),
            other=nn.Conv2d(8, 8, 3),
            norm=nn.BatchNorm2d(8, track_running_stats=False),
            last=nn.Linear(8, 4),
        )
    )


@pytest.mark.parametrize(
    ("body", "name"),
    [(plain, "delta"), (depends_on_data, "dense"), (depends_on_the_batch, "dense")],
)
@pytest.mark.parametrize("pixels", [1, 2])
def test_delta_is_taken_where_it_answers_as_the_classifier_does(body, name, pixels):
    said = []
    made = model(body)
    chosen = choose_evaluator(made, 14, 17, CPU, pixels=pixels, batch=4, say=said.append)
    assert chosen.name == name
    assert len(said) == (name == "dense")
    assert all("going dense" in notice for notice in said)


def test_the_path_that_depends_on_data_is_named():
    with pytest.raises(NotTraceableError, match="control flow"):
        DeltaEvaluator(model(depends_on_data), 1)


@pytest.mark.parametrize("body", [plain, depends_on_data, calls_a_function_with_weights])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_whatever_is_chosen_answers_as_the_classifier_does(body, precision):
    made = model(body)
    chosen = choose_evaluator(made, 12, 15, CPU, precision=precision, batch=4)
    assert chosen.precision == precision
    images = clean_images(2, 3, (12, 15))
    chosen.allocate(2, 12, 15, 1)
    for slot, image in enumerate(images):
        chosen.load(slot, image)
    given = candidates(images, 1)
    expected = dense_logits(made, images, given)
    bound = {"float32": 1e-5, "bfloat16": 0.05}[precision]
    torch.testing.assert_close(chosen.logits(*given), expected, rtol=0, atol=bound)


def test_a_classifier_that_its_graph_does_not_hold_goes_dense():
    """What it counts in Python is a constant of the graph."""
    made = model(keeps_count)
    made.network.calls = 0
    said = []
    assert choose_evaluator(made, 14, 17, CPU, say=said.append).name == "dense"
    assert "differs from the classifier" in said[0]


def test_a_hook_is_part_of_the_classifier():
    made = model(plain)
    made.network.conv.register_forward_hook(lambda module, given, output: output * 3)
    said = []
    chosen = choose_evaluator(made, 14, 17, CPU, evaluator="delta", say=said.append)
    assert (chosen.name, said) == ("delta", [])


def test_normalisation_before_a_network_does_not_stand_in_the_way():
    made = classifier(nn.Sequential(Normalize([0.4] * 3, [0.2] * 3), model(plain).network))
    said = []
    assert choose_evaluator(made, 14, 17, CPU, say=said.append).name == "delta"
    assert said == []


def test_dense_is_taken_where_it_is_asked_for():
    said = []
    chosen = choose_evaluator(model(plain), 14, 17, CPU, evaluator="dense", say=said.append)
    assert (chosen.name, said) == ("dense", [])
