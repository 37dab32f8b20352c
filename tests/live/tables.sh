#!/bin/bash
# tendctl on a terminal: see tables.py.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

in_python tables.py
