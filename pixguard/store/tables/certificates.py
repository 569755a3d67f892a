"""What certified classifiers promise about images."""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixguard.store.tables.base import Base, reference, strict


class Certificate(Base):
    """A decision on a clean image, and the number of changed pixels up to which it is certain.

    ``predicted`` is a label set's code, ``votes`` a JSON list by class ordinal; of a survey
    (``method`` pixel-survey and its budget) how many pixels are proven, fooled at an extreme,
    fooled only between extremes, and open. What a survey found of each pixel is a JSON object
    (``method`` pixel-map and the budget): ``fooled`` has lists of row, col, colour, change in
    levels, the label set that it gives, confidence, whether an extreme colour flips too, and in
    grayscale the ranges of values that flip; ``open`` rows and columns; ``front`` the flips that no
    other beats in change and confidence; ``harmless`` the change up to which nothing flips.
    Where pixels were drawn (``method`` pixel-sample, the budget, and how many) it has
    ``extremes``, rows and columns of all pixels that an extreme fools, and how many of those drawn
    among the others are ``proven``, fooled (``between``) and ``open``.
    Pixels that were chosen to fool many images (``method`` pixel-universal, their number, and that
    of the images) are one, too: ``pixels``, and ``fooled``, with the first, with the first two.
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
