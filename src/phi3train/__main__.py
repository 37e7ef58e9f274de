"""``python -m phi3train``: the command."""

from phi3train.cli import main

if __name__ == "__main__":
    main()
