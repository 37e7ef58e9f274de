"""Settings: what a project asks of the linter (`phi3data.toml`, or `[tool.phi3data]` in `pyproject.toml`).

`find` or `load` reads them, `Settings` says what they want for a path, `Allowances` remembers in one run which of the
`[[allow]]` entries were of use, `Baseline` holds the old findings.
"""

from __future__ import annotations

from phi3data.settings.allow import Allowances
from phi3data.settings.baseline import Baseline
from phi3data.settings.configured import Settings
from phi3data.settings.keys import Allow, Keys, Splits
from phi3data.settings.reading import find, load

__all__ = ["Allow", "Allowances", "Baseline", "Keys", "Settings", "Splits", "find", "load"]
