"""The command line: click commands, and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from initlint.printing import (
    complain,
    deliver,
    deliver_report,
    show_progress,
    stand_in_for_closed_streams,
    terminal,
)
from initlint.report.formats import MACHINE
from initlint.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["main"]

FINDINGS, FAILURE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

LIVE_OPTIONS = (
    "meta", "batch", "arguments", "loss", "dtype", "device", "seed", "seeds", "widths", "python", "timeout",
    "memory_limit",
)  # fmt: skip
OWN = ("quiet", "color", "format_", "output", "statistics", "exit_zero", "no_cache")
"""Options of the command line alone; all others are keywords of the functions behind the commands."""


def main() -> NoReturn:
    """Run the command line; an error of usage is one line on stderr and exit 2, Ctrl-C is exit 130."""
    stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a character gets its escape, not a traceback
            stream.reconfigure(errors="backslashreplace")
    code: Any = 0
    try:
        code = commands.main(prog_name="initlint", standalone_mode=False)
    except click.ClickException as error:
        complain(error.format_message())
        code = FAILURE
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="initlint", message="%(prog)s %(version)s")
def commands() -> None:
    """Tell whether a PyTorch model's parameters start out right."""
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":  # torchrun
        if os.environ.get("RANK", "0") != "0":
            raise click.exceptions.Exit(0)
        note = "rank 0 does this alone; for a model in pieces call initlint.audit(module, batch) on every rank"
        complain(note, kind="note")
    try:
        os.getcwd()
    except OSError as error:
        raise click.ClickException(f"the working directory cannot be had ({error.strerror})") from None


