"""What a newcomer types wrongly, and what he is told: what happened, and what to do now."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = {
    "office.yaml": "name: office\n",
    "net work.yaml": "name: shop\n",
    "notes.txt": "",
    "folder/lab.yaml": "name: x\n",
}
# By the name of its lab, whatever it is called itself.
BY_NAME = """cnetsh: unknown lab: 'shop'
  did you mean net work.yaml?
"""
TOLD = {
    "up no.json": """cnetsh: no.json cannot be read as a saved plan: No such file or directory
  save one: cnetsh plan LAB -o FILE.json
""",
    "up notes.txt": """cnetsh: unknown lab: 'notes.txt'
  the name of a lab file ends in .yaml or .yml, that of a saved plan in .json
""",
    "up .": """cnetsh: .: no up.sh.j2 in this folder
  a folder with templates has one; files: net work.yaml, office.yaml
""",
    "new Über": "cnetsh: '\\xdcber': expected a letter, then letters, digits, _ and -,"
    " at most 40 characters\n",
    "sandbox start a.b": "cnetsh: unknown target 'sandbox:a.b'\n"
    "  known: sandbox[:NAME], vm[:NAME], host, ssh:[USER@]HOST[:PORT];"
    " NAME is a letter, then letters, digits, _ and -, at most 31 in all\n",
    **dict.fromkeys(["plan shop", "up shop", "diff shop", "graph shop", "labs shop"], BY_NAME),
    "up ./nothing": "cnetsh: ./nothing: no such file or directory\n",
    "diff veth bridge --set containers=3": "cnetsh: --set is not known here to which it belongs\n"
    "  save that one first: cnetsh plan LAB --set KEY=VALUE -o FILE.json\n",
    "labs office.yaml": "cnetsh: office.yaml has no parameters, as built-in labs and folders with"
    " templates have\n  cnetsh plan office.yaml\n",
    "--on host status": """Usage: python -m cnetsh [OPTIONS] COMMAND [ARGS]...
Try 'python -m cnetsh -h' for help.

Error: No such option: --on; a command's own stand behind it: cnetsh COMMAND [OPTIONS]
""",
    "new office": """cnetsh: office.yaml is there already
  remove it, or name another file
""",
}


def cnetsh(words: str, folder: Path, *before: str) -> "subprocess.CompletedProcess[str]":
    for name, text in HERE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C.UTF-8"}
    env.pop("CNETSH_ON", None)
    argv = [*before, sys.executable, "-m", "cnetsh", *words.split()]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("words", TOLD)
def test_is_told_with_what_to_do(words: str, tmp_path: Path) -> None:
    done = cnetsh(words, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", TOLD[words])


@pytest.mark.parametrize("words", ["new home", "plan veth -o veth.json", "graph veth -o veth.svg"])
def test_where_there_is_no_room_no_part_of_a_file_stays(words: str, tmp_path: Path) -> None:
    done = cnetsh(words, tmp_path, "prlimit", "--fsize=100")
    assert done.returncode == 2 and "cannot be written: File too large" in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.stem in ("home", "veth")]


def test_a_step_may_be_explained_without_quotes(tmp_path: Path) -> None:
    done = cnetsh("explain ip -n net0 link set lo up", tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("sets link lo in net0 up"), done
