#!/bin/sh
# Prints the path of each Python from 3.11 on that is here: those on the PATH, and those of pyenv. One of each minor version.
for minor in 11 12 13 14 15; do
    for python in "$(command -v python3.$minor)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.$minor.*/bin/python; do
        # pyenv's own commands are on the PATH for every version, and fail for those that are not chosen
        if [ -x "$python" ] && "$python" -c 'import venv, ensurepip' 2>/dev/null; then
            echo "$python"
            break
        fi
    done
done
