"""What an attempt remembers of its candidates."""

import torch

from pixguard.attacks.engine.memory import Memory, candidate_keys
from pixguard.attacks.engine.search import Candidates
from pixguard.inference.images import with_pixels

WIDTH = 3


def draw(count: int, pixels: int, channels: int) -> Candidates:
    """Few places and colours, so that many candidates repeat, some with their pixels swapped."""
    stream = torch.Generator().manual_seed(pixels)
    positions = torch.randint(0, WIDTH, (1, count, pixels, 2), generator=stream)
    colours = 120 * torch.randint(0, 3, (1, count, pixels, channels), generator=stream)
    return Candidates(positions, colours.byte())


def test_keys_are_equal_exactly_where_the_images_are():
    for pixels, channels in ((1, 1), (1, 3), (2, 1), (3, 1)):
        candidates = draw(300, pixels, channels)
        image = torch.full((1, channels, WIDTH, WIDTH), 7 / 255)
        owners = torch.zeros(300, dtype=torch.int64)
        images = with_pixels(image, owners, candidates.positions[0], candidates.colours[0])
        keys = candidate_keys(candidates, WIDTH)[0]
        same_image = (images[:, None] == images[None]).flatten(2).all(2)
        same_key = keys[:, None] == keys[None]
        assert not (same_key & ~same_image).any(), "different images share a key"
        # Pixels that coincide may hide each other: such candidates can differ and give one image.
        places = candidates.positions[0, ..., 0] * WIDTH + candidates.positions[0, ..., 1]
        apart = (places.sort(dim=1).values.diff(dim=1) != 0).all(1)
        assert (same_key == same_image)[apart][:, apart].all()
        assert same_key.sum() > 300


def test_the_order_of_pixels_is_forgotten_but_not_which_of_two_at_one_place_is_later():
    def key(*pixels):
        places = torch.tensor([[[(row, col) for row, col, _ in pixels]]])
        colours = torch.tensor([[[[colour] for _, _, colour in pixels]]], dtype=torch.uint8)
        return candidate_keys(Candidates(places, colours), WIDTH).item()

    assert key((0, 1, 5), (2, 2, 9)) == key((2, 2, 9), (0, 1, 5))
    assert key((1, 1, 5), (1, 1, 9)) != key((1, 1, 9), (1, 1, 5))
    assert key((0, 1, 5), (2, 2, 9)) != key((0, 1, 9), (2, 2, 5))


def test_a_memory_answers_what_it_was_taught_slot_by_slot():
    stream = torch.Generator().manual_seed(0)
    memory, known = Memory(2, torch.device("cpu")), [dict(), dict()]
    for step in range(6):
        keys = torch.randint(0, 40, (2, 25), generator=stream)
        fitness = keys.double() + 100 * torch.arange(2)[:, None]
        new = memory.new(keys)
        for slot in range(2):
            seen = set(known[slot])
            for place, key in enumerate(keys[slot].tolist()):
                assert bool(new[slot, place]) == (key not in seen)
                seen.add(key)
                known[slot][key] = 100 * slot + key
        memory.learn(keys, new, fitness, keys % 3 == 0)
        answers, success = memory.recall(keys)
        assert torch.equal(answers, fitness) and torch.equal(success, keys % 3 == 0)
        if step == 3:
            memory.forget(1)
            known[1].clear()
