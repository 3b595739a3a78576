"""What the offline LLM can say: constraints per kind of task, and the sentences of its faults.

In Korean phrases `~` stands for the ending of the verb 하다 in the register of the instruction, and in
all of them `{topic}` for what the instruction asks about. A constraint has five to eight words, so that
two or three of them make the 10 to 20 words of a round.
"""

Phrases = dict[str, tuple[str, ...]]

CONSTRAINTS: dict[str, Phrases] = {
    "en": {
        "code": (
            "State its time and space complexity.",
            "Handle empty and malformed input explicitly.",
            "Add tests for two edge cases.",
            "Justify the data structure you choose.",
            "Explain what breaks with very large input.",
            "Name one alternative design and its cost.",
        ),
        "maths": (
            "Verify the result by another method.",
            "State every assumption that you use.",
            "Show what doubling one given value changes.",
            "Give the general formula as well.",
            "Name the most likely mistake here.",
            "Estimate the size of the result first.",
        ),
        "writing": (
            "Let every sentence serve one central idea.",
            "Let one detail return with new meaning.",
            "Address an objection a reader would raise.",
            "Anticipate a reader who might take offence.",
            "Ground every statement in a concrete detail.",
            "Convey the main feeling without naming it.",
        ),
        "planning": (
            "Include a fallback for the riskiest step.",
            "Order the steps by their dependencies.",
            "Name a measurable goal for each phase.",
            "Justify how the limited budget is divided.",
            "Point out where two goals compete.",
            "Say what to drop when time runs short.",
        ),
        "knowledge": (
            "Explain the cause behind it, too.",
            "Compare it with a commonly confused concept.",
            "Name one exception and why it arises.",
            "Separate established facts from disputed ones.",
            "Describe how experts came to know this.",
            "Discuss one consequence that people often overlook.",
        ),
        "list": (
            "Rank the items and justify the order.",
            "Give the criterion that you select by.",
            "Exclude the most obvious candidates, saying why.",
            "Contrast the first item with the last.",
            "State a drawback of each item.",
            "Group the items by a shared principle.",
        ),
        "translation": (
            "Match the level of politeness throughout.",
            "Explain the hardest word choice you made.",
            "Give an alternative for one ambiguous passage.",
            "Point out an idiom that resists literal translation.",
            "Note what a literal version would miss.",
            "Use technical terms consistently and justify them.",
        ),
        "data": (
            "Justify each decision with the given wording.",
            "Mark every entry that remains ambiguous.",
            "Describe the rule that you apply.",
            "Explain how a borderline case is treated.",
            "Check the outcome for hidden inconsistencies.",
            "Say which evidence speaks against your result.",
        ),
        "any": (
            "Mention the strongest argument against it.",
            "State under which condition it fails.",
            "Explain which step needs most care.",
            "Distinguish the general case from special ones.",
            "Conclude with the limits of your answer.",
        ),
        "topic": (
            "Contrast {topic} with its closest relative.",
            "Discuss a common misconception about {topic}.",
        ),
    },
    "ko": {
        "code": (
            "시간 복잡도와 공간 복잡도를 함께 분석~.",
            "빈 입력과 잘못된 입력도 올바르게 처리~.",
            "경계 조건을 검증하는 테스트를 두 개 추가~.",
            "그 자료 구조를 고른 까닭을 함께 설명~.",
            "입력이 매우 커질 때 생기는 문제를 분석~.",
            "다른 설계 방법 하나와 장단점을 함께 비교~.",
        ),
        "maths": (
            "구한 결과를 다른 방법으로 한 번 더 검산~.",
            "풀이에 사용한 가정을 빠짐없이 함께 제시~.",
            "주어진 값 하나가 두 배가 될 때의 변화를 설명~.",
            "같은 유형에 쓸 수 있는 일반식도 함께 제시~.",
            "계산하면서 가장 틀리기 쉬운 부분을 하나 지적~.",
            "계산하기 전에 결과의 대략적인 크기부터 추정~.",
        ),
        "writing": (
            "모든 문장이 하나의 중심 생각으로 이어지도록 구성~.",
            "앞에 나온 소재가 뒤에서 새로운 의미로 등장하게 구성~.",
            "독자가 제기할 만한 반론 하나를 다루어 반박~.",
            "오해하거나 불편해할 수 있는 독자까지 배려하여 표현~.",
            "일반적인 말 대신 구체적인 장면이나 사실로 표현~.",
            "중심 감정을 직접 말하지 않고 행동으로만 표현~.",
        ),
        "planning": (
            "가장 위험한 단계에 대비한 대안을 함께 제시~.",
            "단계 사이의 선후 관계를 밝혀 순서대로 배열~.",
            "각 단계마다 측정할 수 있는 목표를 하나씩 설정~.",
            "한정된 예산을 나눈 기준과 근거를 함께 설명~.",
            "서로 충돌하는 두 목표를 찾아 조정 방법을 제안~.",
            "시간이 모자랄 때 먼저 줄일 부분을 제시~.",
        ),
        "knowledge": (
            "그렇게 되는 원인을 근거와 함께 설명~.",
            "혼동하기 쉬운 개념 하나와 차이점을 비교~.",
            "예외에 해당하는 경우 하나와 그 이유를 제시~.",
            "확립된 사실과 논쟁 중인 견해를 나누어 정리~.",
            "이 사실이 어떻게 밝혀졌는지 과정을 함께 서술~.",
            "사람들이 흔히 놓치는 영향 하나를 함께 논의~.",
        ),
        "list": (
            "항목의 순위를 매기고 그 근거를 함께 제시~.",
            "항목을 고른 기준을 먼저 분명하게 정의~.",
            "누구나 떠올릴 흔한 항목은 이유를 밝혀 제외~.",
            "첫 항목과 마지막 항목의 차이를 서로 비교~.",
            "각 항목의 단점이나 한계를 하나씩 함께 제시~.",
            "공통된 원리에 따라 항목을 묶어서 분류~.",
        ),
        "translation": (
            "높임의 정도를 처음부터 끝까지 일관되게 반영~.",
            "가장 고르기 어려웠던 낱말과 그 까닭을 설명~.",
            "뜻이 모호한 부분에는 다른 번역도 하나 제시~.",
            "직역하기 어려운 관용 표현을 찾아 따로 설명~.",
            "직역하면 놓치게 되는 뉘앙스를 한 가지 지적~.",
            "전문 용어는 하나로 통일하고 고른 근거를 제시~.",
        ),
        "data": (
            "판단할 때마다 근거가 되는 표현을 함께 인용~.",
            "판단이 모호한 항목은 따로 표시하고 이유를 설명~.",
            "결과를 정할 때 적용한 규칙을 한 문장으로 정의~.",
            "경계에 놓인 사례를 어떻게 처리했는지 함께 설명~.",
            "결과에 서로 어긋나는 부분이 없는지 다시 검토~.",
            "내린 판단에 불리한 근거도 한 가지 제시~.",
        ),
        "any": (
            "이에 대한 가장 강력한 반론 하나를 함께 검토~.",
            "어떤 조건에서 성립하지 않는지 구체적으로 설명~.",
            "가장 주의해야 할 단계와 그 까닭을 함께 설명~.",
            "일반적인 경우와 특수한 경우를 나누어 설명~.",
            "끝으로 이 답변이 지닌 한계를 함께 논의~.",
        ),
        "topic": (
            "{topic}{와} 가장 비슷한 대상을 골라 차이점을 비교~.",
            "{topic}에 대한 흔한 오해 하나를 바로잡아 설명~.",
        ),
    },
    "ja": {"any": ("その理由を根拠とともに説明してください。", "例外を一つ挙げて比較してください。")},
    "zh": {"any": ("请说明其原因并给出依据。", "请举出一个例外并加以比较。")},
}

