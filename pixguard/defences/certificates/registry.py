"""Which certificates there are; light to import."""

from dataclasses import dataclass

from pixguard.records import POLYPHASE_VOTE
from pixguard.registry import Entry, Registry


@dataclass(frozen=True, slots=True)
class CertificateEntry(Entry):
    """A method by name, which is also the architecture of its classifier.

    Its target opens a stored classifier, with the arguments of
    :func:`pixguard.classifiers.opening.open_classifier`.

    Attributes:
        certifier: ``"module:function"`` that certifies an image: ``(classifier, image float32
            (1, C, H, W) in [0, 1]) -> (label set, votes of each class, radius in pixels)``.
    """

    certifier: str = ""


CERTIFICATES = Registry(
    "certificate",
    [
        CertificateEntry(
            POLYPHASE_VOTE,
            "pixguard.defences.certificates.polyphase_vote:open_vote",
            certifier="pixguard.defences.certificates.polyphase_vote:certify",
            summary="A plurality of interleaved sub-images (feature-partition aggregation, "
            "Hammoudeh & Lowd).",
        )
    ],
)
