"""What a shell reads to complete our programs' words: it asks `answer`, with the Python that made the script.

Rules kept here:

- What is answered is never part of a command: it is read line by line, and goes to the shell as a word.
- Once reclog is gone, nothing is offered, and nothing is said.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

_CODE = """import sys
sys.path.insert(0, sys.argv[1])
from reclog.completion.answer import main
main(sys.argv[2:])"""
_BASH = r"""
_reclog() {
    local one
    COMPREPLY=()
    while IFS= read -r one; do
        case $one in
            :files) compopt -o default 2>/dev/null ;;
            :invoke) _reclog_invoke "$@" ;;
            *) COMPREPLY+=("$one") ;;
        esac
    done < <(ASK bash "$1" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}
_reclog_invoke() {
    local one
    while IFS= read -r one; do
        [[ $one == "$2"* ]] && COMPREPLY+=("$one")
    done < <("$1" --complete -- "${COMP_WORDS[*]}" 2>/dev/null)
    compopt -o default 2>/dev/null
}
complete -F _reclog PROGRAMS
"""
_ZSH = r"""#compdef PROGRAMS
_reclog() {
    local -a found
    found=("${(@f)$(ASK zsh "${words[1]}" "${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    case ${found[1]} in
        :files) _files ;;
        :invoke)
            found=("${(@f)$("${words[1]}" --complete -- "${words[*]}" 2>/dev/null)}")
            compadd -- "${found[@]}" || _files ;;
        ?*) compadd -- "${found[@]}" ;;
    esac
}
if [[ ${funcstack[1]} == _reclog ]]; then
    _reclog "$@"
else
    (( ${+functions[compdef]} )) || { autoload -Uz compinit && compinit -i -D; }
    compdef _reclog PROGRAMS
fi
"""
_FISH = r"""
function __reclog
    set -l words (commandline -opc)
    set -l found (ASK fish $words (commandline -ct) 2>/dev/null)
    switch "$found[1]"
        case ':files'
            __fish_complete_path (commandline -ct)
        case ':invoke'
            command $words[1] --complete -- "$words" 2>/dev/null
            __fish_complete_path (commandline -ct)
        case '*'
            printf '%s\n' $found
    end
end
for program in PROGRAMS
    complete -c $program -f -a '(__reclog)'
end
"""
#: By the shell's name; SHELL has the path of the user's.
SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
ASK = (sys.executable, "-I", "-S", "-c", _CODE, str(Path(__file__).resolve().parents[2]))
PROGRAMS = ("reclog", "inv", "invoke", "fab")


def script(shell: str, ask: Sequence[str] = ASK) -> str:
    """Return what `shell` reads; `ask` is the command that answers it."""
    text = SHELLS[shell].lstrip("\n").replace("PROGRAMS", " ".join(PROGRAMS))
    return text.replace("ASK", shlex.join(ask))
