"""Check the interpreter and create the virtual environment: ``make_venv.py FOLDER``.

Standard library only, and no syntax younger than the interpreters it has to turn away.
"""

import subprocess
import sys

MINIMUM = (3, 11)


def main(folder):
    # type: (str) -> int
    """Create the environment anew, or print one line that says what is missing."""
    if sys.version_info < MINIMUM:
        sys.stderr.write(
            "error: {} is Python {}.{}, and {}.{} or later is needed; name one with"
            " make PYTHON=/path/to/python3\n".format(
                sys.executable, sys.version_info[0], sys.version_info[1], MINIMUM[0], MINIMUM[1]
            )
        )
        return 1
    import importlib.util

    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.stderr.write(
            "error: {} cannot create virtual environments; install its venv package"
            " (Debian: apt install python3-venv)\n".format(sys.executable)
        )
        return 1
    command = [sys.executable, "-m", "venv", "--clear", folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace").strip().splitlines() or ["no reason given"]
        sys.stderr.write("error: cannot create {}: {}\n".format(folder, output[-1]))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
