"""``python -m phi3data``: the command."""

from phi3data.cli import main

if __name__ == "__main__":
    main()
