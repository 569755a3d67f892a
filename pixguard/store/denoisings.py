"""Reads back which noisy images a denoiser has restored."""

from collections.abc import Sequence

from sqlalchemy import Engine, func, select

from pixguard.store.tables import Denoising, DenoisingScore


def scored_images(
    engine: Engine,
    denoiser_id: int,
    metric_ids: Sequence[int],
    *,
    noise: str,
    level: float,
    seed: int,
) -> set[int]:
    """Return the ids of the images that a denoiser has restored from a noise.

    Args:
        engine: an open database.
        denoiser_id: the denoiser.
        metric_ids: the metrics wanted, each once; an image that lacks one of them is left out.
        noise: kind of the noise.
        level: its strength.
        seed: of the noise.
    """
    scored = (
        select(func.count())
        .where(
            DenoisingScore.denoising_id == Denoising.id,
            DenoisingScore.metric_id.in_(metric_ids),
        )
        .scalar_subquery()
    )
    query = select(Denoising.image_id).where(
        Denoising.denoiser_id == denoiser_id,
        Denoising.noise == noise,
        Denoising.level == level,
        Denoising.seed == seed,
        scored == len(metric_ids),
    )
    with engine.connect() as connection:
        return set(connection.scalars(query))
