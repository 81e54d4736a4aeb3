"""Where the slots' memory lives."""

from __future__ import annotations

from service.runtime.cuda import CudaStorage
from service.runtime.session import Provider
from service.runtime.slots import StorageFactory
from service.runtime.storage import CpuStorage


def create_storage(provider: Provider) -> StorageFactory:
    """Makes storages on the device of a provider."""
    return CudaStorage if provider == "cuda" else CpuStorage
