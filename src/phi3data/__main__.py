"""The command `phi3data`, also as ``python -m phi3data``."""

import gc


def main() -> None:
    """Run the command."""
    gc.set_threshold(50_000)  # modules that are being loaded are no garbage: before the first is loaded
    from phi3data import cli

    cli.main()


if __name__ == "__main__":
    main()
