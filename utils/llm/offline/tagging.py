"""The tagging stage: tags by key words, in English for Korean instructions, too.

As a real LLM does, it spells a tag differently now and then, and forgets a case once in a while.
"""

import json
from random import Random

from utils.llm.offline.reading import Case, dice, read_cases
from utils.llm.offline.wording import kind, language, topic
from utils.schema import Request

SLIP = 0.01  # share of replies that forget a case
VARIANT = 0.15  # share of tags in another spelling
HEAD = 4_000  # characters of an instruction that are looked at

KINDS = {
    "translation": ("translation", "language proficiency"),
    "code": ("programming", "code implementation"),
    "data": ("data analysis", "information extraction"),
    "maths": ("mathematics", "problem solving"),
    "planning": ("planning", "time management"),
    "writing": ("creative writing", "text composition"),
    "list": ("idea generation", "listing"),
    "knowledge": ("factual knowledge", "explanation"),
}

# What a word stands for; the first words are English, the others Korean.
SUBJECTS = {
    "physics": ("gravity", "energy", "light", "중력", "에너지", "빛의"),
    "biology": ("plant", "animal", "cell", "photosynthesis", "식물", "동물", "세포", "광합성"),
    "chemistry": ("chemical", "acid", "molecule", "화학", "분자", "산성"),
    "medicine": ("disease", "vaccine", "health", "질병", "백신", "건강"),
    "history": ("century", "war ", "histor", "세기", "전쟁", "역사", "조선"),
    "geography": ("country", "river", "capital of", "나라", "수도", "지리"),
    "economics": ("price", "market", "tax", "interest", "가격", "시장", "세금", "이자"),
    "law": ("legal", "contract", " law", "법률", "계약", "법을"),
    "education": ("student", "teacher", "school", "학생", "교사", "학교"),
    "cooking": ("recipe", "cook", "kitchen", "요리", "음식", "김치"),
    "travel": ("trip", "travel", "itinerary", "여행", "관광"),
    "business communication": ("email", "customer", "meeting", "이메일", "고객", "회의"),
    "database": ("sql", "database", "query", "데이터베이스", "쿼리"),
    "python": ("python", "파이썬"),
    "korean language": ("맞춤법", "한글", "높임"),
    "literature": ("poem", "novel", "haiku", "소설", "시를", "문학"),
    "art and music": ("music", "painting", "song", "음악", "그림", "노래"),
    "astronomy": ("planet", "moon", "orbit", "행성", "달의", "궤도"),
}
DEMANDS = {
    "comparison": ("compare", "contrast", "difference", "비교", "차이"),
    "cause analysis": ("why ", "cause", "reason", "원인", "이유", "까닭", "왜 "),
    "justification": ("justify", "criterion", "evidence", "근거", "기준"),
    "verification": ("verify", "check", "검산", "검토"),
    "counterargument": ("objection", "argument against", "speaks against", "반론"),
    "exception handling": ("exception", "edge case", "malformed", "예외", "경계"),
    "complexity analysis": ("complexity", "복잡도"),
    "alternative solution": ("alternative", "another method", "fallback", "다른 방법", "대안"),
    "assumption statement": ("assumption", "condition it fails", "가정"),
    "limitation analysis": ("limits", "drawback", "한계", "단점"),
    "ranking": ("rank", "order the", "순위", "순서"),
    "example": ("example", "예를", "사례", "예시"),
    "misconception": ("misconception", "mistake", "confused", "오해", "실수", "혼동", "틀리기"),
    "audience adaptation": ("beginner", "child", "reader", "초보", "어린이", "독자"),
    "length limit": (" words", "sentences", "characters", "문장으로", "자 이내", "글자"),
    "tabular format": (" table", "| ", "표로", "표를"),
    "generalization": ("general formula", "general case", "일반식", "일반적"),
    "goal setting": ("goal", "목표"),
    "risk assessment": ("risk", "위험"),
}


def tag(request: Request) -> str:
    """The JSON that the tagging prompt asks for: the tags of every case."""
    prompt = request.messages[-1].content
    rng = dice("tag", request.draw, prompt)
    entries = [{"case_id": case.id, "tags": _tags_of(case, request.draw)} for case in read_cases(prompt)]
    if len(entries) > 1 and rng.random() < SLIP:
        entries.pop(rng.randrange(len(entries)))
    return json.dumps({"cases": entries}, ensure_ascii=False)


def _tags_of(case: Case, draw: str) -> list[str]:
    text = case.text("Instruction")[:HEAD]
    lowered = text.lower()
    tags = list(KINDS[kind(text)])
    tags += [name for table in (SUBJECTS, DEMANDS) for name, words in table.items() if any(w in lowered for w in words)]
    about = topic(text) if language(text) == "en" else None
    tags += [about.lower()] if about else []
    rng = dice("tag spelling", draw, text)
    return [_variant(name, rng) if rng.random() < VARIANT else name for name in dict.fromkeys(tags)]


def _variant(name: str, rng: Random) -> str:
    return rng.choice((name.title(), name.replace(" ", "-"), name + "s", name.replace(" ", "_")))
