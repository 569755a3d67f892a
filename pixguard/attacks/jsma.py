"""JSMA: the most salient pixels, one after the other, each set to an extreme colour (white-box).

Papernot, McDaniel, Jha, Fredrikson, Celik, Swami 2016, "The Limitations of Deep Learning in
Adversarial Settings" (EuroS&P), in the non-targeted form of Wiyatno, Xu 2018, "Maximal
Jacobian-based Saliency Map Attack", and by pixels: a pixel's saliency is how far the margin falls,
to first order, where each of its channels becomes 0 or 255, whichever is better. After every pixel
the gradient is taken anew.

Once k pixels are changed the published attack is at its end. More than one start is an addition:
the next one begins with the pixel that is next in the clean image's order.
"""

import torch
from torch import Tensor

from pixguard.attacks.engine.incumbents import Incumbents
from pixguard.attacks.engine.sampling import check_room, positions_of
from pixguard.attacks.engine.search import Arena, Candidates, Search
from pixguard.attacks.registry import JSMAOptions


class JSMASearch(Search):
    """JSMA of k pixels; a pixel costs one gradient and one query.

    A candidate of fewer pixels repeats its last one: it is asked for and is no success, because a
    success changes k pixels.
    """

    options: JSMAOptions
    candidates_per_step = 1
    most_slots = 32
    """As for sigma-zero: gradients are most of the work, eight at a time."""

    def most_queries(self, height: int, width: int) -> int:
        """Return k for each start; an image has a start for each of its pixels."""
        check_room(self.pixels, height, width)
        return min(self.options.starts, height * width) * self.pixels

    def allocate(self, arena: Arena) -> None:
        """Prepare first pixels, places int64 and colours uint8, and the pixels changed so far."""
        self._arena = arena
        slots, height, self._width, channels = arena.images.shape
        device, starts = arena.images.device, min(self.options.starts, height * self._width)

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(slots, *shape, dtype=dtype, device=device)

        self._first, self._places = zeros(starts), zeros(self.pixels)
        self._first_colours = zeros(starts, channels, dtype=torch.uint8)
        self._colours = zeros(self.pixels, channels, dtype=torch.uint8)
        self._step, self._due = zeros(), zeros(dtype=torch.bool)
        self._incumbents = Incumbents(slots, self.pixels, channels, device)

    def start(self, slots: Tensor, keys: Tensor) -> None:
        """Begin new attempts: rank the pixels of their images; nothing is random."""
        self._step[slots] = 0
        self._due[slots] = True
        self._incumbents.forget(slots)
        gain, colours = self._saliency(slots, self._arena.images[slots])
        first = gain.argsort(dim=1, descending=True, stable=True)[:, : self._first.shape[1]]
        self._first[slots] = first
        index = first[..., None].expand(-1, -1, colours.shape[-1])
        self._first_colours[slots] = colours.gather(1, index)

    def ask(self) -> Candidates:
        """Change the next pixel in the slots that are due, and return those changed so far."""
        slots = self._due.nonzero().flatten()
        if len(slots):
            self._change(slots)
            self._due[slots] = False
        made = (self._step % self.pixels)[:, None]
        index = torch.arange(self.pixels, device=made.device).minimum(made)
        places = self._places.gather(1, index)
        colours = self._colours.gather(1, index[..., None].expand_as(self._colours))
        self._last = Candidates(positions_of(places, self._width)[:, None], colours[:, None])
        return self._last

    def tell(self, fitness: Tensor) -> None:
        """Keep the best of those with k pixels; who gets no finite answer is idle."""
        self._step += 1
        complete = self._step % self.pixels == 0
        self._incumbents.update(self._last, fitness.where(complete[:, None], torch.inf))
        going = self._step < self._first.shape[1] * self.pixels
        self._due = fitness[:, 0].isfinite() & going

    def state(self) -> dict[str, Tensor]:
        """Return the first pixels, those changed so far and the best."""
        return {
            "first": self._first,
            "first_colours": self._first_colours,
            "places": self._places,
            "colours": self._colours,
            "step": self._step,
            "due": self._due,
            **self._incumbents.state(),
        }

    def best(self, slot: int) -> tuple[Tensor, Tensor]:
        """Return the candidate of lowest margin among those with k pixels."""
        return self._incumbents.best(slot)

    def _change(self, slots: Tensor) -> None:
        """Choose each slot's next pixel and its colour."""
        begun, made = self._step[slots] // self.pixels, self._step[slots] % self.pixels
        place, colour = self._first[slots, begun], self._first_colours[slots, begun]
        later = made > 0
        if later.any():
            among, count = slots[later], made[later]
            row = torch.arange(len(among), device=slots.device)
            images = self._arena.images[among].flatten(1, 2)
            # Beyond the pixels changed so far stand those of the last start.
            index = torch.arange(self.pixels, device=slots.device).minimum(count[:, None] - 1)
            taken = self._places[among].gather(1, index)
            images[row[:, None], taken] = self._colours[among][row[:, None], index]
            gain, colours = self._saliency(among, images.view_as(self._arena.images[among]))
            best = gain.scatter(1, taken, -torch.inf).argmax(1)
            place, colour = place.clone(), colour.clone()
            place[later], colour[later] = best, colours[row, best]
        self._places[slots, made], self._colours[slots, made] = place, colour

    def _saliency(self, slots: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each pixel gains at its best extreme colour, and that colour.

        Args:
            slots: int64 (n,), whose images these are.
            images: uint8 (n, H, W, C).

        Returns:
            float32 (n, H W) and uint8 (n, H W, C).
        """
        values = images.permute(0, 3, 1, 2).float() / 255.0
        _, gradient = self._arena.gradient(slots, values)
        rises = (gradient < 0) | ((gradient == 0) & (values < 0.5))
        gain = (gradient * (values - rises.float())).sum(1).flatten(1)
        return gain, (rises.to(torch.uint8) * 255).flatten(2).transpose(1, 2)
