"""What the offline LLM can say of a domain that it knows by name only: tasks, and the parts of instructions.

`{it}` stands for an aspect, `{task}` and `{domain}` for names of the tree.
"""

# Names of tasks right below the domain, and how activities speak of them.
ASPECTS: dict[str, dict[str, str]] = {
    "en": {
        "Basic terms and ideas": "basic terms",
        "Planning and preparation": "plans and preparations",
        "Tools and materials": "tools and materials",
        "Frequent mistakes": "frequent mistakes",
        "Safety and health": "health and safety",
        "Costs and budgets": "costs and budgets",
        "History and origins": "history and origins",
        "Teaching newcomers": "lessons for newcomers",
        "Quality checks": "quality checks",
        "Working with other people": "shared work",
        "Rules, rights and permits": "rules and permits",
        "Records and measurements": "records and figures",
        "Repair of what went wrong": "urgent repairs",
        "Seasonal and regional differences": "regional customs",
    },
    "ko": {
        "기본 개념과 용어": "용어와 개념",
        "계획 세우기와 준비": "계획과 준비",
        "도구와 재료 고르기": "도구와 재료",
        "자주 하는 실수 바로잡기": "초보자의 실수",
        "안전과 건강 지키기": "건강과 안전",
        "비용과 예산 관리": "비용과 예산",
        "역사와 유래 살펴보기": "역사와 유래",
        "입문자 가르치기": "입문자 수업",
        "품질 점검과 평가": "품질과 점검",
        "다른 사람과 협력하기": "협력과 분담",
        "규정과 권리 이해": "규정과 권리",
        "기록과 측정 방법": "기록과 측정",
        "문제 해결과 복구": "고장과 복구",
        "계절과 지역에 따른 차이": "지역별 차이",
    },
}

# About as long as what they are done with, so that neither makes two names overlap.
ACTIVITIES: dict[str, tuple[str, ...]] = {
    "en": (
        "Explaining {it} to children",
        "Comparing two views on {it}",
        "A short guide to {it}",
        "Estimating the effort behind {it}",
        "Judging {it} by evidence",
        "Sceptical questions about {it}",
        "Improving {it} step by step",
        "Decisions on {it} under pressure",
        "Summing up reports on {it}",
        "What comes after {it}",
    ),
    "ko": (
        "아이에게 {it} 설명하기",
        "{it}에 관한 견해 비교",
        "{it} 안내문 쓰기",
        "{it}에 드는 시간 어림",
        "자료로 {it} 평가하기",
        "{it}에 대한 의심 풀기",
        "단계별 {it} 개선",
        "급할 때 {it} 결정하기",
        "{it} 보고서 간추리기",
        "앞으로의 {it} 전망",
    ),
}

REASONS: dict[str, tuple[str, ...]] = {
    "en": (
        "Nobody gets far without it, and no task covers it yet.",
        "It comes up in everyday practice and calls for other knowledge than the tasks known.",
        "People often ask for help with exactly this part.",
    ),
    "ko": (
        "이 부분을 모르면 나아가기 어렵고, 아직 다룬 과제가 없다.",
        "실제로 자주 마주치며, 알려진 과제와는 다른 지식이 필요하다.",
        "많은 사람이 바로 이 부분에서 도움을 구한다.",
    ),
}

SITUATIONS: dict[str, tuple[str, ...]] = {
    "en": (
        "",
        "I have been learning {domain} for three weeks.",
        "Our club of 14 members meets every Tuesday.",
        "My grandmother disagrees with her neighbour.",
        "Imagine that you run a small workshop with two employees.",
        "Last month we spent 340 euros, this month 515.",
        "A reader of a local newspaper sent in a complaint.",
        "You are preparing an exam for adults.",
        "The first attempt failed on a rainy afternoon.",
        "Two friends have 90 minutes and one table.",
        'A beginner wrote: "I just do whatever feels right."',
        "There are three offers: 20, 35 and 60 euros.",
    ),
    "ko": (
        "",
        "저는 {domain} 배우기를 시작한 지 3주 되었습니다.",
        "회원이 14명인 우리 모임은 화요일마다 만납니다.",
        "할머니와 이웃의 의견이 서로 다릅니다.",
        "직원이 둘인 작은 공방을 운영한다고 상상해 보세요.",
        "지난달에는 34만 원, 이번 달에는 51만 원을 썼습니다.",
        "지역 신문 독자가 불만을 적어 보냈습니다.",
        "성인 대상 시험 문제를 준비하고 있습니다.",
        "비 오는 오후에 첫 시도가 실패로 끝났습니다.",
        "친구 둘에게 90분과 탁자 하나가 있습니다.",
        '어떤 초보자가 "그냥 느낌대로 해요"라고 말했습니다.',
        "견적이 2만 원, 3만 5천 원, 6만 원 세 가지입니다.",
    ),
}

