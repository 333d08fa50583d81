"""What has a shell complete a line of cnetsh, where typer's own falls short.

Bash takes what follows = or : for a word of its own, and both shells put a space behind what is to
be typed on: a parameter, a kind of target, a folder.
"""

from typer import _completion_classes as classes
from typer import _completion_shared as shared

BASH = r"""
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} one kept=
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    # What stands before what bash completes stays, and so is no part of what it is offered.
    [[ ${words[-1]} == *"$2" ]] && kept=${words[-1]%%"$2"}
    [[ $kept == -*=* ]] && kept=${kept#*=}
    COMPREPLY=()
    while read -r one; do
        [[ ${one#"$kept"} ]] && printf -v one %%q "${one#"$kept"}" && COMPREPLY+=("$one")
    done < <(COMP_WORDS=$line COMP_CWORD=$((${#words[@]} - 1)) \
             %(autocomplete_var)s=complete_bash "$1" 2> /dev/null)
    [[ ${COMPREPLY-} == *[=:/] ]] && compopt -o nospace
}

complete -o default -F %(complete_func)s %(prog_name)s
"""

ZSH = r"""
#compdef %(prog_name)s

%(complete_func)s() {
    local one line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    local -a whole begun
    for one in "${(@f)$(_TYPER_COMPLETE_ARGS=$line _TYPER_COMPLETE_FISH_ACTION=get-args \
                        %(autocomplete_var)s=complete_fish ${~words[1]} 2> /dev/null)}"; do
        [[ $one == *$'\t'* ]] && one="${${one%%%%$'\t'*}//:/\\:}:${one#*$'\t'}" || one=${one//:/\\:}
        case $one in
            "") ;;
            *[=/:]) begun+=($one) ;;
            *) whole+=($one) ;;
        esac
    done
    [[ $PREFIX == -*=* ]] && compset -P '*='
    (( $#whole + $#begun )) || { _files; return }
    _describe %(prog_name)s whole -- begun -S ''
}

# Loaded as a file that is named for the program, it is to complete at once.
if [[ $funcstack[1] == _%(prog_name)s ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


def use_ours() -> None:
    """Have typer print and install these."""
    shared._completion_scripts |= {"bash": BASH, "zsh": ZSH}
    classes.BashComplete.source_template = BASH
    classes.ZshComplete.source_template = ZSH
