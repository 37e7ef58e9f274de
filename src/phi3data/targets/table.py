"""The destinations: adding one is adding an entry.

Sources:
[F]  Microsoft's fine-tuning documentation and samples for Foundry, and what its managed training was seen to do to a
     row: docs ask for UTF-8 with a BOM, but Microsoft's own samples have none and its validator refuses one; under
     512 MB a file; at least 10 rows, 50 and more advised; extra columns are removed; where some rows have tools, rows
     without are dropped with a line in the log at most; weight is not read; the automatic split is the first 80 % in
     file order.
[A]  Azure OpenAI's documentation, "Customize a model with fine-tuning": JSON Lines in UTF-8 with a BOM, under 512 MB;
     weight 0 or 1 on assistant messages is read. Files without a BOM are taken too, so neither is a finding.
[O]  OpenAI's fine-tuning guide and API reference: 512 MB a file, at least 10 examples, "clear improvements with 50 to
     100", weight 0 or 1 on assistant messages, tools and parallel_tool_calls beside messages. A BOM makes the first
     line "not a dictionary" (OkGoDoIt/OpenAI-API-dotnet#59).
[T]  TRL's SFTTrainer on a datasets.Dataset: columns that it does not know are ignored, missing keys are filled with
     null, weight is not looked at (assistant_only_loss masks by the template), the user splits. datasets 5 reads a
     file that starts with a BOM.
MB is read as 10^6 bytes, the smaller of its two meanings.
"""

from __future__ import annotations

from phi3data.targets.profile import TargetProfile

_TARGETS = (
    TargetProfile(
        name="foundry",
        title="Microsoft Foundry",
        minimum_rows=10,  # [F]
        advised_rows=50,  # [F]
        ample_rows=100,  # [O], for the same kind of training
        size_limit=512_000_000,  # [F]
        bom="refused",  # [F]
        extra_keys="dropped",  # [F]
        partial_rows="dropped",  # [F]
        reads_weight=False,  # [F]
        splits_in_order=True,  # [F]
        # A column is removed; the docs contradict the validator.
        severities={"S304": "warning", "F103": "warning"},
    ),
    TargetProfile(
        name="azure-openai",
        title="Azure OpenAI",
        minimum_rows=10,  # [A]
        advised_rows=50,  # [A]
        ample_rows=100,  # [O]
        size_limit=512_000_000,  # [A]
        bom="either",  # [A]
        keys=("parallel_tool_calls",),  # [O]
        extra_keys="refused",  # [O]
        partial_rows="kept",  # [O]
        reads_weight=True,  # [A]
        splits_in_order=False,  # [A] validation is a file of its own
    ),
    TargetProfile(
        name="openai",
        title="OpenAI",
        minimum_rows=10,  # [O]
        advised_rows=50,  # [O]
        ample_rows=100,  # [O]
        size_limit=512_000_000,  # [O]
        bom="refused",  # [O]
        keys=("parallel_tool_calls",),  # [O]
        extra_keys="refused",  # [O]
        partial_rows="kept",  # [O]
        reads_weight=True,  # [O]
        splits_in_order=False,  # [O] validation is a file of its own
    ),
    TargetProfile(
        name="trl",
        title="TRL",
        label_key="label",
        minimum_rows=1,
        advised_rows=50,  # [O], for the same kind of training
        ample_rows=100,  # [O]
        bom="either",  # [T]
        keys=("label",),  # [T]
        extra_keys="kept",  # [T]
        partial_rows="kept",  # [T]
        reads_weight=False,  # [T]
        splits_in_order=False,  # [T]
        severities={"S304": "warning"},  # only a misspelt key is reported: any other is ignored
    ),
)
TARGETS = {each.name: each for each in _TARGETS}
