"""Read what a step says on its way and pass it on; of a traceback, which the executed notebook keeps in full, keep the last word only.

`papermill ... 2> >(python paper/last_word.py "clone seed0")`, or `echo DeadKernelError | ...` for one that was killed. `make` says the words last.
"""

import sys
from pathlib import Path

WORDS = Path(".snakemake/last_words")

KILLED = "killed, most often for want of memory: free some, or run fewer steps at once (CORES=1); the same command goes on from where it was."


def main(step):
    """Pass lines on as they come; end with one sentence if the step failed."""
    word = None
    for line in sys.stdin:
        if word or line.startswith("Traceback"):
            word = line.strip() or word
        elif "TCP without encryption" not in line:
            print(line, end="", file=sys.stderr, flush=True)
    if word:
        WORDS.parent.mkdir(exist_ok=True)
        with WORDS.open("a") as words:
            print(f"{step}: {KILLED if 'DeadKernelError' in word else word}", file=words)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