# What a writer falls back on, whatever the subject, while its method does not ask for variety.
FAVOURITE = {
    "en": "Support each claim with one concrete example.",
    "ko": "각 주장마다 구체적인 사례를 하나씩 들어 설명~.",
}

DECORATIONS = {
    "en": (
        "Please answer in a warm, friendly and engaging tone.",
        "Make the answer beautiful, vivid and pleasant to read.",
        "Use an elegant and professional style throughout the whole answer.",
        "Write at least three long and well-formatted paragraphs about it.",
    ),
    "ko": (
        "답변은 처음부터 끝까지 친절하고 따뜻한 말투로 작성~.",
        "전체적으로 아름답고 생생한 표현을 풍부하게 사용~.",
        "세련되고 전문적인 느낌이 나는 문체로 정성껏 작성~.",
        "보기 좋게 문단을 나누어 세 문단 이상으로 길게 작성~.",
    ),
}

# Sentences that cannot all be followed; one that stands alone refers to something that is not there.
CONTRADICTIONS = {
    "en": (
        ("Use at most 30 words in total.", "Write at least 500 words with full details."),
        ("Do not use any digits or number words.", "State the exact value of every quantity."),
        ("Name no person, place or date.", "Give the full name and birth date of everyone involved."),
        ("Base every statement on the figures in the attached appendix table.",),
    ),
    "ko": (
        ("전체를 서른 단어 이내로만 작성~.", "동시에 오백 단어 이상으로 자세히 작성~."),
        ("숫자나 수사는 하나도 사용하지 말고 답변~.", "모든 값을 정확한 숫자로 빠짐없이 제시~."),
        ("인물과 지명과 날짜는 전혀 언급하지 말고 답변~.", "관련된 모든 인물의 이름과 생년월일을 제시~."),
        ("모든 내용을 첨부된 부록 표의 수치에 근거하여 설명~.",),
    ),
}

