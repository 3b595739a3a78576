"""The words of the page, in English and Korean."""

from dataclasses import dataclass
from typing import Literal

Lang = Literal["en", "ko"]

_UI: dict[str, tuple[str, str]] = {
    "title": ("Run report", "실행 보고서"),
    "skip": ("Skip to the content", "본문으로 건너뛰기"),
    "sections": ("Sections", "목차"),
    "offline": (
        "Offline run: a rule-based stand-in took the place of the LLMs. It shows the flow; "
        "its texts are no training data.",
        "오프라인 실행입니다. LLM 대신 규칙 기반 모형이 흐름을 보여 줄 뿐이므로, 여기서 나온 글은 학습 데이터로 "
        "쓸 수 없습니다.",
    ),
    "offline_model": ("rule-based stand-in", "규칙 기반 모형"),
    "data": ("Seeds", "시드"),
    "examples": ("built-in examples", "내장 예제"),
    "explored": ("explored: {domains}", "탐색: {domains}"),
    "evol_model": ("Evolves and answers", "진화·답변"),
    "optim_model": ("Analyzes, optimizes, judges", "분석·개선·판정"),
    # At a glance
    "glance": ("At a glance", "한눈에 보기"),
    "seeds_in": ("Seeds in", "입력 시드"),
    "rows_of_seeds": ("{rows} rows: every generation counts", "행 {rows}개: 세대마다 한 행"),
    "evolved": ("Evolved", "진화 성공"),
    "eliminated": ("Eliminated", "탈락"),
    "set_aside": ("Set aside", "제외"),
    "unavailable": ("Unavailable", "응답 없음"),
    "retention": ("{share} of the rows", "전체의 {share}"),
    "set_aside_note": ("no usable seed", "시드로 쓸 수 없음"),
    "unavailable_note": ("the same command asks again", "같은 명령으로 다시 요청"),
    "no_loss": ("every row accounted for", "빠진 행 없음"),
    "does_not_add_up": ("The counts do not add up: the files are of different runs.", "행 수가 서로 맞지 않습니다."),
    "rate": ("Failure rate λ", "실패율 λ"),
    "rate_from": ("from {rate} at the start", "처음 {rate}에서"),
    "rate_initial": ("of the initial method", "초기 방법 기준"),
    "calls": ("Calls", "호출"),
    "journaled_note": ("{count} more from the journal", "저널에서 {count}건 재사용"),
    "cost": ("Cost", "비용"),
    "no_prices": ("no prices given", "가격 미지정"),
    "prices_unit": ("in the currency of the prices given", "지정한 가격의 통화 기준"),
    "time": ("Time", "소요 시간"),
    "retries": ("retries: {count}", "재시도 {count}회"),
    "why_lost": ("Why rows were lost", "탈락한 이유"),
    "why_lost_hint": ("Choose a reason to see its rows.", "이유를 누르면 해당 행을 볼 수 있습니다."),
    "nothing_lost": ("No row was lost.", "탈락한 행이 없습니다."),
    "by_generation": ("By generation", "세대별"),
    "generation_n": ("Generation {n}", "{n}세대"),
    "no_rows": ("This run has no rows.", "이 실행에는 행이 없습니다."),
    # Failure rate
    "learning": ("Failure rate per step", "단계별 실패율"),
    "learning_intro": (
        "The share of development rows on which a method fails, by rules and by the judge. Lower is better; the line "
        "follows the best method so far.",
        "개발용 행 가운데 규칙이나 판정 LLM이 실패로 본 비율입니다. 낮을수록 좋으며, 선은 그때까지 가장 좋은 방법을 "
        "따라갑니다.",
    ),
    "no_learning": (
        "Nothing was learned in this run: its methods were given.",
        "이 실행에서는 방법을 학습하지 않고 주어진 방법을 썼습니다.",
    ),
    "step_n": ("Step {n}", "{n}단계"),
    "start": ("Initial", "초기"),
    "best": ("best so far", "그때까지 최선"),
    "candidate": ("candidate", "후보"),
    "dropped": ("measured in part: it could no longer win", "일부만 측정: 이길 가능성이 없음"),
    "interval": ("95 % interval", "95% 신뢰 구간"),
    "candidate_title": (
        "{name}: {rate} [{low}, {high}], {failed} of {judged} failed",
        "{name}: {rate} [{low}, {high}], {judged}개 중 {failed}개 실패",
    ),
    "chart_title": ("Failure rate of every candidate by step", "단계별 모든 후보의 실패율"),
    # Methods
    "methods": ("Methods", "진화 방법"),
    "methods_intro": (
        "Every method that was measured, and what the optimizer changed in its parent:",
        "측정한 모든 방법과, 부모 방법에서 달라진 부분입니다.",
    ),
    "added": ("added", "추가"),
    "removed": ("removed", "삭제"),
    "initial_method": ("Initial method", "초기 방법"),
    "method_name": ("Step {step}, draw {draw}", "{step}단계 표본 {draw}"),
    "selected": ("selected", "선택됨"),
    "in_use": ("used in the final run", "최종 실행에 사용"),
    "from_parent": ("Changed from {parent}", "{parent}에서 달라진 점"),
    "whole_text": ("Text", "전문"),
    "same_text": ("The same text as {name}.", "{name}과(와) 같은 글입니다."),
    "feedback": ("Feedback that it answers", "반영한 피드백"),
    "failures": ("Failures by reason", "이유별 실패"),
    "of_judged": ("{failed} of {judged} failed", "{judged}개 중 {failed}개 실패"),
    "unscored_n": ("{count} unscored", "미채점 {count}개"),
    "complexity_score": ("complexity score {score}", "복잡도 점수 {score}"),
    "not_measured": ("not measured", "측정 안 됨"),
    "given_method": ("The method of this run", "이 실행의 방법"),
    "rewrites_in_result": ("Rows of the result by the method of their last stage", "마지막 단계의 방법별 결과 행 수"),
    # Measures
    "measures": ("Complexity and diversity", "복잡도와 다양성"),
    "no_measures": ("This run was not measured.", "이 실행에는 측정값이 없습니다."),
    "measure": ("Measure", "지표"),
    "seeds": ("Seeds", "시드"),
    "m_rows": ("Instructions", "지시문 수"),
    "m_complexity": ("Complexity", "복잡도"),
    "m_diversity": ("Diversity", "다양성"),
    "m_languages": ("Language", "언어"),
    "m_characters": ("Length in characters", "길이(글자)"),
    "m_tokens": ("Length in words, for Korean in syllables", "길이(영어는 단어, 한국어는 음절)"),
    "m_parent": ("Overlap with the parent (ROUGE‑L)", "부모와의 중복(ROUGE‑L)"),
    "m_nearest": ("Overlap with the nearest other (ROUGE‑L)", "최근접 지시문과의 중복(ROUGE‑L)"),
    "m_distinct_1": ("Distinct-1", "Distinct-1"),
    "m_distinct_2": ("Distinct-2", "Distinct-2"),
    "m_pairs": ("Unique verb–noun pairs", "고유한 동사–명사 쌍"),
    "m_of_rows": ("in {rows} rows", "{rows}행에서"),
    "m_language_shares": ("Languages", "언어 비율"),
    "m_script_shares": ("Scripts", "문자 비율"),
    "median": ("median {median}", "중앙값 {median}"),
    "tags": ("Intention tags (InsTag)", "의도 태그(InsTag)"),
    "t_complexity": ("Complexity: tags per instruction", "복잡도: 지시문당 태그 수"),
    "t_diversity": ("Diversity: different tags per instruction", "다양성: 지시문당 서로 다른 태그 수"),
    "t_tagged": ("Instructions tagged", "태그를 단 지시문 수"),
    "measures_note": (
        "Means, with medians in small print. Distinct-n falls as a set grows: compare sets of similar size.",
        "큰 글씨는 평균, 작은 글씨는 중앙값입니다. Distinct-n은 데이터가 커질수록 낮아지므로 크기가 비슷한 집합끼리 "
        "비교하세요.",
    ),
    "distributions": ("Distributions: share of instructions", "분포: 지시문 비율"),
    "common_pairs": ("Most frequent verb–noun pairs", "가장 흔한 동사–명사 쌍"),
    "no_pairs": ("No verb–noun pairs: {note}.", "동사–명사 쌍 없음: {note}."),
    # Calls
    "usage": ("Calls, tokens, cost", "호출, 토큰, 비용"),
    "stage": ("Stage", "용도"),
    "journaled": ("From the journal", "저널 재사용"),
    "input_tokens": ("Input tokens", "입력 토큰"),
    "output_tokens": ("Output tokens", "출력 토큰"),
    "cached_tokens": ("Cached", "캐시"),
    "all_stages": ("All", "합계"),
    "answered_by": ("Answered by, as the replies say: {models}", "응답에 적힌 실제 모델: {models}"),
    "no_calls": ("Nothing was asked for.", "호출이 없었습니다."),
    # Trajectories
    "trajectories": ("Trajectories", "진화 과정"),
    "sampled": (
        "A sample of {shown} of {total} rows, drawn by row number: the page stays quick, every outcome, reason and "
        "label is in it. The files hold all.",
        "전체 {total}행 가운데 {shown}행을 행 번호로 뽑은 표본입니다. 모든 결과와 이유, 라벨이 빠짐없이 들어 있으며 "
        "전체는 결과 파일에 있습니다.",
    ),
    "whole": ("All {total} rows of this run.", "이 실행의 {total}행 전체입니다."),
    "cut_at": (
        "Texts are cut after {limit} characters.",
        "각 글은 {limit}자까지만 담았습니다.",
    ),
    "needs_script": ("Browsing needs JavaScript.", "행을 둘러보려면 JavaScript가 필요합니다."),
    "search": ("Search", "검색"),
    "search_hint": ("words in any text", "모든 글에서 찾기"),
    "outcome": ("Outcome", "결과"),
    "reason": ("Reason", "이유"),
    "label": ("Label", "라벨"),
    "generation": ("Generation", "세대"),
    "any": ("all", "전체"),
    "reset": ("Reset", "초기화"),
    "found": ("rows found: {count}", "{count}행"),
    "none_found": ("No row fits: change search or filters.", "맞는 행이 없습니다. 검색어나 필터를 바꿔 보세요."),
    "more": ("Show {count} more", "{count}행 더 보기"),
    "seed": ("Seed", "시드"),
    "seed_answer": ("Response of the seed", "시드의 응답"),
    "stage_n": ("Stage {n}", "{n}차 진화"),
    "last_rewrite": ("Last rewrite", "마지막 재작성"),
    "answer": ("Answer", "답변"),
    "raw_reply": ("Reply that could not be read", "읽을 수 없었던 응답 원문"),
    "attempts": ("attempts: {count}", "시도 {count}회"),
    "unfold": ("Show all {count} characters", "{count}자 모두 보기"),
    "missing": ("{count} more characters are in the file", "나머지 {count}자는 파일에 있습니다"),
    "empty_text": ("(empty)", "(비어 있음)"),
    # Settings
    "settings": ("Settings", "설정"),
    "command": ("The command that repeats this run", "이 실행을 되풀이하는 명령"),
    "command_note": (
        "With its journal it makes no call for what is already answered.",
        "저널이 남아 있으면 이미 받은 답은 다시 요청하지 않습니다.",
    ),
    "copy": ("Copy", "복사"),
    "copied": ("Copied", "복사됨"),
    "set_by_you": ("Differs from the default", "기본값과 다른 설정"),
    "all_settings": ("All settings", "모든 설정"),
    "flag": ("Flag", "플래그"),
    "value": ("Value", "값"),
    "all_default": ("Every flag is at its default.", "모든 설정이 기본값입니다."),
    "seconds": ("{s} s", "{s}초"),
    "minutes": ("{m} min {s} s", "{m}분 {s}초"),
    "hours": ("{h} h {m} min", "{h}시간 {m}분"),
}