def codes(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """Comma-separated codes of an option that may be repeated; None where it was not given."""
    if not values:
        return None
    return tuple(part.strip().upper() for value in values for part in value.split(",") if part.strip())


def seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """A number of seconds above 0; UsageError for anything else."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise click.UsageError(f"--timeout {text}: write a number of seconds above 0, such as 60 or 0.5")
    return value


def complete_code(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
    """The codes that begin with what was typed, for the shell; of several with commas between them, the last."""
    from initlint.engine import registry

    before, comma, last = typed.rpartition(",")
    return [before + comma + code for code in registry() if code.startswith(last.upper())]


def complete_path(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows its files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


of_codes = partial(click.option, metavar="CODES", multiple=True, callback=codes, shell_complete=complete_code)
"""An option that takes codes of rules."""


def for_building(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how a model is built and run."""
    options = (
        click.option(
            "--batch", metavar="SPEC", multiple=True, help='Sample input: 8x3x32x32, "int64[2,128]<50257", x=8x16.'
        ),
        click.option(
            "--arg", "arguments", metavar="NAME=VALUE", multiple=True, help="An argument for building the model."
        ),
        click.option(
            "--loss", metavar="L", help="cross-entropy, mse, module:function, or a function of the model's file."
        ),
        click.option("--device", metavar="D", help="auto (the default), cpu, cuda, cuda:1 or mps."),
        click.option("--seed", metavar="N", type=int, help="Seed for building and probing; by default 0."),
        click.option(
            "--python", metavar="PATH", shell_complete=complete_path, help="The interpreter that has your torch."
        ),
        click.option("--timeout", metavar="S", callback=seconds, help="Seconds a model may take."),
        click.option("--memory-limit", metavar="SIZE", help="Memory a model may take: 4G, 500M."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@commands.command(short_help="Check files, and build and probe models.")
@click.argument("targets", metavar="[TARGET]...", nargs=-1, shell_complete=complete_path)
@click.option("--static", is_flag=True, help="Read only; build and run nothing.")
@click.option("--meta", is_flag=True, help="Build without weights and run nothing: predict what a pass would measure.")
@for_building
@click.option("--dtype", metavar="D", help="Judge the range of signal and gradient in fp16, bf16, fp8 or fp32.")
@click.option("--seeds", metavar="K", type=int, help="Build and probe with K seeds, to tell luck from design.")
@click.option("--widths", metavar="A,B,..", help="Build at these widths too, and see what grows: 64,128,256.")
@click.option("--stdin-filename", metavar="PATH", shell_complete=complete_path, help="The name of what is read from -.")
@of_codes("--select", help="Codes, prefixes or ALL, and no others.")
@of_codes("--extend-select", help="Codes to add to the default.")
@of_codes("--ignore", help="Codes to leave out.")
@click.option("--advice", is_flag=True, help="Advice too.")
@click.option("--fail-on", type=click.Choice(["error", "warning", "advice"]), help="By default warning.")
@click.option(
    "--config",
    metavar="FILE",
    multiple=True,
    shell_complete=complete_path,
    help="A configuration file, or a line of one: 'advice = true'.",
)
@click.option("--jobs", metavar="N", type=click.IntRange(1), help="Processes that read files; by default what pays.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep what is known of files from earlier runs.")
@click.option("--force-exclude", is_flag=True, help="Exclude also what is named here.")
@click.option("--baseline", metavar="FILE", shell_complete=complete_path, help="Known findings, which are passed over.")
@click.option("--update-baseline", is_flag=True, help="Make the findings of this run the known ones.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 although there are findings.")
@click.option("--format", "format_", type=click.Choice(["text", *MACHINE]), default="text", show_default=True)
@click.option(
    "--output",
    metavar="FILE",
    shell_complete=complete_path,
    help="Write the report there; of a format for machines, show the text too.",
)
@click.option("--statistics", is_flag=True, help="Count the findings of each code.")
@click.option("--fix", is_flag=True, help="Apply the safe fixes, then report what remains.")
@click.option(
    "--unsafe-fixes", is_flag=True, help="Tell of fixes that may change what is right; with --fix apply them."
)
@click.option("--diff", is_flag=True, help="Write nothing, and print what --fix would change.")
@click.option("-q", "--quiet", is_flag=True, help="Findings only.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.pass_context
def check(context: click.Context, /, targets: tuple[str, ...], **options: Any) -> None:
    """Read files, build and probe the models they define, and report what is wrong.

    A TARGET is a file, a directory, - (standard input), path.py::Name or pkg.module:attr; without one, the configured
    models and the current directory. Directories are read and never run. A file that is named is read, then the models
    in it are built and probed: this runs your code, in a child process with your rights. With --static nothing is run.

    Exit code: 0 nothing found, 1 findings, 2 something could not be done.
    """
    from initlint.api import check as run

    refuse_contradictions(context, targets, options)
    progress = None if options["quiet"] or not sys.stderr.isatty() else show_progress
    exit_on_termination()
    stdin = None
    if "-" in targets:
        if sys.stdin is None:
            raise click.UsageError("-: standard input is closed")
        stdin = sys.stdin.buffer.read
    try:
        report = run(targets, stdin=stdin, cache=not options["no_cache"], progress=progress, **_asked(options))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    finally:
        if progress is not None:
            progress("")
    for note in () if options["quiet"] else report.notes:
        complain(note, kind="note")
    for failure in report.failures:
        complain(failure)
    found = bool(report.mended.diff) if report.mended and options["diff"] else not report.ok
    code = FAILURE if report.failures else FINDINGS if found and not options["exit_zero"] else 0
    deliver_report(report, options)
    context.exit(code)


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """What is asked of the function behind a command, by its keywords."""
    return {name: value for name, value in options.items() if name not in OWN}


def refuse_contradictions(context: click.Context, targets: tuple[str, ...], options: dict[str, Any]) -> None:
    """Raise UsageError for options that cannot both be meant, or that would do nothing."""
    from click.core import ParameterSource

    def given(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    if options["static"]:
        for option in context.command.params:
            if option.name in LIVE_OPTIONS and given(option.name):
                raise click.UsageError(f"{option.opts[0]} is for building models, and --static builds none")
    if options["quiet"] and options["statistics"]:
        raise click.UsageError("--quiet and --statistics exclude each other")
    if options["statistics"] and options["format_"] != "text" and not options["output"]:
        raise click.UsageError(f"--statistics goes with --format text, or with --output, not with {options['format_']}")
    refuse_format(options["format_"])
    if options["update_baseline"] and (options["fix"] or options["diff"]):
        raise click.UsageError("--update-baseline goes without --fix and --diff: fix first, then update")
    if given("stdin_filename") and "-" not in targets:
        raise click.UsageError("--stdin-filename names what is read from -, which is not among the targets")
    refuse_output(options["output"])


def refuse_format(name: str) -> None:
    """Raise UsageError for a format that takes what is not installed."""
    if name == "html":
        from initlint.report.page import require

        try:
            require()
        except ModuleNotFoundError as error:
            raise click.UsageError(str(error)) from None


def refuse_output(output: str | None) -> None:
    """Raise UsageError for a file that could not be written."""
    if output:
        folder = os.path.dirname(os.path.abspath(output))
        if not os.path.isdir(folder):
            raise click.UsageError(f"--output {output}: there is no directory {folder}")
        if os.path.isdir(output):
            raise click.UsageError(f"--output {output}: is a directory")


@commands.command(short_help="Print an init function that mends a model.")
@click.argument("target", shell_complete=complete_path)
@for_building
@click.option(
    "--config",
    metavar="FILE",
    multiple=True,
    shell_complete=complete_path,
    help="A configuration file, or a line of one: 'device = \"cpu\"'.",
)
@click.option("--format", "format_", type=click.Choice(["text", "json", "html"]), default="text", show_default=True)
@click.option(
    "--output",
    metavar="FILE",
    shell_complete=complete_path,
    help="Write the function (or the JSON, or the page) there.",
)
@click.pass_context
def suggest(context: click.Context, /, target: str, **options: Any) -> None:
    """Print an init function for the model that TARGET names, proven on that model.

    TARGET is path.py::Name, pkg.module:attr, or a file in which one model can be built. The model is built and probed,
    then built again, given the function, and probed again. The function alone goes to standard output, both profiles
    and notes to standard error.

    Exit code: 0 the model is fine, or mended by the function; 1 no function mends it; 2 that could not be told.
    """
    from initlint.suggesting import suggest_for_target as run

    refuse_output(options["output"])
    refuse_format(options["format_"])
    progress = show_progress if sys.stderr.isatty() else None
    exit_on_termination()
    try:
        suggestion = run(target, progress=progress, **_asked(options))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    finally:
        if progress is not None:
            progress("")
    for note in suggestion.notes:
        complain(note, kind="note")
    for failure in suggestion.failures:
        complain(failure)
    if options["format_"] == "json":
        import json

        deliver(json.dumps(suggestion.to_dict(), indent=2) + "\n", options["output"])
    elif options["format_"] == "html" and not options["output"]:
        deliver(suggestion.to_html(), None)
    else:
        from initlint.report.suggestion import told

        sys.stderr.write(told(suggestion, terminal(sys.stderr)[0]))
        if options["format_"] == "html":
            deliver(suggestion.to_html(), options["output"])
        if suggestion.source is not None:
            deliver(suggestion.source, None if options["format_"] == "html" else options["output"])
    context.exit(FAILURE if suggestion.failures else 0 if suggestion.ok else FINDINGS)


@commands.command(short_help="Print the documentation of a rule.")
@click.argument("code", shell_complete=complete_code)
def explain(code: str) -> None:
    """Print the documentation of the rule called CODE (or by its name): Markdown, rendered on a terminal."""
    from initlint.rulebook import explanation

    try:
        text = explanation(code)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    width, color = terminal()
    if width is not None:
        from initlint.report.catalogue import documentation

        text = documentation(text, width=width, color=color)
    deliver(text, None)


@commands.command(short_help="List the rules.")
@click.argument("codes", metavar="[CODE]...", nargs=-1, shell_complete=complete_code)
@click.option("--severity", type=click.Choice(["error", "warning", "advice"]), help="Those that may say so.")
@click.option("--needs", type=click.Choice(["source", "parameters", "graph", "probe"]), help="Those that look at it.")
@click.option("--fixable", is_flag=True, help="Those that propose a fix.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def rules(codes: tuple[str, ...], severity: str | None, needs: str | None, fixable: bool, format_: str) -> None:
    """List the rules: code, name, severity, what each looks at, and whether it has a fix.

    CODE is a code, a prefix (INI5) or a family (scale); without one, all are listed. "warning (error)" is a
    rule that warns, and says error where what it measured is bad enough.
    """
    from initlint.rulebook import catalogue

    try:
        entries = catalogue(codes, severity=severity, needs=needs, fixable=fixable)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if format_ == "json":
        import json

        deliver(json.dumps(entries, indent=2) + "\n", None)
        return
    from initlint.report.catalogue import table

    width, color = terminal()
    deliver(table(entries, width=width, color=color) if entries else "", None)
    if not entries:
        complain("no rule is all of that", kind="note")


@commands.command(short_help="Talk to an editor.")
@click.option("--stdio", is_flag=True, hidden=True, help="The only way there is; some editors say so.")
def server(stdio: bool) -> None:
    """Talk to an editor on standard input and output (language server protocol).

    Texts are read as they are typed, and nothing in them is run. The page "In an editor" of the
    documentation has settings for Neovim, Helix and VS Code.
    """
    from initlint.server.starting import require, serve

    try:
        require()
    except ModuleNotFoundError as error:
        raise click.UsageError(str(error)) from None
    if sys.stdin is None:
        raise click.UsageError("standard input is closed, and no editor can be heard")
    if sys.stdin.isatty():
        complain("this is for an editor to start, which it talks to on standard input", kind="note")
    serve()


def exit_on_termination() -> None:
    """Let SIGTERM and SIGHUP unwind the stack, so that no child process is left behind."""
    import signal

    def leave(*_: object) -> NoReturn:
        raise SystemExit(TERMINATED)

    names: tuple[str, ...] = ("SIGTERM", "SIGHUP")
    handler: Callable[..., NoReturn] = leave
    for name in names:
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:
            signal.signal(getattr(signal, name), handler)
