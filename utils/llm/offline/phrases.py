"""What the offline LLM can say, by language: demands, answers, and the parts of what it explores.

In Korean phrases `~` stands for the ending of the verb 하다 in the register of the instruction. Each demand is one of
`WHATS` put into one of `HOWS`: five to ten words, so that two of them make the 10 to 20 words of a round.
"""

Phrases = dict[str, tuple[str, ...]]

WHATS: Phrases = {
    "en": (
        "the strongest objection", "a common misconception", "one rare exception", "the hidden assumption",
        "the hardest step", "the underlying cause", "a borderline case", "one realistic alternative",
        "the main limitation", "the likeliest mistake", "an often overlooked consequence", "the decisive criterion",
    ),
    "ko": (
        "가장 강력한 반론을", "사람들이 흔히 하는 오해를", "드문 예외 하나를", "밑에 깔린 전제를",
        "가장 까다로운 단계를", "근본적인 원인을", "판단이 갈리는 경우를", "현실적인 대안 하나를",
        "가장 큰 한계를", "저지르기 쉬운 실수를", "흔히 놓치는 영향을", "결정적인 기준을",
    ),
}  # fmt: skip
HOWS: Phrases = {
    "en": (
        "Explain {} with a concrete example.", "Discuss {} and give two reasons.", "Name {} and say what follows.",
        "Examine {} from two opposing viewpoints.", "Describe {} and how to check it.",
        "Point out {} and weigh its importance.", "Identify {} and estimate its effect.",
    ),
    "ko": (
        "{} 구체적인 사례와 함께 설명~.", "{} 두 가지 이유와 함께 논의~.", "{} 밝히고 그에 따른 결과까지 서술~.",
        "{} 서로 다른 두 관점에서 검토~.", "{} 찾아 확인하는 방법과 함께 제시~.",
        "{} 짚어 내고 얼마나 중요한지 평가~.", "{} 찾아 그 영향을 구체적으로 분석~.",
    ),
}  # fmt: skip
# Short enough to be the smaller part of an instruction in any other script.
SHORT_DEMANDS = ("Why? Give 2 cases.", "Add 1 objection.", "Name 1 exception.", "Compare 2 views.")

ANOTHER: Phrases = {  # new instructions of the same field, about some words of the given one
    "en": ("Find an unusual case that involves these: {}", "Explain how these ideas relate, and where they do not: {}"),
    "ko": ("다음이 얽힌 드문 사례를 들어 설명해 주세요: {}", "다음 개념들의 관계와 그 한계를 밝히세요: {}"),
}

ANSWERS: Phrases = {
    "en": (
        "In short, this is about: {}\n\n1. What is given settles the main point.\n2. One condition limits it: where "
        "that is missing, the result changes.\n3. A second look from the other end leads to the same result.",
        "The heart of the matter is this: {}\n\nIts cause lies in how the parts act on each other; the effect grows "
        "with their number. An exception is known where one part is absent, which shows that the explanation holds.",
    ),
    "ko": (
        "과제를 간추리면 다음과 같습니다: {}\n\n1. 주어진 내용에서 핵심 결론이 나옵니다.\n2. 한 가지 조건이 이 결론을 "
        "제한하며, 그 조건이 빠지면 결과가 달라집니다.\n3. 반대쪽에서 다시 살펴보아도 같은 결론에 이릅니다.",
        "다루려는 내용은 다음과 같습니다: {}\n\n그 원인은 구성 요소들이 서로 작용하는 방식에 있으며, 요소가 많아질수록 "
        "영향이 커집니다. 한 요소가 빠지면 예외가 나타나는데, 이는 오히려 이 설명이 타당함을 보여 줍니다.",
    ),
}
POOR_ANSWERS: Phrases = {  # one for each rule on answers
    "en": (
        "...", "The result is \ufffd\ufffd\ufffd\ufffd.", "I'm sorry, but I cannot help with this request.",
        "Please provide the text that you want me to work on.", "Understood. I will do that.",
        "I do not know the answer to this question.", "The following does it:\n\n```python\nvalues = [",
    ),
    "ko": (
        "...", "결과는 \ufffd\ufffd\ufffd\ufffd입니다.", "죄송하지만 이 요청에는 답변해 드릴 수 없습니다.",
        "작업할 내용을 먼저 제공해 주세요.", "네, 알겠습니다. 요청하신 내용을 작성하겠습니다.",
        "저는 잘 모르겠습니다.", "다음과 같이 하면 됩니다.\n\n```python\nvalues = [",
    ),
}  # fmt: skip

# Exploring: right below the domain stand the aspects, below each of them what can be done with it. Activities are
# about as long as aspects, so that neither makes two names overlap.
ASPECTS: Phrases = {
    "en": (
        "basic terms", "careful planning", "useful tools", "urgent repairs", "personal safety", "running costs",
        "early history", "beginners' lessons", "local rules", "written records",
    ),
    "ko": (
        "용어와 개념", "계획과 준비", "도구와 재료", "고장과 복구", "건강과 안전", "비용과 예산", "역사와 유래",
        "입문자 수업", "규정과 권리", "기록과 측정",
    ),
}  # fmt: skip
ACTIVITIES: Phrases = {
    "en": (
        "explaining {} to children", "comparing two views on {}", "a short guide to {}",
        "estimating the effort behind {}", "sceptical questions about {}", "improving {} step by step",
        "decisions on {} under pressure", "what comes after {}",
    ),
    "ko": (
        "아이에게 {} 설명하기", "{}에 관한 견해 비교", "{} 안내문 쓰기", "{}에 드는 시간 어림", "{}에 대한 의심 풀기",
        "단계별 {} 개선", "급할 때 {} 결정하기", "앞으로의 {} 전망",
    ),
}  # fmt: skip
REASON = {
    "en": "It comes up in everyday practice and calls for other knowledge than the tasks known.",
    "ko": "실제로 자주 마주치며, 알려진 과제와는 다른 지식이 필요하다.",
}
ORDERS: Phrases = {
    "en": (
        'What matters most when it comes to "{}"?', 'Draw up a checklist for "{}".',
        'Write a dialogue in which two people argue about "{}".', 'Design a quiz of four questions on "{}".',
        'Which three questions does an expert ask first about "{}"?', 'Name a common belief about "{}" and test it.',
        'Compare the cheapest and the most thorough way of "{}".', 'Advise somebody who wants to give up on "{}".',
        'Sketch a table with columns for step, aim and risk in "{}".', 'Find out where "{}" usually goes wrong.',
    ),
    "ko": (
        "'{}'에서 가장 중요한 것은 무엇인가요?", "'{}' 점검표를 만들어 주세요.",
        "두 사람이 '{}' 문제로 논쟁하는 대화를 써 주세요.", "'{}' 주제로 네 문항짜리 퀴즈를 내 주세요.",
        "전문가라면 '{}' 앞에서 먼저 어떤 질문 세 가지를 던질까요?", "'{}'에 관한 통념 하나를 골라 검증해 주세요.",
        "'{}' 방법 중 가장 싼 것과 가장 꼼꼼한 것을 견주어 주세요.", "'{}' 때문에 포기하려는 사람에게 조언해 주세요.",
        "단계, 목표, 위험을 열로 하는 '{}' 표를 그려 주세요.", "'{}' 과정이 흔히 어디서 왜 어긋나는지 밝혀 주세요.",
    ),
}  # fmt: skip