ORDERS: dict[str, tuple[str, ...]] = {
    "en": (
        'What matters most when it comes to "{task}"?',
        'Draw up a checklist for "{task}".',
        'Explain "{task}" with an everyday comparison.',
        'Write a dialogue in which two people argue about "{task}".',
        'Which three questions does an expert ask first about "{task}"?',
        'Name a common belief about "{task}" and test it.',
        'Design a quiz of four questions on "{task}" with solutions.',
        'Compare the cheapest and the most thorough way of "{task}".',
        'Sketch a table with columns for step, aim and risk in "{task}".',
        'Compose a polite letter that asks a specialist for advice on "{task}".',
        'Find out where "{task}" usually goes wrong, and why.',
        'Advise somebody who wants to give up on "{task}".',
    ),
    "ko": (
        "'{task}'에서 가장 중요한 것은 무엇인가요?",
        "'{task}' 점검표를 만들어 주세요.",
        "일상적인 비유를 들어 '{task}' 내용을 설명해 주세요.",
        "두 사람이 '{task}' 문제로 논쟁하는 대화를 써 주세요.",
        "전문가라면 '{task}' 앞에서 먼저 어떤 질문 세 가지를 던질까요?",
        "'{task}'에 관한 통념 하나를 골라 검증해 주세요.",
        "'{task}' 주제로 풀이가 딸린 네 문항 퀴즈를 내 주세요.",
        "'{task}' 방법 중 가장 싼 것과 가장 꼼꼼한 것을 견주어 주세요.",
        "단계, 목표, 위험을 열로 하는 '{task}' 표를 그려 주세요.",
        "전문가에게 '{task}' 조언을 구하는 정중한 편지를 써 주세요.",
        "'{task}' 과정이 흔히 어디서 왜 어긋나는지 밝혀 주세요.",
        "'{task}' 때문에 포기하려는 사람에게 조언해 주세요.",
    ),
}

CONDITIONS: dict[str, tuple[str, ...]] = {
    "en": (
        "",
        "Stay below 120 words.",
        "Begin with the conclusion and give two grounds for it.",
        "No technical terms, please.",
        "Show how the answer changes if time is halved.",
        "Use at least one number and say where it comes from.",
        "End with a sentence that fits on a poster.",
        "Consider someone who can use only one hand.",
        "Order everything by urgency.",
        "Mention one case in which the opposite holds.",
        "Suppose that nothing may be bought.",
        "Give the reasoning behind each point.",
    ),
    "ko": (
        "",
        "300자를 넘기지 마세요.",
        "결론부터 말하고 근거를 두 가지 드세요.",
        "전문 용어는 쓰지 마세요.",
        "시간이 절반으로 줄면 답이 어떻게 달라지는지도 보여 주세요.",
        "숫자를 하나 이상 쓰고 그 출처를 밝히세요.",
        "포스터에 어울리는 문장으로 끝맺으세요.",
        "한 손만 쓸 수 있는 사람도 고려하세요.",
        "모든 것을 급한 순서로 늘어놓으세요.",
        "반대로 되는 경우를 한 가지 언급하세요.",
        "아무것도 살 수 없다고 가정하세요.",
        "항목마다 그렇게 판단한 까닭을 덧붙이세요.",
    ),
}

# Replies that cannot be read.
NO_SUBTASKS = {
    "en": "Sure! Before I begin: should the sub-tasks be meant for beginners or for experts?",
    "ko": "물론입니다! 먼저 입문자를 위한 과제인지 전문가를 위한 과제인지 알려 주시겠어요?",
}
NO_INSTRUCTIONS = {
    "en": "I would be glad to write these instructions. Which audience do you have in mind?",
    "ko": "기꺼이 써 드리겠습니다. 어떤 독자를 생각하고 계신가요?",
}
