"""The version of the distribution, in one place that needs no lookup of installed packages."""

VERSION = "0.1.0"
