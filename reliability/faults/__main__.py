"""`python -m reliability.faults CHECK serve …`: the labeld command with a check's fault, in its workers as well."""

import sys

from labeld.__main__ import main
from reliability.faults import planted

if __name__ == "__main__":
    with planted(sys.argv.pop(1)):
        main()