_STAGES = {
    "explore": ("Explore", "탐색"),
    "evolve": ("Evolve", "진화"),
    "equal": ("Equality", "동일성 판정"),
    "judge": ("Judge", "판정"),
    "respond": ("Answer", "답변"),
    "analyze": ("Analyze", "분석"),
    "optimize": ("Optimize", "개선"),
    "compare": ("Compare", "비교"),
    "tag": ("Tag", "태깅"),
}

_METHODS = {
    "constraints": ("add constraints", "제약 추가"),
    "deepen": ("deepen", "심화"),
    "concretize": ("concretize", "구체화"),
    "reasoning": ("more reasoning steps", "추론 단계 늘리기"),
    "complicate_input": ("complicate the input", "입력 복잡화"),
    "breadth": ("in breadth: a new task", "너비 진화: 새 과제"),
}

_LABELS = {"ok": ("ok", "이상 없음"), "unscored": ("unscored", "미채점")}

# Of each rule, label and other reason: a name, and a sentence that explains it.
_REASONS = {
    "stagnant": (
        (
            "No harder",
            "제자리",
        ),
        ("The rewrite takes no more real work than before.", "꾸밈만 늘었을 뿐 더 어려워지지 않았습니다."),
    ),
    "unsolvable": (
        ("Unsolvable", "풀 수 없음"),
        ("Contradictory, underdetermined or absurd.", "조건이 모순되거나 모자라거나 터무니없습니다."),
    ),
    "lost": (
        ("Information lost", "정보 누락"),
        (
            "A question, constraint, number or input that matters is gone.",
            "중요한 질문, 조건, 수치, 입력이 사라졌습니다.",
        ),
    ),
    "leaked": (
        ("Solution leaked", "풀이 노출"),
        ("The rewrite gives the solution away.", "재작성문이 풀이나 답을 드러냅니다."),
    ),
    "equal": (
        ("Nothing new", "새로움 없음"),
        (
            "The rewrite demands just what its parent does.",
            "요구하는 조건과 깊이, 폭이 부모와 같습니다.",
        ),
    ),
    "near_copy": (
        ("Near copy", "중복에 가까움"),
        ("It nearly repeats another row's instruction.", "다른 행의 지시문과 거의 같습니다."),
    ),
    "unreadable": (
        ("Unreadable reply", "읽을 수 없는 응답"),
        ("The reply held no result under its heading.", "정해진 제목 아래에 결과가 없었습니다."),
    ),
    "length": (
        ("Cut at the limit", "길이 제한에 걸림"),
        ("The reply was cut at the token limit.", "응답이 토큰 제한에서 잘렸습니다."),
    ),
    "content_filter": (
        ("Content filter", "콘텐츠 필터"),
        (
            "The server's content filter stopped the request or the reply.",
            "서버의 콘텐츠 필터가 요청이나 응답을 막았습니다.",
        ),
    ),
    "rejected": (
        ("Refused by the server", "서버가 거부함"),
        (
            "The server refused the request; its words are in rejects.jsonl.",
            "서버가 요청을 거부했습니다. 서버의 말은 rejects.jsonl에 있습니다.",
        ),
    ),
    "too_long": (
        ("Too long", "너무 긺"),
        ("The server found the request longer than its context.", "요청이 서버의 컨텍스트보다 깁니다."),
    ),
    "empty": (
        ("Empty", "비어 있음"),
        (
            "There is no text, or none with a word of its own, or only thoughts.",
            "내용이 없거나, 뜻 있는 낱말이 없거나, 생각뿐입니다.",
        ),
    ),
    "broken_characters": (
        ("Broken characters", "깨진 글자"),
        ("Unreadable characters, or one word without end.", "읽을 수 없는 글자이거나 한 낱말이 끝없이 이어집니다."),
    ),
    "refusal": (
        ("Refusal", "거절"),
        ("It declines, apologizes or moralizes instead.", "답하지 않고 거절하거나 사과하거나 훈계합니다."),
    ),
    "asks_for_input": (
        ("Asks back", "되물음"),
        ("It asks back instead of answering.", "답하지 않고 되묻습니다."),
    ),
    "acknowledgement": (
        ("Mere acknowledgement", "알겠다는 말뿐"),
        ("It promises an answer and stops.", "답하겠다고만 하고 끝납니다."),
    ),
    "does_not_know": (
        ("Does not know", "모른다고 답함"),
        ("It says that it does not know, and leaves it there.", "모른다고만 하고 끝납니다."),
    ),
    "truncated": (
        ("Breaks off", "도중에 끊김"),
        ("It breaks off in the middle.", "글이 중간에 끊겼습니다."),
    ),
    "prompt_leaked": (
        ("Prompt leaked", "프롬프트 노출"),
        ("It holds words of the rewriting prompt.", "재작성 프롬프트의 말이 섞여 있습니다."),
    ),
    "unchanged": (
        ("Unchanged", "그대로임"),
        ("It says what its parent says.", "부모와 같은 말입니다."),
    ),
    "language_changed": (
        ("Language changed", "언어 바뀜"),
        ("It is in another language than its parent.", "부모와 다른 언어로 쓰였습니다."),
    ),
    "shrunk": (
        ("Shrunk", "줄어듦"),
        ("It has lost most of its parent.", "부모의 내용이 대부분 사라졌습니다."),
    ),
    "answers_instead": (
        ("Answers instead", "지시 대신 답함"),
        ("It answers the instruction instead of asking.", "지시문을 고쳐 쓰지 않고 답해 버렸습니다."),
    ),
    "unavailable": (
        ("Unavailable", "응답 없음"),
        (
            "The endpoint gave no answer within all retries.",
            "재시도를 다 해도 서버의 답을 받지 못했습니다.",
        ),
    ),
    "unjudged": (
        ("Unjudged", "판정 없음"),
        ("The judge could not judge it.", "판정 LLM이 판정하지 못했습니다."),
    ),
    "duplicate": (
        ("Duplicate", "중복"),
        ("Another seed has the same text.", "같은 글의 시드가 이미 있습니다."),
    ),
    "not_text": (("Not a text", "글이 아님"), ("The column holds no text.", "열의 값이 글이 아닙니다.")),
    "no_user_turn": (
        ("No user turn", "사용자 발화 없음"),
        ("The conversation has no user turn.", "대화에 사용자 발화가 없습니다."),
    ),
}

