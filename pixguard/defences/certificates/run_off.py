"""The run-off: a polyphase vote of two rounds (run-off election, Rezaei et al. 2023).

With it Hammoudeh and Lowd (AAAI 2024) certify more pixels by the same networks. The voters and
their phases are those of :mod:`pixguard.defences.certificates.polyphase_vote`:

1. Every voter names the class of its largest logit. The two that are named most are elected.
2. Every voter names that of the two whose logit is larger. The one that is named more often wins.

Among equals the class of the lowest index stands before others, in both rounds.

Theorem: let k voters change their logits, anyhow. For the decision w to change, either w is not
elected, or w is elected with some class c and loses to it.

- Not elected: two classes c and d are named more often than w. By k changes w loses at most k
  votes, and c and d gain at most k in all.
- Loses to c: every voter that turns from w to c changes the lead of w over c by two; and c must be
  elected beside w, so be named more often than any third class, whose lead falls by two at most.

Fewer changes than the least that any of these takes leave the decision as it is. A changed pixel
changes one voter, so that this number, less one, is a radius.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.evaluation import plain_float32
from pixguard.defences.certificates.polyphase_vote import (
    PolyphaseVote,
    as_classifier,
    count,
    registered_voter,
)
from pixguard.models.inputs import plain_layout
from pixguard.models.weights import load_weights
from pixguard.records import DatasetInfo, LabelSet, ModelRecord


def preferences(opinions: Tensor) -> Tensor:
    """Return int64 (N, L, L): how many voters set the first class above the second.

    Args:
        opinions: the voters' logits, float (voters, N, L).
    """
    label_count = opinions.shape[2]
    first, second = opinions[..., :, None], opinions[..., None, :]
    earlier = torch.ones(label_count, label_count, device=opinions.device).triu(1).bool()
    return ((first > second) | ((first == second) & earlier)).sum(0)


def elected(votes: Tensor) -> Tensor:
    """Return int64 (N, 2): the classes of most votes int64 (N, L), L at least 2."""
    label_count = votes.shape[1]
    order = votes * label_count - torch.arange(label_count, device=votes.device)
    return order.topk(2, dim=1).indices


def run_off(opinions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the decisions int64 (N,), and the votes of the second round, int64 (N, L).

    Args:
        opinions: the voters' logits, float (voters, N, L).
    """
    votes = count(opinions)
    if votes.shape[1] < 2:
        return votes.argmax(1), votes
    pair = elected(votes)
    first, second = pair[:, 0], pair[:, 1]
    rows = torch.arange(len(votes), device=votes.device)
    prefers = preferences(opinions)
    for_first, for_second = prefers[rows, first, second], prefers[rows, second, first]
    wins = (for_first > for_second) | ((for_first == for_second) & (first < second))
    decided = torch.where(wins, first, second)
    final = torch.zeros_like(votes)
    final.scatter_(1, pair, torch.stack([for_first, for_second], dim=1))
    return decided, final


def certified_radius(opinions: Tensor) -> int:
    """Return how many voters can change, anyhow, without changing the decision on one image.

    Args:
        opinions: the voters' logits, float (voters, 1, L).
    """
    winner = int(run_off(opinions)[0])
    votes: list[int] = count(opinions)[0].tolist()
    prefers: list[list[int]] = preferences(opinions)[0].tolist()
    others = [c for c in range(len(votes)) if c != winner]
    least = len(opinions) + 1
    if len(others) > 1:
        least = min(least, _changes_to_miss_election(votes, winner, others))
    for rival in others:
        thirds = [c for c in others if c != rival]
        behind = (_half(votes[third] - votes[rival] + (rival > third)) for third in thirds)
        to_be_elected = max(behind, default=0)
        lead = prefers[winner][rival] - prefers[rival][winner]
        least = min(least, max(to_be_elected, _half(lead + (rival > winner))))
    return least - 1


def _changes_to_miss_election(votes: list[int], winner: int, others: list[int]) -> int:
    for changes in range(sum(votes)):
        left = votes[winner] - changes
        lacking = sorted(max(0, left + (c > winner) - votes[c]) for c in others)
        if lacking[0] + lacking[1] <= changes:
            return changes
    return sum(votes)


def _half(lead: int) -> int:
    """Return how many changes, each of two votes, make up for a lead."""
    return max(0, -(-lead // 2))


class RunOffVote(PolyphaseVote):
    """A polyphase vote that is decided by a run-off."""

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 logits (N, L) whose largest is the decision, by a half or more.

        They are 1 for the decision, and half of the voters' mean softmax: an attack that is to be
        taken seriously must be told how near an image is.
        """
        if not isinstance(images, Tensor):  # torch.fx, on behalf of the delta evaluator
            raise TypeError("a vote is not evaluated layer by layer")
        opinions = self.opinions(images)
        decided, _ = run_off(opinions)
        logits: Tensor = one_hot(decided, opinions.shape[2]) + 0.5 * opinions.softmax(2).mean(0)
        return logits


def certify(classifier: Classifier, image: Tensor) -> tuple[LabelSet, tuple[int, ...], int]:
    """Return what a run-off decides on an image, the votes of its second round, and the radius.

    Args:
        classifier: a run-off, in evaluation mode.
        image: float32 (1, C, H, W) in [0, 1], which is judged alone.

    Raises:
        ValueError: more than one image, or the classifier is no run-off, or in training mode.
    """
    network = classifier.network
    if len(image) != 1 or classifier.training or not isinstance(network, RunOffVote):
        raise ValueError("expected one image, and a run-off in evaluation mode")
    with torch.inference_mode(), plain_float32(image.device):
        opinions = network.opinions(plain_layout(image))
    decided, final = run_off(opinions)
    return (int(decided),), tuple(final[0].tolist()), certified_radius(opinions)


def open_run_off(
    record: ModelRecord, info: DatasetInfo, weights: Path, device: torch.device
) -> Classifier:
    """Return a registered run-off on a device, as ``open_classifier`` does other classifiers.

    Raises:
        PixguardError: its weights are missing, damaged or not those of the record.
    """
    voter, stride = registered_voter(record, info)
    classifier = as_classifier(voter, stride, RunOffVote)
    load_weights(classifier, weights / record.weights_file, record.content_sha256)
    return classifier.to(device).eval()