LEAKS = {
    "en": (
        "(Hint: the correct answer is the first one that comes to mind.)",
        "(Note that the final result is exactly 42.)",
        "(The solution is to apply the definition directly and simplify.)",
    ),
    "ko": (
        "(힌트: 정답은 가장 먼저 떠오르는 바로 그것이다.)",
        "(참고로 최종 결과는 정확히 42이다.)",
        "(풀이: 정의를 그대로 대입하여 정리하면 된다.)",
    ),
}

ASKS = {
    "en": (
        "Please provide the instruction that you would like me to rewrite.",
        "Could you share the text first, so that I know what to work on?",
    ),
    "ko": (
        "다시 쓸 지시문을 먼저 입력해 주세요.",
        "어떤 내용을 어떤 방향으로 바꾸기를 원하시나요?",
    ),
}

# Written in the other language on purpose: the key is the language of the instruction.
SWITCHED = {
    "ko": "Explain this subject in detail, compare two different views of it and justify your conclusion.",
    "en": "이 주제를 자세히 설명하고 서로 다른 두 견해를 비교한 뒤 결론의 근거를 제시하시오.",
}

STEPS = {
    "en": ("Add the following demand: ", "Carry out these changes and keep the rest as it is: "),
    "ko": ("다음 요구를 덧붙인다: ", "나머지는 그대로 두고 다음을 반영한다: "),
}


def spoken(language: str) -> str:
    """The language in which phrases exist for `language`: English serves for those that have none."""
    return language if language in DECORATIONS else "en"


def stem(phrase: str) -> str:
    """The part of a phrase that stands in every register."""
    return phrase.partition("~")[0]


# New instructions of the same field, about some words of the given one.
ANOTHER = {
    "ko": (
        "다음이 얽힌 드문 사례를 들어 설명해 주세요: {}",
        "다음 개념들의 관계와 그 한계를 밝히세요: {}",
        "다음을 소재로 문제를 만들고 채점 기준을 제시하세요: {}",
        "다음 가운데 하나의 변화를 세 단계로 분석하세요: {}",
    ),
    "en": (
        "Find an unusual case that involves these: {}",
        "Explain how these ideas relate, and where they do not: {}",
        "Write and mark a question about these: {}",
        "Analyze how one of these changed in three stages: {}",
    ),
}
