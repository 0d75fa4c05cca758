"""Step that sums a data set's curation up."""

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.mixing.guidance import TaskType
from steps.reporting.curation import documents_of, funnel, guidance_of, sources_of, splits_of
from steps.reporting.tokens import count_dataset_tokens
from steps.splitting.leaks import leak_report


@step(cache_policy=rerun_when_changed(__file__))
def report_curation(
    documents: pa.Table,
    sft_dataset: pa.Table,
    base_model: Path,
    extract_ledger: pa.Table,
    synthesise_ledger: pa.Table,
    generate_ledger: pa.Table,
    ground_ledger: pa.Table,
    filter_ledger: pa.Table,
    dedup_exact_ledger: pa.Table,
    dedup_minhash_ledger: pa.Table,
    dedup_semantic_ledger: pa.Table,
    judge_ledger: pa.Table,
    split_ledger: pa.Table,
    decontaminate_ledger: pa.Table,
    mix_ledger: pa.Table,
    synthesise_report: dict[str, Any],
    dedup_exact_report: dict[str, Any],
    dedup_minhash_report: dict[str, Any],
    dedup_semantic_report: dict[str, Any],
    judge_report: dict[str, Any],
    split_report: dict[str, Any],
    decontaminate_report: dict[str, Any],
    mix_report: dict[str, Any],
    task_type: TaskType | None = None,
) -> Annotated[dict[str, Any], "curation_report"]:
    """Sum up what each stage kept and dropped, where the rows come from."""
    generated = {"generate": generate_ledger, "ground": ground_ledger}
    ledgers = {
        "extract": extract_ledger,
        "synthesise": synthesise_ledger,
        **{name: ledger for name, ledger in generated.items() if ledger.num_rows},
        "filter": filter_ledger,
        "dedup_exact": dedup_exact_ledger,
        "dedup_minhash": dedup_minhash_ledger,
        "dedup_semantic": dedup_semantic_ledger,
        "judge": judge_ledger,
        "split": split_ledger,
        "decontaminate": decontaminate_ledger,
        "mix": mix_ledger,
    }
    tokens = count_dataset_tokens(sft_dataset, base_model)
    return {
        "funnel": funnel(ledgers),
        "documents": documents_of(documents),
        "sources": sources_of(sft_dataset),
        "splits": splits_of(sft_dataset),
        "tokens": tokens,
        "synthesise": synthesise_report,
        "dedup": {"exact": dedup_exact_report, "minhash": dedup_minhash_report, "semantic": dedup_semantic_report},
        "judge": judge_report,
        "split": split_report,
        "decontaminate": decontaminate_report,
        "mix": mix_report,
        "leaks": leak_report(sft_dataset, dedup_minhash_report["threshold"]),
        "guidance": guidance_of(sft_dataset, base_model, tokens, task_type),
    }
