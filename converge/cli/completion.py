"""`converge completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script with which a shell completes commands and options.

    \b
    Install it once, then open a new terminal:
      converge completion bash > ~/.local/share/bash-completion/completions/converge
      converge completion zsh > ~/.zfunc/_converge
      converge completion fish > ~/.config/fish/completions/converge.fish
    The folder has to be there: mkdir -p makes it. For zsh, ~/.zshrc needs these lines:
      fpath+=~/.zfunc; autoload -Uz compinit; compinit

    \b
    Examples:
      converge completion bash
      source <(converge completion bash)
    """
    completion = get_completion_class(shell)
    assert completion is not None
    root = context.find_root()
    click.echo(completion(root.command, {}, "converge", "_CONVERGE_COMPLETE").source())
    return 0
