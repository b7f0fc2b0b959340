"""Adapters of the formats that are read, one file each."""

from router_model.training.importing.adapter import NOWHERE, Adapter, Around
from router_model.training.importing.adapters.registry import ADAPTERS, FORMATS, adapter_of, layout_of

__all__ = ["ADAPTERS", "FORMATS", "NOWHERE", "Adapter", "Around", "adapter_of", "layout_of"]
