"""UPLOAD.md: what to do with a bundle for fine-tuning, command by command, with its own names and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3train.export import foundry

if TYPE_CHECKING:
    from phi3train.export.bundle import Manifest

_GUIDE = """# {name}: fine-tuning in Microsoft Foundry

Base model: `{asset}` ({base}), as known on {as_of}. {retired}
Training rows: {train:,}. Validation rows: {validation:,}. {tokens}

Replace what stands in angle brackets. Check the bundle first: `phi3train verify .`

## Before

1. A subscription with a payment method, and the region that fine-tunes this model: look at the model's card in the
   catalogue (ai.azure.com, Models, {asset_name}, Fine-tune). Project, storage and job live in that region.
2. A hub-based project ("classic"): Phi models are fine-tuned there. Your role on it: Azure AI Developer, or
   Contributor of the resource group.
3. The resource provider, once a subscription:

   ```sh
   az login
   az account set --subscription <SUBSCRIPTION>
   az provider register --namespace Microsoft.MachineLearningServices
   az extension add --name ml
   az configure --defaults group=<GROUP> workspace=<PROJECT>
   ```

4. The version of the base model, if it is to be another than in `classic/finetune.yml`:

   ```sh
   az ml model list --registry-name azureml --name {asset_name} --output table
   ```

## Submit with az

```sh
az ml job create --file classic/finetune.yml --stream
```

The two data files are uploaded with the job. To register them first, and use them for several jobs:

```sh
az ml data create --file classic/train.data.yml --version 1
az ml data create --file classic/validation.data.yml --version 1
```

## Submit with Python

```python
from azure.ai.ml import MLClient, load_job
from azure.identity import DefaultAzureCredential

client = MLClient(DefaultAzureCredential(), "<SUBSCRIPTION>", "<GROUP>", "<PROJECT>")
job = client.jobs.create_or_update(load_job("classic/finetune.yml"))
client.jobs.stream(job.name)
```

## Submit in the portal

1. Project, Fine-tuning, Fine-tune model, {asset_name}.
2. Task: chat completion. Training data: upload `data/train.jsonl`.
3. Validation data: upload `data/validation.jsonl`. Do not let the service split: it takes the first 80% in file order.
4. Hyperparameters:

{hyperparameters}

   {multiplier}
5. Submit.

## After

1. Deploy: `az ml serverless-endpoint create` or Deploy on the model's page. A deployment is billed by the hour, also
   when nobody asks it; a customised model can have one deployment.
2. Test it with the questions that you kept back, not with those above.
3. Content filtering is on by default for serverless deployments; managed compute has none of its own.
4. Clean up what costs:

   ```sh
   az ml serverless-endpoint delete --name <ENDPOINT> --yes
   az ml model archive --name {name} --version 1
   ```

## Cost

{cost}

Quota: one fine-tuning job at a time is usual in a new subscription; Quotas in the portal shows yours.
"""


def render(manifest: Manifest) -> str:
    """Return the guide of a bundle."""
    facts = manifest.facts
    about = foundry.asset(facts["model"])
    retired = f"**Its managed fine-tuning ended on {about.retired}**: see {about.replacement}." if about.retired else ""
    tokens = facts["tokens"]
    multiplier = facts["batch_size_multiplier"]
    return _GUIDE.format(
        name=manifest.name,
        asset=facts["asset"],
        asset_name=about.asset,
        base=manifest.base_model,
        as_of=facts["as_of"],
        retired=retired,
        train=facts["rows"]["train"],
        validation=facts["rows"]["validation"],
        tokens="" if tokens is None else f"Tokens of the training rows: {_about(manifest)}.",
        hyperparameters="\n".join(f"   - {name}: {value}" for name, value in facts["hyperparameters"].items()),
        multiplier=f"Batch size multiplier: {multiplier:g}. It is in no job file; set it here.",
        cost=_cost(manifest),
    )


def _about(manifest: Manifest) -> str:
    return f"{manifest.facts['tokens']:,}{' (estimated)' if manifest.facts['estimated'] else ''}"


def _cost(manifest: Manifest) -> str:
    facts = manifest.facts
    tokens, epochs = facts["tokens"], int(facts["hyperparameters"]["num_train_epochs"])
    if tokens is None:
        return "The tokens of the data were not counted, so nothing is estimated: phi3data tokens data/train.jsonl"
    trained = tokens * epochs
    said = f"{_about(manifest)} tokens x {epochs} epochs = {trained:,} trained tokens."
    price = facts["price"]
    if price is None:
        return (
            f"{said} Times the price per token on the model's card; --price writes the sum here. Hosting comes on top."
        )
    sum_ = trained / 1e6 * price["per_million_tokens"]
    when = f" (price of {price['as_of']})" if price["as_of"] else ""
    return f"{said} At {price['per_million_tokens']:g} a million{when}: about {sum_:,.2f}. Hosting comes on top."
