"""Flags: names and defaults of the contract, values that are checked, settings that make a run another one."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from utils.command.arguments import build_parser, parse_arguments
from utils.command.flags_page import page
from utils.config import RunConfig
from utils.errors import ConfigError, EndpointError
from utils.llm_config import LLMConfig
from utils.schema import Sampling

KEYS = {"model", "base_url", "api_key_env", "temperature", "top_p", "max_tokens", "timeout", "max_retries", "seed"}


def parse(*argv: str) -> RunConfig:
    return parse_arguments(["--offline", *argv])


def test_the_defaults_of_the_contract():
    config = parse()
    assert (config.train_size, config.dev_size, config.seed, config.batch_size) == (20, 50, 42, 10)
    assert (config.max_steps, config.loop, config.candidate_size, config.test_run) == (3, 3, 5, 0)
    assert (config.result, config.run_folder) == (Path("evolution_result.json"), Path("evolution_result.run"))
    assert (config.method, config.judge, config.generations, config.attempts) == ("auto", "all", 1, 2)
    for llm in (config.evol_llm_config, config.optim_llm_config):
        assert (llm.model, llm.base_url) == ("deepseek-flash", "https://api.deepseek.com")
        assert (llm.timeout, llm.max_retries, llm.max_tokens) == (600, 6, None)


def test_every_setting_has_a_flag():
    assert RunConfig.model_fields.keys() <= {action.dest for action in build_parser()._actions}


@pytest.mark.parametrize("flag", ["--max-steps", "--max-step"])
def test_both_spellings_of_steps(flag):
    assert parse(flag, "7").max_steps == 7


@pytest.mark.parametrize(("given", "meant"), [("1", 1), ("0", 0), ("True", 1), ("false", 0)])
def test_a_test_run_is_switched_on_in_several_ways(given, meant):
    assert parse("--test-run", given).test_run == meant


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--loop", "0"), ["--loop", "'0'"]),
        (("--batch-size", "0"), ["--batch-size"]),
        (("--batch-size", "many"), ["--batch-size", "many"]),
        (("--min-retention", "1.5"), ["--min-retention"]),
        (("--max-cost", "nan"), ["--max-cost"]),
        (("--judge", "some"), ["--judge", "some", "dev"]),
        (("--test-run", "2"), ["--test-run"]),
        (("--test-run", "often"), ["--test-run", "often"]),
        (("--save-path", "x.csv"), ["--save-path", ".parquet"]),
        (("--evol-llm-config", "model='x"), ["quote"]),
        (("--max-cost", "1"), ["price_in", "--evol-llm-config"]),
        (("--max-cost", "1", "--evol-llm-config", "price_in=1", "price_out=1"), ["--optim-llm-config"]),
    ],
)
def test_a_wrong_value_is_named_in_one_line(flags, words):
    with pytest.raises(ConfigError) as caught:
        parse(*flags)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("flags", [("--train", "4"), ("--seed",), ("--no-such-flag",), ("stray",)])
def test_flags_are_written_in_full_and_known(flags, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*flags)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


def test_a_later_flag_overrides_an_earlier_one():
    assert parse("--seed", "1", "--seed", "2").seed == 2


# --- The two llm-configs ---------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("model=a b=c", "temperature=0.5"), ("model='a b'", "temperature=0.5")])
def test_words_and_quoted_strings(words):
    if "b=c" in words[0]:
        with pytest.raises(ConfigError, match="unknown key 'b'"):
            parse("--evol-llm-config", *words)
    else:
        config = parse("--evol-llm-config", *words).evol_llm_config
        assert (config.model, config.temperature) == ("a b", 0.5)
        assert parse("--evol-llm-config", " ".join(words)).evol_llm_config == config


def test_the_keys_of_the_contract_are_known():
    assert KEYS | {"price_in", "price_out"} <= LLMConfig.model_fields.keys()


def test_what_is_wrong_lists_the_known_keys():
    with pytest.raises(ConfigError) as caught:
        parse("--optim-llm-config", "modle=x")
    assert all(key in str(caught.value) for key in KEYS)
    assert "--optim-llm-config" in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        *("temperature=3", "temperature=-0.1", "temperature=warm", "temperature=nan", "top_p=0", "top_p=1.1"),
        *("max_tokens=0", "max_tokens=1.5", "max_retries=-1", "timeout=0", "timeout=inf", "price_in=-1", "model="),
        *("base_url=localhost:8000", "base_url=ftp://x", "base_url=http://", "api_key_env=MY-KEY", "price_in=nan"),
    ],
)
def test_bad_values_are_refused_by_name(word):
    with pytest.raises(ConfigError) as caught:
        parse("--evol-llm-config", word)
    assert word.partition("=")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "https://x.org", "http://[::1]:80/v1", "http://10.0.0.1:1"]
)
def test_urls_of_servers(url):
    assert parse("--evol-llm-config", f"base_url={url}").evol_llm_config.base_url == url


@pytest.mark.parametrize(
    ("config", "stage", "sampling"),
    [
        ({}, "evolve", Sampling(0.0)),
        ({}, "respond", Sampling(0.0)),
        ({}, "judge", Sampling(0.0)),
        ({}, "analyze", Sampling(0.6, 0.95)),
        ({}, "optimize", Sampling(0.6, 0.95)),
        ({"temperature": 1, "max_tokens": 9, "seed": 3}, "optimize", Sampling(1.0, 0.95, 9, 3)),
        ({"temperature": "none", "top_p": "none"}, "optimize", Sampling()),
        ({"temperature": 0}, "analyze", Sampling(0.0, 0.95)),
    ],
)
def test_sampling_is_the_stages_own_unless_it_is_set(config, stage, sampling):
    assert LLMConfig(**config).sampling(stage) == sampling


def test_cost_is_per_million_tokens_and_cached_ones_may_be_cheaper():
    priced = LLMConfig(price_in="0.5", price_out="2", price_cached="0.1")
    assert priced.cost(1_000_000, 500_000, 400_000) == Decimal("1.34")
    assert LLMConfig(price_in=1, price_out=1).cost(10, 0, 10) == Decimal("0.00001")
    assert LLMConfig().cost(5, 5) == 0


# --- Keys ------------------------------------------------------------------------------------------


def test_a_key_is_read_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", " sk-1 \n")
    assert LLMConfig(api_key_env="MY_KEY", base_url="https://x.org").api_key() == "sk-1"


def test_where_a_key_is_needed_and_where_not(monkeypatch):
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    monkeypatch.delenv("GONE", raising=False)
    for local in ("http://localhost:1/v1", "http://127.0.0.1:1/v1", "http://[::1]:1/v1"):
        assert LLMConfig(base_url=local).api_key() == "none"
        with pytest.raises(EndpointError, match="GONE"):
            LLMConfig(base_url=local, api_key_env="GONE").api_key()
    with pytest.raises(EndpointError, match="DEEPSEEK_API_KEY"):
        LLMConfig().api_key()


@pytest.mark.parametrize("host", ["api.openai.com", "deepseek.com.evil.org", "evildeepseek.com"])
def test_the_key_of_deepseek_goes_nowhere_else(monkeypatch, host):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-1")
    assert LLMConfig().api_key() == "sk-1"
    with pytest.raises(EndpointError, match="api_key_env"):
        LLMConfig(base_url=f"https://{host}/v1").api_key()


# --- Replays ---------------------------------------------------------------------------------------


def test_a_replay_takes_the_settings_of_its_recording_unless_they_are_given(tmp_path):
    made = parse("--seed", "7", "--max-steps", "1", "--evol-llm-config", "model=m", "temperature=1")
    recording = tmp_path / "j.jsonl"
    recording.write_text(json.dumps({"settings": made.determining()}) + "\n", encoding="utf-8")
    replayed = parse_arguments(["--replay", str(recording), "--max-steps", "2"])
    assert (replayed.seed, replayed.max_steps, replayed.offline) == (7, 2, True)
    assert (replayed.evol_llm_config.model, replayed.evol_llm_config.temperature) == ("m", 1)


@pytest.mark.parametrize(
    "line",
    [
        *("", "no JSON", "5", "[1]", '{"settings": 5}', '{"settings": ["offline"]}', "\x00"),
        *('{"settings": {"evol_llm_config": "model=x"}}', '{"settings": {"evol_llm_config": 5}}'),
        *('{"settings": {"offline": true, "colour": "red"}}', '{"settings": {"offline": true, "seed": []}}'),
    ],
)
def test_a_recording_of_something_else_is_refused(tmp_path, line):
    (tmp_path / "j.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        parse_arguments(["--replay", str(tmp_path / "j.jsonl")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_recording_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "j.jsonl"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"j\.jsonl"):
        parse_arguments(["--replay", str(path)])


# --- What makes a run another one ------------------------------------------------------------------

HOW = (
    *(("--batch-size", "3"), ("--save-path", "y.jsonl"), ("--max-calls", "5"), ("--min-retention", "0.5")),
    *(("--export-journal", "j"), ("--quiet",), ("--log-level", "debug"), ("--fresh",)),
    *(("--evol-llm-config", word) for word in ("timeout=5", "max_retries=1", "price_in=1", "api_key_env=X", "rpm=5")),
)
WHAT = (
    *(("--seed", "1"), ("--max-steps", "1"), ("--judge", "dev"), ("--generations", "2"), ("--attempts", "1")),
    *(("--data-path", "x.jsonl"), ("--test-run", "1"), ("--method", "m.txt"), ("--dev-size", "9"), ("--patience", "1")),
    *(("--evol-llm-config", word) for word in ("model=x", "temperature=1", "max_tokens=5", "seed=1", "top_p=0.5")),
    ("--optim-llm-config", "model=x"),
)


@pytest.mark.parametrize("flags", HOW, ids=" ".join)
def test_how_a_run_is_done_does_not_make_it_another(flags):
    assert parse(*flags).determining() == parse().determining()


@pytest.mark.parametrize("flags", WHAT, ids=" ".join)
def test_what_is_done_does(flags):
    assert parse(*flags).determining() != parse().determining()


def test_settings_survive_json():
    settings = parse("--evol-llm-config", "temperature=0.1", "--seed", "-5").determining()
    assert json.loads(json.dumps(settings)) == settings


# --- On a cluster ---------------------------------------------------------------------------------

RAY = ("--engine", "ray")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--ray-address", "head:6379"), "--ray-address needs --engine ray"),
        (("--save-path", "s3://bucket/x.parquet"), "needs --engine ray"),
        ((*RAY, "--save-path", "s3://bucket/x.json"), "takes the partitions of --save-path NAME.parquet"),
        ((*RAY, "--save-path", "s3://bucket/x.parquet", "--export", "alpaca"), "and nothing else"),
        ((*RAY, "--save-path", "s3://me:secret@bucket/x.parquet"), "leave out password and options"),
        ((*RAY, "--save-path", "s3://bucket/out?region=eu/x.parquet"), "leave out password and options"),
        ((*RAY, "--save-path", "x.parquet", "--push-to-hub", "me/mine"), "needs one file"),
        ((*RAY, "--ray-address", "ray://head:10001"), "start this on a node of the cluster"),
        (("--data-path", "s3://me:secret@bucket/x.jsonl"), "--data-path holds a password"),
    ],
)
def test_what_does_not_go_together_on_a_cluster_is_one_line(flags, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse("--offline", *flags)
    assert "secret" not in str(caught.value)


def test_a_result_in_an_object_store_has_its_small_files_here():
    pytest.importorskip("ray")
    config = parse("--offline", *RAY, "--save-path", "s3://bucket/out/x.parquet")
    assert (config.result, config.run_folder, config.in_partitions) == (Path("x.parquet"), Path("x.run"), True)
    assert config.on_store(config.result) == "s3://bucket/out/x.parquet"
    assert config.on_store(config.run_folder / "compare/1") == "s3://bucket/out/x.run/compare/1"
    here = parse("--offline", *RAY, "--save-path", "out/x.json")
    assert (here.on_store(here.run_folder), here.in_partitions) == ("out/x.run", False)


def test_each_worker_has_its_share():
    llm = ("--evol-llm-config", "rpm=90", "tpm=600")
    share = parse("--offline", *llm).for_worker(3, 4)
    assert (share.batch_size, share.evol_llm_config.rpm, share.evol_llm_config.tpm) == (4, 30, 200)
    assert share.optim_llm_config.rpm is None
    assert parse("--offline").for_worker(3, None).batch_size == "auto"


def test_no_honest_work_is_taken_for_silence():
    assert parse("--offline").longest_silence == 8 * 600 + 60 * 10
    assert parse("--offline", "--optim-llm-config", "timeout=1000", "outage_minutes=60").longest_silence == 11600
    brief = ("timeout=1", "outage_minutes=0.1")
    assert parse("--offline", "--evol-llm-config", *brief, "--optim-llm-config", *brief).longest_silence == 600


# --- Further fields of a request --------------------------------------------------------------------


def extra_of(*words: str) -> dict:
    return parse("--evol-llm-config", *words).evol_llm_config.extra


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["extra.thinking.type=disabled"], {"thinking": {"type": "disabled"}}),
        (["extra.reasoning_effort=low", "extra.top_k=20"], {"reasoning_effort": "low", "top_k": 20}),
        (['extra.kwargs={"enable_thinking": false}'], {"kwargs": {"enable_thinking": False}}),
        (['model=m extra.a={"b": "c d"} extra.e=[1, 2] temperature=0'], {"a": {"b": "c d"}, "e": [1, 2]}),
        (['extra.a={"b": 1}', "extra.a.c=2"], {"a": {"b": 1, "c": 2}}),
        (["extra.a.c=2", 'extra.a={"b": 1}'], {"a": {"c": 2, "b": 1}}),
        (['extra.text="1"', "extra.nothing=null", "extra.yes=true", "extra.nan=NaN"],
         {"text": "1", "nothing": None, "yes": True, "nan": "NaN"}),
        (["extra.empty="], {"empty": ""}),
    ],
)  # fmt: skip
def test_further_fields_nest_and_are_json_where_they_can_be(words, extra):
    assert extra_of(*words) == extra


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["extra.model=x"], "a key of its own"),
        (["extra.temperature=1"], "a key of its own"),
        (["extra.stream=true"], "cannot be set"),
        (["extra.messages=[]"], "cannot be set"),
        (["extra.=1"], "empty name"),
        (["extra.a..b=1"], "empty name"),
        (["extra.a=1", "extra.a.b=2"], "already"),
        (["extra.a.b=2", "extra.a=1"], "already"),
        (["extra.a={enable_thinking:false}"], "single quotes"),
        (["extras.a=1"], "known keys"),
    ],
)
def test_further_fields_that_cannot_be_meant_are_told(words, told):
    with pytest.raises(ConfigError, match=told):
        extra_of(*words)


def test_further_fields_are_the_same_text_in_any_order():
    one, other = (parse("--evol-llm-config", *words).evol_llm_config.sampling("evolve")
                  for words in (["extra.a=1", "extra.b=2"], ["extra.b=2", "extra.a=1"]))  # fmt: skip
    assert one == other
    assert parse().evol_llm_config.sampling("evolve").extra is None


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/v1/chat/completions/", "https://h/v1"),
        ("https://h/v1/", "https://h/v1"),
        ("https://h/d/N/chat/completions?api-version=1", "https://h/d/N?api-version=1"),
    ],
)
def test_the_whole_address_of_an_endpoint_is_taken_for_its_base(given, meant):
    assert parse("--evol-llm-config", f"base_url={given}").evol_llm_config.base_url == meant


def test_the_name_of_the_default_model_stands_in_one_place():
    from utils.llm_config import DEEPSEEK_MODEL

    project = Path(__file__).parents[3]
    sources = [path for path in project.rglob("*.py") if ".venv" not in path.parts and "tests" not in path.parts]
    assert [path.name for path in sources if f'"{DEEPSEEK_MODEL}"' in path.read_text(encoding="utf-8")] == [
        "llm_config.py"
    ]


@pytest.mark.parametrize(
    "flags", [["--reasoning", "think"], ["--reasoning", "field", "--export", "alpaca"], ["--reasoning", "x"]]
)
def test_how_thoughts_are_exported_has_to_fit(flags):
    with pytest.raises(ConfigError, match="--reasoning"):
        parse(*flags)


def test_the_page_of_flags_is_current():
    """If not: `python -m utils.command.flags_page > docs/flags.md`."""
    assert (Path(__file__).parents[3] / "docs/flags.md").read_text(encoding="utf-8") == page()


def test_the_weak_llm_is_on_the_server_of_the_evol_llm_unless_it_has_one_of_its_own():
    evol = ("--evol-llm-config", "model=big", "base_url=http://a/v1", "api_key_env=A", "price_in=3", "extra.x=1")
    weak = parse("--offline", *evol, "--weak-llm-config", "extra.thinking.type=disabled").weak_llm_config
    assert (weak.model, weak.base_url, weak.api_key_env, weak.price_in) == ("big", "http://a/v1", "A", 3)
    assert weak.extra == {"x": 1, "thinking": {"type": "disabled"}}
    small = parse("--offline", *evol, "--weak-llm-config", "model=small").weak_llm_config
    assert (small.model, small.base_url, small.api_key_env, small.price_in) == ("small", "http://a/v1", "A", None)
    other = parse("--offline", *evol, "--weak-llm-config", "model=small", "base_url=http://b/v1").weak_llm_config
    assert (other.api_key_env, other.extra) == (None, {})
    assert parse("--offline", *evol).weak_llm_config is None
