"""Thoughts inside the content, through a real server and the whole command: the result is as if there were none."""

import json
from itertools import cycle

from tests.command import run, served
from tests.fakes import Act, MisbehavingServer, Received, answered
from tests.offline_server import offline_reply
from utils.llm.replies import split_thoughts

WHY = "SECRET thoughts.\n첫째, 비용."
SHAPES = [
    f"<think>\n{WHY}\n</think>\n\n{{}}",
    f"{WHY}</think>{{}}<|im_end|>\n<|im_start|>user\nSECRET, more.<|im_end|>\n<|im_start|>assistant\nSECRET.",
    f"<|channel|>analysis<|message|>{WHY}<|end|><|start|>assistant<|channel|>final<|message|>{{}}<|return|>",
    f"analysis{WHY}assistantfinal{{}}",
    f"<|channel>thought\n{WHY}<channel|>{{}}<turn|>",
    f'<details type="reasoning" done="true">\n<summary>Thought</summary>\n{WHY}\n</details>\n{{}}',
]


def spoken(act: Act) -> str:
    return json.loads(act.body)["choices"][0]["message"]["content"]


def test_no_thought_and_no_invented_turn_reaches_the_result(tmp_path):
    shapes = cycle(SHAPES)

    def thinking(request: Received) -> Act:
        return answered(next(shapes).replace("{}", spoken(offline_reply(request))))

    results = {}
    for name, server in {"plain": MisbehavingServer(offline_reply), "thinking": MisbehavingServer(thinking)}.items():
        with server:
            ran = run(tmp_path, *served(server.url), "--save-path", f"{name}.json", "--no-report")
        assert ran.code == 0, ran.err
        results[name] = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert [row.pop("reasoning") for row in results["thinking"]] == [WHY] * len(results["plain"])
    assert [row.pop("reasoning") for row in results["plain"]] == [None] * len(results["plain"])
    assert results["thinking"] == results["plain"]


def test_a_fence_right_behind_thoughts_is_the_text():
    method = "```Optimized Method\nStep 1: List ways.\n```"
    assert [split_thoughts(shape.replace("{}", method))[0] for shape in SHAPES] == [method] * len(SHAPES)
