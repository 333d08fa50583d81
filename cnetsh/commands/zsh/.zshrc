# What zsh reads in a container in place of the user's own files: these, then a prompt of ours.
ZDOTDIR=${CNETSH_ZDOTDIR:-$HOME}
for _cnetsh in .zshenv .zshrc; do
    [[ -r $ZDOTDIR/$_cnetsh ]] && source $ZDOTDIR/$_cnetsh
done
_cnetsh() { PS1=$CNETSH_PROMPT }
precmd_functions+=(_cnetsh)
