"""What a run is asked to do, as frozen values; and the file that may hold defaults.

Precedence, lowest first: the defaults declared here, ``pixguard.toml`` in the working folder (or
``PIXGUARD_CONFIG``), environment variables ``PIXGUARD_<COMMAND>_<OPTION>``, flags. The command
line resolves it and hands these objects on; nothing below reads the environment.
"""

from pixguard.config.attack import AttackSettings, EvaluatorName, PrecisionName, WorkerSettings
from pixguard.config.data import (
    AttackAt,
    DatasetRequest,
    DatasetSettings,
    TrainingRequest,
)
from pixguard.config.defaults import load_defaults
from pixguard.config.settings import SettingError, Settings, setting
from pixguard.config.training import (
    BalanceName,
    DenoiserSettings,
    DetectorSettings,
    LossName,
    TrainSettings,
    VoteSettings,
)

__all__ = [
    "AttackAt",
    "AttackSettings",
    "BalanceName",
    "DatasetRequest",
    "DatasetSettings",
    "DenoiserSettings",
    "DetectorSettings",
    "EvaluatorName",
    "LossName",
    "PrecisionName",
    "SettingError",
    "Settings",
    "TrainSettings",
    "TrainingRequest",
    "VoteSettings",
    "WorkerSettings",
    "load_defaults",
    "setting",
]
