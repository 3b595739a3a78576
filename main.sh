#!/bin/sh
# The default run, told flag by flag. Whatever you add behind "sh main.sh" overrides what stands here:
#
#   sh main.sh --offline                                  see the whole job without key or network
#   sh main.sh --data-path ORG/NAME                       a data set of the Hugging Face Hub
#   sh main.sh --data-path seeds.jsonl --test-run 1       a local file; evolve ten rows first, to look at them
#
# It works from any folder; paths are relative to where you stand.

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 2

# Python: the virtual environment beside this file if there is one, else what the system has.
if [ -x "$here/.venv/bin/python" ]; then
    python="$here/.venv/bin/python"
elif command -v python3 >/dev/null 2>&1; then
    python=python3
elif command -v python >/dev/null 2>&1; then
    python=python
else
    echo "error: no Python found; install Python 3.11 or newer" >&2
    exit 2
fi

# 1. Seeds: 20 instructions to learn from, 50 to measure methods on, drawn with seed 42.
set -- --train-size 20 --dev-size 50 --seed 42 "$@"

# 2. Learning: 3 steps; in each, 3 rounds of evolving per instruction and 5 candidate methods.
set -- --max-steps 3 --loop 3 --candidate-size 5 "$@"

# 3. The final run: the whole data set (--test-run 1: ten rows), ten requests in flight.
set -- --test-run 0 --batch-size 10 "$@"

# 4. What comes out: one JSON array, and beside it the run folder evolution_result.run/.
set -- --save-path evolution_result.json "$@"

# The LLMs are DeepSeek's unless --evol-llm-config and --optim-llm-config say otherwise, e.g.
#   --evol-llm-config  model=llama base_url=http://localhost:8000/v1
#   --optim-llm-config model=gpt-x base_url=https://api.openai.com/v1 api_key_env=OPENAI_API_KEY temperature=none
exec "$python" "$here/main.py" "$@"
