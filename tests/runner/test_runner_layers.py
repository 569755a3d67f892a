"""A model's layers against the paper's tables and against its own parameters."""

import pytest
import torch
from torch import nn

from pixguard.classifiers.small_cnn import SmallCNN
from pixguard.defences.denoisers import DENOISERS, build_denoiser
from pixguard.models.weights import parameter_counts
from pixguard.reports.published import published_table
from pixguard.runner.layers import layer_table


@pytest.mark.parametrize(("number", "channels"), [(1, 1), (2, 3)])
def test_the_autoencoder_has_the_layers_of_tables_1_and_2(number: int, channels: int) -> None:
    table = layer_table(build_denoiser("autoencoder", channels), channels, 224)
    rows = [[n, r.type, list(r.output or ()), r.parameters] for n, r in enumerate(table.rows, 1)]
    *layers, total, trainable, frozen = published_table(number)["rows"]
    assert rows == layers
    assert table.total_parameters == total[-1]
    assert (table.trainable_parameters, table.frozen_parameters) == (trainable[-1], frozen[-1])


@pytest.mark.parametrize("name", DENOISERS.names)
def test_every_parameter_of_a_denoiser_is_counted_once(name: str) -> None:
    denoiser = build_denoiser(name, 3)
    table = layer_table(denoiser, 3, 28)
    assert sum(row.parameters for row in table.rows) == table.total_parameters
    assert (table.trainable_parameters, table.frozen_parameters) == parameter_counts(denoiser)


def test_layers_are_listed_as_they_run_on_an_image_of_that_size() -> None:
    # 27 is padded to 28 inside; BatchNorm has two trainable and two other parameters a feature.
    denoiser = build_denoiser("dae", 1, widths=[4], attention=False, skips="none")
    rows = layer_table(denoiser, 1, 27).rows
    assert [(r.type, r.output, r.parameters) for r in rows] == [
        ("Input", (27, 27, 1), 0),
        ("Convolution 2-D", (28, 28, 4), 40),
        ("Batch Normalization", (28, 28, 4), 16),
        ("Convolution 2-D", (28, 28, 4), 148),
        ("Batch Normalization", (28, 28, 4), 16),
        ("Convolution 2-D", (28, 28, 4), 148),
        ("Batch Normalization", (28, 28, 4), 16),
        ("MaxPooling 2-D", (14, 14, 4), 0),
        ("Convolution 2-D", (14, 14, 4), 148),
        ("Batch Normalization", (14, 14, 4), 16),
        ("UpSampling 2-D", (28, 28, 4), 0),
        ("Convolution 2-D", (28, 28, 1), 37),
    ]


def test_a_classifier_ends_in_its_labels() -> None:
    rows = layer_table(SmallCNN(3, 5), 3, 28).rows
    assert (rows[-1].type, rows[-1].output, rows[-1].parameters) == ("Fully Connected", (5,), 325)


class _Attending(nn.Module):
    """A token beside the layers, attention over pixels, one layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(7))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.twice = nn.Linear(4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.expand(-1, 4, -1, -1).flatten(2).transpose(1, 2)
        attended, _ = self.attention(pixels, pixels, pixels)
        result: torch.Tensor = self.twice(self.twice(attended))
        return result


def test_parameters_count_once_and_those_of_no_layer_come_last() -> None:
    table = layer_table(_Attending(), 1, 3)
    assert [(r.type, r.output, r.parameters) for r in table.rows] == [
        ("Input", (3, 3, 1), 0),
        ("Multi-Head Attention", (9, 4), 4 * 16 + 4 * 4),
        ("Fully Connected", (9, 4), 20),
        ("Fully Connected", (9, 4), 0),
        ("Outside Layers", None, 7),
    ]


def test_the_module_itself_is_left_as_it_was() -> None:
    denoiser = build_denoiser("autoencoder", 1)
    layer_table(denoiser, 1, 16)
    assert denoiser.training
    assert denoiser(torch.zeros(1, 1, 8, 8)).device.type == "cpu"
    assert not any(module._forward_hooks for module in denoiser.modules())
