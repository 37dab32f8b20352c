#!/bin/bash
# What a person before a terminal sees of tend: see terminal.py.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# A python3 that comes first in PATH need not be the one of the distribution, nor a program.
for PYTHON in python3 /usr/bin/python3; do
    PYTHON=$("$PYTHON" -c 'import pexpect, sys; print(sys.executable)' 2>/dev/null)
    [ -z "$PYTHON" ] || break
done
if [ -z "$PYTHON" ]; then
    skip "terminals" "needs python3-pexpect"
    done_testing
    exit
fi
! have_mode pid1 || starts pid1
export T BIN J CONF LOG TEND_TEST_PID1="${HOW[*]}"
"${DENIED[@]}" "$PYTHON" -B "$(dirname "$0")/terminal.py"
