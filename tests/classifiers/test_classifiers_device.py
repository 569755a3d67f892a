import pytest
import torch

from pixguard.errors import UsageError
from pixguard.models.device import describe, pick_device, pick_devices


@pytest.mark.parametrize("name", [None, "auto"])
def test_gpu_is_picked_when_there_is_one(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    for available, kind in [(True, "cuda"), (False, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=available: answer)
        assert pick_device(name) == torch.device(kind)


def test_named_devices_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="finds 2 CUDA devices"):
        pick_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="there is no 'cuda'") as error:
        pick_device("cuda")
    assert error.value.hint == "`device=cpu`"


@pytest.mark.parametrize(
    ("name", "message"), [("gpu", "not a device"), ("", "not a device"), ("mps", "does not run on")]
)
def test_other_devices_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pick_device(name)


def test_several_gpus_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    both = (torch.device("cuda:0"), torch.device("cuda:2"))
    assert pick_devices("cuda:0,2") == pick_devices("cuda:0,cuda:2") == both
    assert pick_devices("cuda:2") == (both[1],)
    for name in ("cuda:1,1", "cuda,1", "cpu,1"):
        with pytest.raises(UsageError, match="does not name several GPUs"):
            pick_devices(name)
    with pytest.raises(UsageError, match="finds 3 CUDA devices"):
        pick_devices("cuda:0,3")


def test_cpu_in_words() -> None:
    assert describe(torch.device("cpu")) == f"CPU, {torch.get_num_threads()} threads"
