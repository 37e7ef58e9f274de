"""phi3train: from prepared data to a trained and exported Phi model."""

from __future__ import annotations

from phi3data.version import VERSION

__version__ = VERSION

__all__ = ["__version__"]
