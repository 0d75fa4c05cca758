"""Documents and data sets in, a split and decontaminated data set out."""

from typing import Any, NamedTuple

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.versions import stored
from steps.dedup.step import dedup_exact, dedup_minhash, dedup_semantic
from steps.extraction.sources import Sources, hash_paths
from steps.extraction.step import extract_documents
from steps.filtering.step import filter_examples
from steps.judging.step import judge_examples
from steps.mixing.step import mix_dataset
from steps.reporting.step import report_curation
from steps.splitting.benchmarks import benchmark_files
from steps.splitting.step import decontaminate_dataset, split_dataset
from steps.synthesis.step import synthesise_examples
from steps.training.step import prepare_base_model


class Curated(NamedTuple):
    """What the later pipelines take from curation."""

    base_model: Any
    sft_dataset: Any
    imported_preferences: Any
    curation_report: Any


def curation_steps(config: RunConfig, sources_hash: str, previous_splits: str = "") -> Curated:
    """Add the steps of curation to the pipeline being built; `previous_splits` is the id of the splits to honour."""
    chosen = config.curation
    text_path = config.model.tiny.text_path
    base_model = prepare_base_model(settings=config.model, text_hash=hash_paths([text_path] if text_path else []))
    documents, imported, preferences, extract_ledger = extract_documents(
        sources=Sources(sources=config.sources), settings=chosen.extract, fingerprint=sources_hash
    )
    generate = chosen.synthesise.generate
    examples, synthesise_ledger, _, generate_ledger, ground_ledger, synthesise_report = synthesise_examples(
        documents=documents,
        imported_examples=imported,
        settings=chosen.synthesise,
        base_model=base_model if generate is not None else None,
        task_type=chosen.task_type,
        files_hash=hash_paths(generate.files if generate is not None else []),
    )
    filtered, filter_ledger = filter_examples(
        examples=examples, base_model=base_model, settings=chosen.filter, engine=chosen.engine
    )
    exact, exact_ledger, exact_report = dedup_exact(examples=filtered, settings=chosen.dedup, engine=chosen.engine)
    minhash, minhash_ledger, minhash_report = dedup_minhash(
        examples=exact,
        settings=chosen.dedup,
        engine=chosen.engine,
        index_hash=hash_paths(chosen.dedup.index_paths),
    )
    unique, semantic_ledger, semantic_report = dedup_semantic(examples=minhash, settings=chosen.dedup)
    scored, judge_ledger, _, judge_report = judge_examples(
        unique_examples=unique,
        documents=documents,
        settings=chosen.judge,
        files_hash=hash_paths(chosen.judge.files),
    )
    split, split_ledger, split_report = split_dataset(
        examples=scored, settings=chosen.split, previous=stored(previous_splits) if previous_splits else None
    )
    clean, decontaminate_ledger, decontaminate_report = decontaminate_dataset(
        examples=split, settings=chosen.decontaminate, benchmarks_hash=hash_paths(benchmark_files(chosen.decontaminate))
    )
    dataset, mix_ledger, mix_report = mix_dataset(examples=clean, settings=chosen.mix)
    report = report_curation(
        documents=documents,
        sft_dataset=dataset,
        base_model=base_model,
        extract_ledger=extract_ledger,
        synthesise_ledger=synthesise_ledger,
        generate_ledger=generate_ledger,
        ground_ledger=ground_ledger,
        synthesise_report=synthesise_report,
        filter_ledger=filter_ledger,
        dedup_exact_ledger=exact_ledger,
        dedup_minhash_ledger=minhash_ledger,
        dedup_semantic_ledger=semantic_ledger,
        judge_ledger=judge_ledger,
        split_ledger=split_ledger,
        decontaminate_ledger=decontaminate_ledger,
        mix_ledger=mix_ledger,
        dedup_exact_report=exact_report,
        dedup_minhash_report=minhash_report,
        dedup_semantic_report=semantic_report,
        judge_report=judge_report,
        split_report=split_report,
        decontaminate_report=decontaminate_report,
        mix_report=mix_report,
        task_type=chosen.task_type,
    )
    return Curated(base_model, dataset, preferences, report)


@pipeline(name="curate", execution_mode=ExecutionMode.FAIL_FAST)
def curate(config: RunConfig, sources_hash: str, previous_splits: str = "") -> None:
    """Curate a data set."""
    curation_steps(config, sources_hash, previous_splits)
