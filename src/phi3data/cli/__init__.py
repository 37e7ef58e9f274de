"""The command `phi3data`: parse, one call, exit code. A command's module is loaded when the command is called.

Exit codes: 0 done or clean, 1 findings, 2 bad usage or input that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from contextlib import suppress

import click

from phi3data.cli.group import INTERRUPTED, Commands
from phi3data.errors import Phi3kitError
from phi3data.version import VERSION

COMMANDS = {
    "prepare": "Turn raw data into training data: the main job.",
    "check": "Lint chat data; exit 1 if something is found.",
    "fix": "Mend what check finds, in place.",
    "baseline": "Keep old findings in a file, and hear of new ones only.",
    "convert": "Turn rows of any format into chat rows.",
    "clean": "Repair characters, line ends and HTML residue.",
    "missing": "Drop, remove or fill messages without text.",
    "dedup": "Remove rows that say what another row says.",
    "decontaminate": "Drop rows that give away what a benchmark asks.",
    "balance": "Choose how many rows each group has.",
    "split": "Divide rows into train, validation and test.",
    "tokens": "Count tokens; show what a context limit costs.",
    "inspect": "Show one row as the model will see it.",
    "recipe": "Write, show or describe a recipe.",
    "rule": "Explain a rule: what it finds and why that is bad.",
    "rules": "List the rules.",
}
_MODULES = dict.fromkeys(("convert", "clean", "missing", "dedup", "decontaminate", "balance", "split"), "steps") | {
    "rules": "rule"
}


@click.group(
    cls=Commands,
    table=COMMANDS,
    modules=_MODULES,
    package=__name__,
    resuming={"prepare", "split"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="phi3data")
def group() -> None:
    """Turn messy text into fine-tuning data for Phi models, and prove it."""


def main(args: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    gc.set_threshold(100_000)  # modules are many objects and no garbage, and are looked through again and again
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads that nothing here has work for
    code = run(group, args)
    if threading.active_count() == 1:
        # A process that ends need not take itself apart: a twentieth of a short run, a third of a second of a long one.
        atexit._run_exitfuncs()  # what libraries have to do at the end
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed, or nobody reads
                stream.flush()
        os._exit(code)
    sys.exit(code)  # an interrupted run: worker processes are waited for


def run(commands: click.Group, args: list[str] | None = None) -> int:
    """Run a command and return its exit code. What is wrong goes to stderr in one sentence, never as a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed (>&-): nobody reads, and the exit code counts all the same
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    try:
        code = commands.main(args, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return 2
    except Phi3kitError as error:
        click.echo(f"{click.style('error', fg='red', bold=True)}: {error}", err=True)
        return 2
    except BrokenPipeError:  # the reader of a pipe, head for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"{click.style('error', fg='red', bold=True)}: {where}{error.strerror or error}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else 0
