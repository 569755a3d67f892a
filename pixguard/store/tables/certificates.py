"""What certified classifiers promise about images."""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Certificate(Base):
    """A decision on a clean image, and the number of changed pixels up to which it is certain.

    ``predicted`` is a label set's code, ``votes`` a JSON list by class ordinal; of a survey
    (``method`` pixel-survey and its budget) how many pixels are proven, fooled at an extreme,
    fooled only between extremes, and open.
    """

    __tablename__ = "certificate"
    __table_args__ = strict(
        UniqueConstraint("model_id", "image_id", "method"),
        CheckConstraint("radius >= 0", name="radius"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = reference("model", index=False)
    image_id: Mapped[int] = reference("image")
    run_id: Mapped[int] = reference("run")
    method: Mapped[str]
    predicted: Mapped[str]
    votes: Mapped[str]
    radius: Mapped[int]
