#!/bin/bash
# What a person before a terminal sees of tend: see terminal.py.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

in_python terminal.py
