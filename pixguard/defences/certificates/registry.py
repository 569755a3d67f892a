"""Which certificates there are, and their options; light to import."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pixguard.config.settings import Settings, setting
from pixguard.records import MASKED_CONSENSUS, POLYPHASE_VOTE, RANDOMISED_ABLATION, RUN_OFF
from pixguard.registry import Entry, Registry


@dataclass(frozen=True, slots=True)
class CertificateEntry(Entry):
    """A method by name, which is also the architecture of its classifier.

    Its target opens a stored classifier, with the arguments of
    :func:`pixguard.classifiers.opening.open_classifier`.

    Attributes:
        certifier: ``"module:function"`` that certifies an image: ``(classifier, image float32
            (1, C, H, W) in [0, 1]) -> (label set, votes of each class, radius in pixels)``.
        made_by: the command that makes such a classifier.
        is_statistical: whether a radius holds with a confidence, and not for certain.
    """

    certifier: str = ""
    made_by: str = "pixguard certify train"
    is_statistical: bool = False


CERTIFICATES = Registry(
    "certificate",
    [
        CertificateEntry(
            POLYPHASE_VOTE,
            "pixguard.defences.certificates.polyphase_vote:open_vote",
            certifier="pixguard.defences.certificates.polyphase_vote:certify",
            summary="A plurality of interleaved sub-images (feature-partition aggregation, "
            "Hammoudeh & Lowd).",
        ),
        CertificateEntry(
            RUN_OFF,
            "pixguard.defences.certificates.run_off:open_run_off",
            certifier="pixguard.defences.certificates.run_off:certify",
            made_by="pixguard certify run-off",
            summary="The same voters, decided in two rounds (run-off election, Rezaei et al.).",
        ),
        CertificateEntry(
            RANDOMISED_ABLATION,
            "pixguard.defences.certificates.randomised_ablation:open_ablation",
            certifier="pixguard.defences.certificates.randomised_ablation:certify",
            made_by="pixguard certify train --certificate randomised-ablation",
            is_statistical=True,
            summary="A plurality over random pixels, the rest hidden (Levine & Feizi).",
        ),
    ],
)


@CERTIFICATES.with_options(
    CertificateEntry(
        MASKED_CONSENSUS,
        "pixguard.defences.certificates.masked_consensus:open_masked",
        certifier="pixguard.defences.certificates.masked_consensus:certify",
        made_by="pixguard certify mask",
        summary="Agreement under masks that hide every s-th pixel (double masking, Xiang et al.).",
    )
)
@dataclass(frozen=True, slots=True)
class MaskOptions(Settings):
    """Which masks."""

    panel: ClassVar[str] = "Masks"

    stride: int = setting(
        3, "A mask hides every n-th pixel: n squared masks.", low=2, high=8, unit="pixels"
    )
    radius: int = setting(
        1, "How many changed pixels decisions are to withstand.", low=1, high=2, unit="pixels"
    )
    fill: Literal["neighbours", "mean"] = setting(
        "neighbours",
        "What a hidden pixel takes: the mean of its neighbours that are seen, or the mean that the "
        "classifier's images are normalised with.",
    )
