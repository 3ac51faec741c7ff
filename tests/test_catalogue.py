"""The catalogue that is shipped: what every profile must be, and what its tables mean."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydantic import BaseModel

from multimodel.config.facts import FACTS_AGE, PRICES_AGE, is_stale
from multimodel.providers.catalogue import load_profiles, packaged_directory, profiles
from multimodel.providers.profile import ErrorRow, Fact, ModelFacts, Price, Profile
from multimodel.wire.faults import Fault, classify

CATALOGUE = profiles({})
ROOT = Path(__file__).parents[1]
RELEASED = date(2026, 11, 29)
"""The day of the release that ships this catalogue. A release moves it, and looks up again what is too old by then."""


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_tool", ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


def models() -> Iterator[tuple[str, Profile, ModelFacts]]:
    for profile in CATALOGUE.values():
        for name, facts in profile.models.items():
            yield f"{profile.name}:{name}", profile, facts


def test_the_vendors_of_the_first_release_are_there():
    assert set(CATALOGUE) >= {
        "dashscope", "local", "openai", "anthropic", "google", "deepseek", "moonshot", "zhipu", "mistral", "groq",
        "together", "fireworks", "openrouter", "azure", "bedrock", "vertex", "xai", "siliconflow", "ollama", "vllm",
        "sglang", "llama-cpp", "litellm",
    }  # fmt: skip


def test_every_file_is_a_profile_of_its_own_name():
    files = sorted(packaged_directory().glob("*.yaml"))
    assert [CATALOGUE[file.stem].name for file in files] == [file.stem for file in files]


def test_the_schema_and_the_page_are_not_stale():
    made = tool("catalogue")
    directory = ROOT / "providers"
    assert (directory / "schema.json").read_text(encoding="utf-8") == made.schema(), "run `python tools/catalogue.py`"
    page = made.readme(load_profiles(directories=[directory]).values())
    assert (directory / "README.md").read_text(encoding="utf-8") == page, "run `python tools/catalogue.py`"


def test_prices_are_compared_a_million_tokens_with_a_million_tokens():
    prices = tool("prices")
    rows = {"groq/openai/gpt-oss-120b": {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 7e-07}}
    found = list(prices.compare([CATALOGUE["groq"]], lambda *named: prices.of_litellm(rows, *named)))
    assert [theirs is None for _, _, theirs in found] == [False, True, True]
    target, ours, theirs = found[0]
    assert (target, str(theirs)) == ("groq:openai/gpt-oss-120b", "0.15 / 0.7 / ?")
    assert theirs.differs(ours)
    assert not theirs.differs(ours.model_copy(update={"output": 0.7001}))


def test_the_price_that_has_begun_last_is_compared():
    prices = tool("prices")
    begun, coming = (SimpleNamespace(start_date=date(2026, 11, day)) for day in (29, 30))
    offered = [(None, "first"), (begun, "second"), (SimpleNamespace(start_time=0), "nightly"), (coming, "third")]
    given = [SimpleNamespace(constraint=constraint, prices=price) for constraint, price in offered]
    assert prices._in_force(given, RELEASED) == "second"


@pytest.mark.parametrize("name", sorted(path.stem for path in packaged_directory().glob("*.yaml")))
def test_the_schema_accepts_every_file(name: str):
    import jsonschema
    import yaml

    from multimodel.providers.profile_file import _loader

    given = yaml.load((packaged_directory() / f"{name}.yaml").read_text(encoding="utf-8"), Loader=_loader())
    jsonschema.validate(given, json.loads((ROOT / "providers" / "schema.json").read_text(encoding="utf-8")))


def test_the_example_of_the_page_is_a_profile(tmp_path: Path):
    page = (ROOT / "providers" / "README.md").read_text(encoding="utf-8")
    (tmp_path / "example.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert load_profiles(directories=[tmp_path])["example"].endpoint("default")


def test_law_and_error_tables_have_a_source_of_their_own():
    for profile in CATALOGUE.values():
        assert profile.jurisdiction is None or "jurisdiction" in profile.sources, profile.name
        assert not profile.errors or "errors" in profile.sources, profile.name
        assert profile.otel is None or "otel" in profile.sources, profile.name
        assert profile.jurisdiction is None or profile.operator is not None, profile.name


def test_sources_name_fields():
    for profile in CATALOGUE.values():
        assert profile.sources.keys() <= Profile.model_fields.keys(), profile.name
    for target, _profile, facts in models():
        assert facts.sources.keys() <= ModelFacts.model_fields.keys(), target


def dated(part: object, path: str) -> Iterator[tuple[str, Fact]]:
    """Every fact in a profile, and the way to it."""
    if isinstance(part, Fact):
        yield path, part
    elif isinstance(part, BaseModel):
        for field in type(part).model_fields:
            yield from dated(getattr(part, field), f"{path}.{field}")
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from dated(value, f"{path}.{name}")
    elif isinstance(part, tuple):
        for value in part:
            yield from dated(value, path)


FACTS = [place for profile in CATALOGUE.values() for place in dated(profile, profile.name)]


def test_sources_are_not_of_the_future():
    assert [path for path, fact in FACTS if fact.date > RELEASED] == []


def test_sources_are_not_too_old_for_the_release():
    old = [
        f"{path}: {fact.date}"
        for path, fact in FACTS
        if not path.endswith(".jurisdiction")  # a seat does not age; when it moves, that is news
        and is_stale(fact, PRICES_AGE if ".prices." in path else FACTS_AGE, RELEASED)
    ]
    assert old == [], "look them up again"


def test_laws_are_two_letters_and_places_too_unless_they_are_words():
    for profile in CATALOGUE.values():
        assert profile.jurisdiction is None or (len(profile.jurisdiction) == 2 and profile.jurisdiction.isupper())
        for endpoint in profile.endpoints.values():
            for place in (*(endpoint.stored_in or ()), *(endpoint.inference_in or ())):
                assert (len(place) == 2 and place.isupper()) or place in {"international", "global"}, place


def test_endpoints_are_https_or_on_this_machine_and_end_before_the_path():
    for profile in CATALOGUE.values():
        for endpoint in profile.endpoints.values():
            for url in (endpoint.url, endpoint.workspace_url):
                assert url is None or url.startswith(("https://", "http://localhost:")), profile.name
                assert url is None or url.count("/") == 2, profile.name
        for protocol in profile.protocols.values():
            assert protocol.path == "" or (protocol.path.startswith("/") and not protocol.path.endswith("/"))


def test_what_the_user_runs_has_no_operator_and_needs_no_key():
    for name in ("local", "ollama", "vllm", "sglang", "llama-cpp"):
        assert (CATALOGUE[name].operator, CATALOGUE[name].key_required) == (None, False)


def test_a_default_model_is_listed_and_goes_on():
    for profile in CATALOGUE.values():
        if profile.default_model is not None:
            facts = profile.models[profile.default_model]
            assert facts.retired is None, profile.name
            assert facts.prices, profile.name


def test_authors_are_known():
    assert [target for target, _profile, facts in models() if facts.author is None] == []


def test_tiers_of_prices_ascend_and_only_the_last_is_open():
    for target, profile, facts in models():
        by_region: dict[str | None, list[Price]] = {}
        for price in facts.prices:
            assert price.region is None or price.region in profile.endpoints, target
            by_region.setdefault(price.region, []).append(price)
        assert None not in by_region or len(by_region) == 1, target
        for tiers in by_region.values():
            bounds = [tier.up_to or float("inf") for tier in tiers]
            assert bounds == sorted(set(bounds)), target


def test_a_replacement_exists_and_goes_on():
    for target, profile, facts in models():
        if facts.replaced_by is not None:
            assert profile.models[facts.replaced_by].retired is None, target
        assert facts.retired is None or facts.retired > RELEASED or facts.replaced_by is not None, target


def test_features_are_not_both_had_and_lacked():
    for target, _profile, facts in models():
        assert set(facts.features).isdisjoint(facts.lacks), target
        assert facts.thinking != "none" or "reasoning" not in facts.features, target


def test_embeddings_have_the_feature_and_nothing_of_a_chat():
    for target, _profile, facts in models():
        assert "embeddings" not in facts.features or facts.features == ("embeddings",), target
        assert "embed_rows" not in facts.quirks or "embeddings" in facts.features, target


def test_the_same_weights_have_the_same_author_and_licence_everywhere():
    known: dict[str, tuple[str | None, str | None, str | None]] = {}
    for target, _profile, facts in models():
        if facts.weights_id is not None and facts.licence is not None:
            same = (facts.author, facts.licence, facts.restricts)
            assert known.setdefault(facts.weights_id, same) == same, target


def test_what_a_licence_restricts_has_a_licence_and_open_weights():
    for target, _profile, facts in models():
        assert facts.restricts is None or (facts.licence and facts.open_weights), target


def test_weights_of_qwen_that_restrict_are_known():
    local = CATALOGUE["local"].models
    assert {name for name, facts in local.items() if facts.restricts} == {"qwen3.8-flash-next", "qwen3.8-2.4t-a95b"}


def test_no_model_of_dashscope_is_counted_on_to_keep_to_a_schema():
    for name, facts in CATALOGUE["dashscope"].models.items():
        assert "json_object" not in facts.features or "json_schema" in facts.lacks, name


def test_vendors_that_litellm_reaches_say_its_name_for_them():
    through = {profile.name: profile.litellm for profile in CATALOGUE.values() if profile.adapter == "litellm"}
    assert through == {"anthropic": "anthropic", "bedrock": "bedrock", "vertex": "vertex_ai", "litellm": None}


def test_every_row_of_an_error_table_can_be_reached():
    for profile in CATALOGUE.values():
        for index, row in enumerate(profile.errors):
            above = [earlier for earlier in profile.errors[:index] if covers(earlier, row)]
            assert above == [], f"{profile.name}: {row} is never reached"


def covers(wide: ErrorRow, narrow: ErrorRow) -> bool:
    """Whether ``wide`` matches all that ``narrow`` does."""
    return (
        (wide.status is None or wide.status == narrow.status)
        and (wide.text is None or (narrow.text is not None and wide.text.lower() in narrow.text.lower()))
        and (wide.code is None or (narrow.code is not None and within(narrow.code.lower(), wide.code.lower())))
    )


def within(code: str, pattern: str) -> bool:
    return code.startswith(pattern[:-1]) if pattern.endswith("*") else code == pattern


def test_all_six_regions_of_dashscope_are_found_by_either_name():
    dashscope = CATALOGUE["dashscope"]
    names = {
        "singapore": "ap-southeast-1", "beijing": "cn-beijing", "virginia": "us-east-1", "frankfurt": "eu-central-1",
        "tokyo": "ap-northeast-1", "hong-kong": "cn-hongkong",
    }  # fmt: skip
    assert dashscope.region == "singapore"
    for name, alias in names.items():
        assert dashscope.endpoint(name) == dashscope.endpoint(alias) == (name, dashscope.endpoints[name])


def test_no_region_of_dashscope_claims_to_infer_in_one_place():
    for endpoint in CATALOGUE["dashscope"].endpoints.values():
        assert endpoint.inference_in in (None, ("global",), ("international",))


def test_models_of_dashscope_that_take_images_are_on_the_multimodal_path():
    for name, facts in CATALOGUE["dashscope"].models.items():
        if facts.modalities is not None and "embeddings" not in facts.features:
            multimodal = "image" in facts.modalities or name == "qwen3.8-max"
            assert facts.native_path == ("multimodal" if multimodal else "text"), name


CLASSES = [
    (400, "InvalidParameter", "", "bad_request"),
    (400, "invalid_parameter_error", "", "bad_request"),
    (400, "InternalError.Algo.InvalidParameter", "", "bad_request"),
    (400, "BadRequest.EmptyInput", "", "bad_request"),
    (400, "InvalidParameter.Format", "", "bad_request"),
    (400, "InvalidSchema.Name", "", "bad_request"),
    (400, "invalid_value", "", "bad_request"),
    (400, "InvalidParameter", "Range of input length should be [1, 98304]", "context_window_exceeded"),
    (400, "InvalidParameter", "Total message token length exceed model limit", "context_window_exceeded"),
    (400, "context_length_exceeded", "", "context_window_exceeded"),
    (400, "InvalidParameter", "url error, please check url", "bad_request"),
    (400, "InvalidParameter", "Model not exist.", "model_not_found"),
    (400, "DataInspectionFailed", "", "content_filtered"),
    (None, "data_inspection_failed", "", "content_filtered"),
    (400, "IPInfringementSuspect", "", "content_filtered"),
    (400, "InvalidParameter.DataInspection", "", "bad_request"),
    (400, "InvalidURL.Timeout", "url error", "bad_request"),
    (400, "BadRequest.TooLarge", "", "bad_request"),
    (400, "InvalidInputLength", "", "bad_request"),
    (400, "Throttling.AllocationQuota", "", "bad_request"),
    (400, "Arrearage", "", "quota_exhausted"),
    (400, "APIConnectionError", "", "connection.maybe_sent"),
    (400, "ServiceUnavailableError", "Role must be user or assistant", "bad_request"),
    (400, "UnsupportedOperation", "", "bad_request"),
    (401, "InvalidApiKey", "", "authentication"),
    (401, "invalid_api_key", "", "authentication"),
    (401, "NOT AUTHORIZED", "", "authentication"),
    (401, None, "invalid access token or token expired", "authentication"),
    (403, "AccessDenied", "", "permission_denied"),
    (403, "Endpoint.AccessDenied", "", "permission_denied"),
    (403, "AccessDenied.Unpurchased", "", "permission_denied"),
    (403, "AllocationQuota.FreeTierOnly", "", "quota_exhausted"),
    (404, "ModelNotFound", "", "model_not_found"),
    (404, "model_not_supported", "", "model_not_found"),
    (404, "Model.NotExist", "", "model_not_found"),
    (404, "WorkSpaceNotFound", "", "permission_denied"),
    (404, "NotFound", "", "model_not_found"),
    (429, "Throttling", "", "rate_limited"),
    (429, "Throttling.RateQuota", "", "rate_limited"),
    (429, "limit_requests", "", "rate_limited"),
    (429, "Throttling.BurstRate", "", "rate_limited"),
    (429, "limit_burst_rate", "", "rate_limited"),
    (429, "Throttling.Concurrency", "", "rate_limited"),
    (429, "Throttling.AllocationQuota", "Allocated quota exceeded", "rate_limited"),
    (429, "insufficient_quota", "You exceeded your current quota", "rate_limited"),
    (429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", "quota_exhausted"),
    (429, "insufficient_quota", "Free allocated quota exceeded.", "quota_exhausted"),
    (429, "PostpaidBillOverdue", "", "quota_exhausted"),
    (500, "InternalError", "", "server_error"),
    (500, "internal_error", "", "server_error"),
    (500, "InternalError.Algo", "Expecting ',' delimiter", "server_error"),
    (500, "InternalError.Algo", "list index out of range", "bad_request"),
    (500, "internal_error", "Role must be in [user, assistant]", "bad_request"),
    (500, "SystemError", "", "server_error"),
    (500, "RequestTimeOut", "", "timeout.whole"),
    (504, "InternalError.Timeout", "", "timeout.whole"),
    (503, "ModelServingError", "", "overloaded"),
    (503, "ModelUnavailable", "", "overloaded"),
]


@pytest.mark.parametrize(("status", "code", "text", "kind"), CLASSES)
def test_the_table_of_dashscope_says_what_each_error_means(status: int | None, code: str | None, text: str, kind: str):
    assert meaning("dashscope", status, Fault(code=code, message=text)) == kind


def test_the_allowance_of_a_rate_is_no_mistake_of_the_request_inside_a_stream():
    assert meaning("dashscope", None, Fault(code="Throttling.AllocationQuota")) == "rate_limited"


OTHERS = [
    ("openai", 429, Fault("credit_balance_exhausted", type="insufficient_quota"), "quota_exhausted"),
    ("openai", 429, Fault(type="insufficient_quota"), "quota_exhausted"),
    ("openai", 429, Fault("rate_limit_exceeded", type="tokens"), "rate_limited"),
    ("openai", 403, Fault("unsupported_country_region_territory", type="request_forbidden"), "permission_denied"),
    ("openai", 400, Fault("context_length_exceeded", type="invalid_request_error"), "context_window_exceeded"),
    ("deepseek", 402, Fault("invalid_request_error", "Insufficient Balance"), "quota_exhausted"),
    ("moonshot", 429, Fault(type="exceeded_current_quota_error"), "quota_exhausted"),
    ("moonshot", 429, Fault(type="engine_overloaded_error"), "overloaded"),
    ("moonshot", 400, Fault(None, "Input token length too long", "invalid_request_error"), "context_window_exceeded"),
    ("moonshot", 400, Fault(type="content_filter"), "content_filtered"),
    ("zhipu", 429, Fault("1113"), "quota_exhausted"),
    ("zhipu", 429, Fault("1302"), "rate_limited"),
    ("zhipu", 400, Fault("1214"), "bad_request"),
    ("zhipu", 400, Fault("1211"), "model_not_found"),
    ("zhipu", 400, Fault("1301"), "content_filtered"),
    ("mistral", 400, Fault("unknown_model"), "model_not_found"),
    ("groq", 498, Fault("capacity_exceeded"), "overloaded"),
    ("openrouter", 403, Fault(None, "requires moderation and your input was flagged"), "content_filtered"),
    ("openrouter", None, Fault(status=402), "quota_exhausted"),
    ("siliconflow", 400, Fault("20012"), "model_not_found"),
    ("anthropic", 400, Fault(None, "Your credit balance is too low", "invalid_request_error"), "quota_exhausted"),
    ("anthropic", 529, Fault(type="overloaded_error"), "overloaded"),
    ("google", 400, Fault(None, "API key not valid. Please pass one.", "INVALID_ARGUMENT"), "authentication"),
    ("google", 429, Fault(None, "", "RESOURCE_EXHAUSTED"), "rate_limited"),
    ("xai", 403, Fault(None, "Your newly created team doesn't have any credits or licenses yet."), "quota_exhausted"),
    ("xai", 429, Fault(None, "Your team has either used all available credits or reached …"), "quota_exhausted"),
    ("fireworks", 412, Fault(), "quota_exhausted"),
    ("azure", 404, Fault("DeploymentNotFound"), "model_not_found"),
    ("azure", 400, Fault("content_filter"), "content_filtered"),
]


@pytest.mark.parametrize(("vendor", "status", "fault", "kind"), OTHERS)
def test_the_tables_of_the_others_do_too(vendor: str, status: int | None, fault: Fault, kind: str):
    assert meaning(vendor, status, fault) == kind


def meaning(vendor: str, status: int | None, fault: Fault) -> str:
    return classify(status, fault, tuple(row.rule() for row in CATALOGUE[vendor].errors))[0]