# What the page's script says itself.
SCRIPT_KEYS = (
    *("seed", "seed_answer", "stage_n", "last_rewrite", "answer", "raw_reply", "attempts", "unfold"),
    *("missing", "empty_text", "found", "none_found", "more", "generation_n", "copied", "label"),
    *("evolved", "eliminated", "set_aside", "unavailable"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language."""

    lang: Lang

    def __call__(self, key: str, **values: object) -> str:
        """A text of the page, its places filled with `values`. Raises KeyError for a text that there is not."""
        return self._of(_UI[key]).format(**values) if values else self._of(_UI[key])

    def stage(self, name: str) -> str:
        return self._named(_STAGES, name)

    def stage_place(self, name: str) -> tuple[int, str]:
        """What sorts stages in the order in which they take part."""
        return (list(_STAGES).index(name) if name in _STAGES else len(_STAGES)), name

    def method(self, method_id: str) -> str:
        return self._named(_METHODS, method_id)

    def label(self, name: str) -> str:
        return self._named(_LABELS, name) if name in _LABELS else self.reason(name)

    def reason(self, code: str) -> str:
        """The name of a reason; one unknown here names itself."""
        return self._of(_REASONS[code][0]) if code in _REASONS else code

    def why(self, code: str) -> str:
        """A sentence on a reason; empty for one unknown here."""
        return self._of(_REASONS[code][1]) if code in _REASONS else ""

    def for_script(self) -> dict[str, dict[str, str]]:
        """What the page's script needs to name things."""
        return {
            "ui": {key: self(key) for key in SCRIPT_KEYS},
            "reasons": {code: self.reason(code) for code in _REASONS},
            "why": {code: self.why(code) for code in _REASONS},
            "labels": {name: self.label(name) for name in (*_LABELS, *_REASONS)},
            "methods": {name: self.method(name) for name in _METHODS},
        }

    def _named(self, table: dict[str, tuple[str, str]], name: str) -> str:
        return self._of(table[name]) if name in table else name

    def _of(self, pair: tuple[str, str]) -> str:
        return pair[1] if self.lang == "ko" else pair[0]
