"""The run-off: what it decides, and that no change of votes refutes a radius."""

from itertools import combinations, product

import pytest
import torch
from torch import Tensor

from pixguard.attacks import Exhaustive
from pixguard.classifiers.evaluation import canonical_logits
from pixguard.defences.certificates import polyphase_vote
from pixguard.defences.certificates.polyphase_vote import as_classifier, build_voter
from pixguard.defences.certificates.run_off import RunOffVote, certified_radius, certify, run_off
from pixguard.records import ClassInfo, DatasetInfo

CLASSES = tuple(ClassInfo(i, str(i)) for i in range(3))
INFO = DatasetInfo("d", "folder", 8, "1", "paper", 0, "m", "multi-class", 1, CLASSES)


def ballots(*rankings: str) -> Tensor:
    """Logits (voters, 1, L) of voters who rank classes, such as ``201`` for 2 before 0 before 1."""
    return (
        torch.tensor([[[-ranking.index(str(c)) for c in range(3)]] for ranking in rankings]) * 1.0
    )


@pytest.mark.parametrize(
    ("voters", "decided", "final"),
    [
        # 0 is named most, and 2 is liked more by those who named 1.
        (["012", "012", "210", "210", "120"], 2, (2, 0, 3)),
        (["012", "012", "012", "120", "210"], 0, (3, 2, 0)),  # equal seconds: 1 before 2
        (["012", "120"], 0, (1, 1, 0)),  # equal in the second round, too
        (["210", "210", "210"], 2, (0, 0, 3)),  # nobody names another: 0 before 1
    ],
)
def test_the_two_rounds(voters: list[str], decided: int, final: tuple[int, ...]) -> None:
    winner, votes = run_off(ballots(*voters))
    assert (int(winner), tuple(votes[0].tolist())) == (decided, final)


def all_changes(opinions: Tensor, changed: int) -> Tensor:
    """Logits (voters, N, L) of every way in which some voters change to any order, ties too."""
    voters, _, label_count = opinions.shape
    if label_count == 3:
        orders = list(product(range(3), repeat=3))
    else:
        orders = [tuple(order) for order in _permutations(label_count)]
    some = torch.tensor(list(product(orders, repeat=changed)), dtype=opinions.dtype)
    found = []
    for members in combinations(range(voters), changed):
        moved = opinions.repeat(1, len(some), 1)
        moved[list(members)] = some.movedim(1, 0)
        found.append(moved)
    return torch.cat(found, dim=1)


def _permutations(count: int) -> Tensor:
    return torch.tensor([p for p in product(range(count), repeat=count) if len(set(p)) == count])


@pytest.mark.parametrize(("voters", "label_count"), [(4, 3), (5, 3), (7, 3), (5, 4), (6, 2)])
def test_no_change_of_votes_refutes_a_radius(voters: int, label_count: int) -> None:
    """Every pair of voters, changed to every order."""
    stream, radii, exact = torch.Generator().manual_seed(voters * label_count), [], 0
    for _ in range(25):
        # Many voters agree, or hardly anything would be certain.
        usual = torch.randint(0, 3, (1, 1, label_count), generator=stream)
        odd = torch.randint(0, 3, (voters, 1, label_count), generator=stream)
        agrees = torch.rand(voters, 1, 1, generator=stream) < 0.6
        opinions = torch.where(agrees, usual, odd).float()
        if label_count != 3:
            opinions = opinions[..., :label_count]
        radius, decided = certified_radius(opinions), run_off(opinions)[0]
        radii.append(radius)
        for changed in (1, 2):
            moved = run_off(all_changes(opinions, changed))[0]
            if changed <= radius:
                assert (moved == decided).all()
            elif changed == radius + 1:
                exact += int((moved != decided).any())
    assert max(radii) >= 2 and min(radii) == 0
    assert exact > 0.8 * sum(r < 2 for r in radii)  # and hardly any could be larger


def test_a_run_off_is_certain_of_more_than_a_plurality() -> None:
    """Of ten, five name 0, three 1 and two 2, but all set 0 above what others named."""
    opinions = ballots(*["012"] * 5, *["102"] * 3, *["201"] * 2)
    votes = polyphase_vote.count(opinions)
    assert int(polyphase_vote.certified_radius(votes)) == 1
    assert certified_radius(opinions) == 2


def test_votes_that_agree_withstand_half_of_them() -> None:
    assert certified_radius(ballots(*["012"] * 9)) == 4
    assert certified_radius(torch.zeros(9, 1, 1)) == 9  # one class: nothing else to decide


@pytest.fixture(scope="module")
def classifier():
    voter = build_voter("small-cnn", 2, INFO, seed=3)
    voter.network.head.weight.data *= 100  # type: ignore[union-attr, operator]
    return as_classifier(voter, 2, RunOffVote)


def test_every_colour_of_every_pixel_leaves_what_is_certain(classifier) -> None:
    images = torch.randint(0, 256, (5, 1, 8, 8), generator=torch.Generator().manual_seed(1)) / 255
    certain = 0
    for image in images:
        (decided,), _, radius = certify(classifier, image[None])
        assert int(canonical_logits(classifier, image[None]).argmax()) == decided
        certain += radius > 0
        result = Exhaustive(classifier, space="corners", evaluator="dense")(
            image[None], torch.tensor([decided])
        )
        assert not (radius and result.success.any())
    assert certain
