"""DEPLOY.md: how a bundle comes to an endpoint, command by command, with its own names and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3train.export import endpoints

if TYPE_CHECKING:
    from phi3train.export.bundle import Manifest

_GUIDE = """# {name}: an endpoint in Azure

{what} It reads {context:,} tokens.
Facts about Azure as known on {as_of}.

Call every command in the folder of the bundle, the one with `manifest.json`, and replace what stands in angle brackets.
Check the bundle first: `phi3train verify .`

## Before

1. A workspace of Azure Machine Learning, or a hub-based project of Microsoft Foundry, and the role AzureML Data
   Scientist or Contributor on it. If you have none, 4 makes a workspace.
2. Quota in the region of the workspace: {quota} cores of {family}, for one `{machine}`.
   It has {has}, the weights have {weights:,.1f} MB.{spare}
   Quotas of GPUs begin at 0: ask for them in the portal, Quotas, Machine learning.
3. Once a subscription, and once a terminal:

   ```sh
   az login
   az account set --subscription <SUBSCRIPTION>
   az provider register --namespace Microsoft.MachineLearningServices
   az extension add --name ml
   ```

4. A workspace, if you have none, by a Contributor of the subscription. `<REGION>` is where it will live, such as
   eastus2; storage, a vault for keys and a log come with it.

   ```sh
   az group create --name <GROUP> --location <REGION>
   az ml workspace create --name <WORKSPACE> --resource-group <GROUP> --location <REGION>
   ```

5. The workspace, or the project, that all further commands mean:

   ```sh
   az configure --defaults group=<GROUP> workspace=<WORKSPACE>
   ```

## Deploy

```sh
az ml model create --file deploy/aml/model.yml
az ml online-endpoint create --file deploy/aml/endpoint.yml
az ml online-deployment create --file deploy/aml/deployment.yml --all-traffic
```

The first command uploads the weights; the last one builds an image and loads the model, which takes a good while. The
name of an endpoint must be new in its region, as it is a part of the address. Another name, another machine, a second
version, without changing a file of the bundle:

```sh
az ml model create --file deploy/aml/model.yml --version 2
az ml online-endpoint create --file deploy/aml/endpoint.yml --name <OTHER>
az ml online-deployment create --file deploy/aml/deployment.yml --endpoint-name <OTHER> --all-traffic \\
  --set instance_type=<MACHINE> model=azureml:{name}:2
```

## Ask

```sh
az ml online-endpoint invoke --name {endpoint} --request-file {request}
az ml online-endpoint get-credentials --name {endpoint} --query primaryKey --output tsv
az ml online-endpoint show --name {endpoint} --query scoring_uri --output tsv
```

Or with the key and the address that these two give. The key is typed, and kept out of the shell's history and of the
list of processes:

```sh
read -rs KEY
printf 'header = "Authorization: Bearer %s"\\n' "$KEY" | curl <SCORING_URI> --config - --json @{request}
```

{asking}
| status | what it means |
|---|---|
| 424, and 400 in the header `ms-azureml-model-error-statuscode` | the request makes no sense; the body says why |
| 424, and another number there | score.py failed, or ran into its time limit: see the log |
| 408 | the answer took longer than {timeout} seconds: ask for fewer tokens, or use another machine |
| 429 | more requests than the one that is computed and the one that waits: ask later, or use more instances |

## Look after it

```sh
az ml online-deployment get-logs --name blue --endpoint-name {endpoint} --lines 200
az ml online-deployment update --name blue --endpoint-name {endpoint} --set instance_count=2
```

Nothing that people write is in the logs. In a Python environment of its own, score.py runs on your machine too, under
the same server. That listens on every address of the machine; Ctrl-C stops it.

```sh
pip install {pins}
azmlinfsrv --entry_script deploy/aml/code/score.py --model_dir model
curl http://127.0.0.1:5001/score --json @{request}
```

{vllm}## What it does not do

Managed compute has no content filter of its own: put Azure AI Content Safety before and after it, or a filter of yours.

## Cost and clean-up

An instance is billed by the hour from its start to its deletion, also while nobody asks: 730 hours a month times the
price of `{machine}` (azure.microsoft.com/pricing/details/machine-learning). The stored weights and
the image cost a little on top. To end it:

```sh
az ml online-endpoint delete --name {endpoint} --yes
az ml model archive --name {name} --version {version}
```

