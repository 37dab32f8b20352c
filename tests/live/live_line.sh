#!/bin/bash
# What is waited for, on a terminal: see live_line.py.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

in_python live_line.py
