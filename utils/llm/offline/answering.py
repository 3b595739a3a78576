"""The responding stage: a short answer of the right language and shape, without knowledge."""

from random import Random

from utils.llm.offline import phrases
from utils.llm.offline.reading import dice
from utils.llm.offline.wording import kind, language, snippet
from utils.schema import Request

POOR = 0.012  # share of answers that are of no use
POOR_UNSOLVABLE = 0.35  # the same where the instruction contradicts itself

POOR_ANSWERS = {
    "en": (
        "I'm sorry, but I cannot help with this request.",
        "Understood. I will do that.",
        "Please provide the text that you want me to work on.",
        "I do not know the answer to this question.",
        "...",
    ),
    "ko": (
        "죄송하지만 이 요청에는 답변해 드릴 수 없습니다.",
        "네, 알겠습니다. 요청하신 내용을 작성하겠습니다.",
        "작업할 내용을 먼저 제공해 주세요.",
        "이 질문의 답은 잘 모르겠습니다.",
        "...",
    ),
}

OPENINGS = {
    "en": (
        "The task, in short: {about}",
        "The heart of the matter is this: {about}",
        "Taken step by step, this is about the following: {about}",
    ),
    "ko": (
        "핵심 과제를 간추리면 다음과 같습니다: {about}",
        "먼저 다루려는 내용은 다음과 같습니다: {about}",
        "아래 내용을 차례대로 살펴보겠습니다: {about}",
    ),
}

BODIES = {
    "en": {
        "code": "```python\ndef solve(values):\n    return sorted(set(values))\n```\n"
        "The function drops duplicates and sorts what remains, in n log n steps; an empty input gives an empty list.",
        "maths": "Write down the given values, set up the relation between them and insert them one after the other. "
        "A second calculation with rounded values confirms the size of the result.",
        "writing": "The rain had stopped when Mina found the letter. She read it twice, folded it along its old "
        "crease and understood that the house had never been for sale.",
        "planning": "Week 1: collect what is needed and name a measurable goal. Week 2: carry out the riskiest step, "
        "with a fallback. Week 3: review, and drop what does not serve the goal.",
        "list": "1. The most useful item, as it serves most people.\n2. A cheaper one with a clear drawback.\n"
        "3. An unusual one that fits a single case well.",
        "translation": "The passage is carried over sentence by sentence; one idiom has no counterpart and is "
        "replaced by its meaning.",
        "data": "| entry | decision | evidence |\n|---|---|---|\n| 1 | yes | named in the text |\n"
        "| 2 | unclear | two readings are possible |",
        "knowledge": "Its cause lies in how the parts act on each other, and the effect grows with their number. An "
        "exception is known where one part is absent, which shows that the explanation holds.",
    },
    "ko": {
        "code": "```python\ndef solve(values):\n    return sorted(set(values))\n```\n"
        "중복을 없애고 정렬하며, 시간 복잡도는 O(n log n)입니다. 빈 입력에는 빈 목록을 돌려줍니다.",
        "maths": "주어진 값을 정리한 뒤 관계식을 세우고 차례로 대입합니다. 어림한 값으로 다시 계산해도 결과의 크기가 "
        "일치하므로 풀이가 타당함을 확인할 수 있습니다.",
        "writing": "비가 그친 뒤 민아는 편지를 발견했다. 두 번 읽고 나서 오래된 접힌 자국을 따라 다시 접으며, 그 집은 "
        "한 번도 팔린 적이 없었다는 것을 깨달았다.",
        "planning": "첫째 주에는 필요한 것을 모으고 측정 가능한 목표를 정합니다. 둘째 주에는 가장 위험한 단계를 대안과 "
        "함께 실행합니다. 셋째 주에는 결과를 점검하고 불필요한 부분을 줄입니다.",
        "list": "1. 가장 많은 사람에게 도움이 되는 항목입니다.\n2. 비용이 적게 들지만 한계가 분명한 항목입니다.\n"
        "3. 특정한 상황에 잘 어울리는 드문 항목입니다.",
        "translation": "문장마다 뜻을 살려 옮겼으며, 대응하는 표현이 없는 관용구는 의미를 풀어서 번역했습니다.",
        "data": "| 항목 | 판단 | 근거 |\n|---|---|---|\n"
        "| 1 | 해당 | 본문에 직접 나옴 |\n| 2 | 불분명 | 두 가지로 읽힘 |",
        "knowledge": "그 원인은 구성 요소들이 서로 작용하는 방식에 있으며, 요소가 많아질수록 영향이 커집니다. "
        "한 요소가 빠진 경우에는 예외가 나타나는데, 이는 오히려 이 설명이 타당함을 보여 줍니다.",
    },
}


def respond(request: Request) -> str:
    """An answer to the instruction, which is the whole last message; now and then one of no use."""
    instruction = request.messages[-1].content
    rng = dice("respond", request.draw, instruction)
    tongue = phrases.spoken(language(instruction))
    poor = POOR_UNSOLVABLE if contradicts_itself(instruction, tongue) else POOR
    return rng.choice(POOR_ANSWERS[tongue]) if rng.random() < poor else plain_answer(instruction, rng)


def plain_answer(instruction: str, rng: Random) -> str:
    """A short text in the language of the instruction and in the shape that its kind asks for."""
    tongue = phrases.spoken(language(instruction))
    opening = rng.choice(OPENINGS[tongue]).replace("{about}", snippet(instruction).strip(" .?!"))
    return f"{opening}\n\n{BODIES[tongue][kind(instruction)]}"


def contradicts_itself(instruction: str, tongue: str) -> bool:
    """Whether demands of `phrases.CONTRADICTIONS` stand in the instruction together."""
    sets = phrases.CONTRADICTIONS[tongue]
    return any(all(phrases.stem(phrase) in instruction for phrase in together) for together in sets)