The first one deletes the deployment too. An archived model is hidden, and its files stay in the workspace's storage. A
group that you made for this alone goes with all that is in it: `az group delete --name <GROUP>`.
"""

_CHAT = """The body is that of OpenAI's chat completions: `messages`, `max_tokens` (512 if it is not given),
`temperature` (0 if it is not given: the most likely answer), `top_p`, `stop`; no streaming. What the weights answered
to the request when they were exported is the first of the answers in `deploy/expected.json`, as ids.

Whether the endpoint answers as the weights did then, and how fast (`pip install 'phi3kit[endpoint]'`; with the key that
was typed above; `--data FILE` asks questions of your own too):

```sh
KEY="$KEY" phi3train test-endpoint <SCORING_URI> --key-env KEY --bundle .
```
"""

_HEAD = """The body has `messages` and nothing else. The answer is one of {classes}, with the probability of each.
Write the chats as they were for training: the messages up to the answer, unless the head learned whole conversations.
"""

_VLLM = """## The other road: vLLM

It computes many requests at once and streams; choose it where more than a few people ask. A GPU is needed. `verify`
does not try it. Its arguments are a part of the image, as deployments have none of their own. A folder beside the
bundle takes what it needs, since the bundle stays as it is and is not sent to the registry: `mkdir ../vllm`. Its
`../vllm/Dockerfile`:

```dockerfile
FROM {image}
ENTRYPOINT ["vllm", "serve", "/models/{name}/{version}/model", "--served-model-name", "{name}", \
"--max-model-len", "{length}", "--dtype", "{dtype}", "--host", "0.0.0.0", "--port", "8000"]
```

```sh
az acr build --registry <REGISTRY> --image {repository}:1 ../vllm
```

In a copy of `deploy/aml/deployment.yml`, `../vllm/deployment.yml`, leave out `code_configuration` and
`environment_variables`, and write:

```yaml
model_mount_path: /models
environment:
  name: {endpoint}-vllm
  image: <REGISTRY>.azurecr.io/{repository}:1
  inference_config:
    liveness_route: {{path: /health, port: 8000}}
    readiness_route: {{path: /health, port: 8000}}
    scoring_route: {{path: /v1/chat/completions, port: 8000}}
instance_type: {gpu}
request_settings: {{request_timeout_ms: {timeout_ms}, max_concurrent_requests_per_instance: 16}}
```

`az ml online-deployment create --file ../vllm/deployment.yml --all-traffic` creates it.

It ends answers at the ids of `model/generation_config.json`, all of them. Without `temperature` in the request it draws
its answers at random, score.py does not.

"""


def render(manifest: Manifest, *, description: dict[str, Any]) -> str:
    """Return the guide of a bundle. `description` is what foundry_model.json says."""
    facts, known = manifest.facts, endpoints.table()
    machine = endpoints.machine(facts["weights_bytes"])
    chats = description["task"] == "chat-completion"
    names = {
        "name": manifest.name,
        "version": description["version"],
        "endpoint": endpoints.endpoint_name(manifest.name),
    }
    asking = _CHAT if chats else _HEAD.format(classes=", ".join(f"`{each}`" for each in description.get("classes", [])))
    return _GUIDE.format(
        **names,
        what=f"{'A model that chats' if chats else 'A classification head'}, fine-tuned from {manifest.base_model}.",
        context=facts["context"],
        as_of=known.as_of,
        machine=machine.name,
        has=machine.has,
        family=machine.family,
        quota=machine.quota(1),
        spare=" Azure keeps a part of the quota for upgrades." if machine.spare else "",
        weights=facts["weights_bytes"] / 1e6,
        request=f"deploy/{description['request']['example']}",
        asking=asking,
        timeout=known.request_timeout_ms // 1000,
        pins=" ".join(endpoints.pins()),
        vllm=_vllm(manifest, names) if chats else "",
    )


def _vllm(manifest: Manifest, names: dict[str, str]) -> str:
    known = endpoints.table()
    gpu = endpoints.machine(manifest.facts["weights_bytes"], gpu=True)
    return _VLLM.format(
        **names,
        image=known.images["vllm"],
        repository=f"{names['endpoint'].lower()}-vllm",
        length=manifest.facts["context"],
        dtype=manifest.facts["dtype"],
        gpu=gpu.name,
        timeout_ms=known.request_timeout_ms,
    )
