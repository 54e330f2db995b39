"""`completion`: scripts that let bash, zsh and fish complete commands, flags and choices; made from the parser."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .arguments import Commands, command
from .console import OK, Console

__all__ = ["add"]

_EXAMPLES = """
completion bash >> ~/.bashrc
completion zsh > ~/.zfunc/_tinygrad-rnn      with fpath+=~/.zfunc in ~/.zshrc
completion fish > ~/.config/fish/completions/tinygrad-rnn.fish
"""


class Entry(NamedTuple):
    """A command, its summary, its flags with their help, and the words that its arguments may be."""

    name: str
    summary: str
    flags: dict[str, str]
    words: tuple[str, ...]


def add(commands: Commands) -> None:
    """Add the command, last: it reads what the others have added."""
    parser = command(
        commands, "completion", lambda options: _run(options, commands), "complete in your shell", _EXAMPLES
    )
    parser.add_argument("shell", choices=tuple(_SHELLS))


def _run(options: argparse.Namespace, commands: Commands) -> int:
    script = _SHELLS[options.shell](list(_entries(commands)))
    Console(options).result(script, shell=options.shell, script=script)
    return OK


def _entries(commands: Commands) -> Iterator[Entry]:
    summaries = {action.dest: action.help for action in commands._choices_actions}
    for name, parser in commands.choices.items():
        flags, words = {}, []
        for action in parser._actions:
            flags.update({flag: _short(action) for flag in action.option_strings if flag.startswith("--")})
            if not action.option_strings:
                words += action.choices or ()
        yield Entry(name, summaries.get(name) or "", flags, tuple(words))


def _short(action: argparse.Action) -> str:
    return (action.help or "").partition(" (")[0].replace("'", "").replace("[", "(").replace("]", ")").replace(":", ",")


def _bash(entries: list[Entry]) -> str:
    cases = "\n".join(
        f"        {entry.name}) words={shlex.quote(' '.join([*entry.words, *entry.flags]))};;" for entry in entries
    )
    names = shlex.quote(" ".join(entry.name for entry in entries))
    return f"""_tinygrad_rnn() {{
    local words current=${{COMP_WORDS[COMP_CWORD]}}
    if ((COMP_CWORD == 1)); then words={names}; else case ${{COMP_WORDS[1]}} in
{cases}
    esac; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _tinygrad_rnn tinygrad-rnn"""


def _zsh(entries: list[Entry]) -> str:
    names = "\n".join(f"        {shlex.quote(f'{entry.name}:{entry.summary}')}" for entry in entries)
    cases = "\n".join(
        f"        {entry.name}) _arguments "
        + " ".join(shlex.quote(f"{flag}[{text}]") for flag, text in entry.flags.items())
        + (f" {shlex.quote('1::argument:(' + ' '.join(entry.words) + ')')}" if entry.words else "")
        + " '*:file:_files';;"
        for entry in entries
    )
    return f"""#compdef tinygrad-rnn
_tinygrad_rnn() {{
    local -a commands=(
{names}
    )
    if ((CURRENT == 2)); then _describe command commands; return; fi
    local name=$words[2]
    shift words; ((CURRENT--))
    case $name in
{cases}
    esac
}}
_tinygrad_rnn "$@" """.rstrip()


def _fish(entries: list[Entry]) -> str:
    lines = []
    for entry in entries:
        summary = shlex.quote(entry.summary)
        lines.append(f"complete -c tinygrad-rnn -n __fish_use_subcommand -a {entry.name} -d {summary}")
        seen = f"complete -c tinygrad-rnn -n '__fish_seen_subcommand_from {entry.name}'"
        lines += [f"{seen} -l {flag[2:]} -d {shlex.quote(text)}" for flag, text in entry.flags.items()]
        lines += [f"{seen} -a {word}" for word in entry.words]
    return "\n".join(lines)


_SHELLS: dict[str, Callable[[list[Entry]], Any]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
